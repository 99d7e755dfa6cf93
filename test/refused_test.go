package test

import (
	"net"
	"strings"
	"testing"

	"github.com/slipway-deploy/slipway/internal/stack"
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
