// Package settings tries each setting of a deployment through the public API: every service with its database and its wire, and
// tasks that do as a test says (the fake runtime), so that minutes of a rollout take a moment.
package settings

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/slipway-deploy/slipway/drivers/runtime/fake"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/internal/stack"
	"github.com/slipway-deploy/slipway/internal/stories"
	"github.com/slipway-deploy/slipway/platform/grpcclient"
)

// system is one running system for all tests of the package; each test has services, alarms and hooks of its own.
var system struct {
	once  sync.Once
	err   error
	dir   string
	stack *stack.Stack
	tasks *fake.Runtime
	stories.Env
	events       orchestratorpb.EventServiceClient
	orchestrator grpc.ClientConnInterface
	hooks        grpc.ClientConnInterface
	close        []func()
}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, c := range system.close {
		c()
	}
	if system.stack != nil {
		system.stack.Stop()
	}
	_ = os.RemoveAll(system.dir)
	os.Exit(code)
}

func startSystem() error {
	dir, err := os.MkdirTemp("", "slipway-settings-")
	if err != nil {
		return err
	}
	system.dir, system.tasks = dir, fake.New()
	if err := os.Chmod(dir, 0o755); err != nil { // the user of PostgreSQL can reach it
		return err
	}
	log := slog.New(slog.DiscardHandler)
	if os.Getenv("SLIPWAY_TEST_LOG") != "" {
		log = slog.Default()
	}
	system.stack, err = stack.Start(context.Background(), stack.Config{Dir: dir, Addresses: stack.AnyAddresses(), Runtime: system.tasks, Log: log})
	if err != nil {
		return err
	}
	dial := func(target string) grpc.ClientConnInterface {
		conn, e := grpcclient.Dial(grpcclient.Config{Target: target, Name: "test"})
		if e != nil {
			err = e
			return nil
		}
		system.close = append(system.close, func() { _ = conn.Close() })
		return conn
	}
	a := system.stack.Addresses
	conns := stories.Conns{Orchestrator: dial(a.Orchestrator), Hooks: dial(a.Hooks), Healthcheck: dial(a.Healthcheck), Alarms: dial(a.Alarms)}
	if err != nil {
		return err
	}
	system.Env = *stories.NewEnv(conns, stories.Place{}, nil)
	system.orchestrator, system.hooks = conns.Orchestrator, conns.Hooks
	system.events = orchestratorpb.NewEventServiceClient(conns.Orchestrator)
	return nil
}

// eventually waits for a condition and fails with what stood in its way.
func eventually(t *testing.T, what string, holds func() (ok bool, seen any)) {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, seen := holds()
		if ok {
			return
		}
		select {
		case <-deadline.C:
			t.Fatalf("%s: did not come true in 20 s; last seen: %s", what, fmt.Sprint(seen))
		case <-tick.C:
		}
	}
}
