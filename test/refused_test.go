package test

import (
	"net"
	"strings"
	"testing"

	"github.com/slipway-deploy/slipway/internal/stack"
	alarms "github.com/slipway-deploy/slipway/services/alarms/app"
	healthcheck "github.com/slipway-deploy/slipway/services/healthcheck/app"
	hooks "github.com/slipway-deploy/slipway/services/hooks/app"
	orchestrator "github.com/slipway-deploy/slipway/services/orchestrator/app"
)

// A port that is taken is one clear sentence, and what was started before it is stopped again: the folder can be used at once.
func TestATakenPortLeavesNothingBehind(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dir := folder(t)
	for _, name := range []string{"orchestrator", "proxy", "hooks"} {
		addresses := stack.AnyAddresses()
		switch name {
		case "orchestrator":
			addresses.Orchestrator = l.Addr().String()
		case "proxy":
			addresses.Proxy = l.Addr().String()
		case "hooks":
			addresses.Hooks = l.Addr().String()
		}
		_, err := stack.Start(t.Context(), stack.Config{Dir: dir, Addresses: addresses, Log: logs(t)})
		if err == nil || !strings.Contains(err.Error(), l.Addr().String()) || !strings.Contains(err.Error(), name) {
			t.Fatalf("%s: %v", name, err)
		}
		t.Log(err)
	}
	s, err := stack.Start(t.Context(), stack.Config{Dir: dir, Addresses: stack.AnyAddresses(), Log: logs(t)})
	if err != nil {
		t.Fatal(err)
	}
	s.Stop()
}

// A database that is away is one clear sentence from each service, and no panic on the way down.
func TestADatabaseThatIsAwayIsOneSentence(t *testing.T) {
	const away = "postgres://nobody:secret@127.0.0.1:1/nothing"
	for name, start := range map[string]func() error{
		"orchestrator": func() error {
			c := orchestrator.Default()
			c.Listen.Addr, c.DatabaseURL, c.RuntimeDir = "127.0.0.1:0", away, t.TempDir()
			_, err := orchestrator.New(t.Context(), c, logs(t))
			return err
		},
		"hooks": func() error {
			c := hooks.Default()
			c.Listen.Addr, c.DatabaseURL = "127.0.0.1:0", away
			_, err := hooks.New(t.Context(), c, logs(t))
			return err
		},
		"healthcheck": func() error {
			c := healthcheck.Default()
			c.Listen.Addr, c.DatabaseURL = "127.0.0.1:0", away
			_, err := healthcheck.New(t.Context(), c, logs(t))
			return err
		},
		"alarms": func() error {
			c := alarms.Default()
			c.Listen.Addr, c.DatabaseURL = "127.0.0.1:0", away
			_, err := alarms.New(t.Context(), c, logs(t))
			return err
		},
	} {
		err := start()
		if err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
