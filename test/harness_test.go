// Package test plays the main job on the whole system: every service, real Postgres, real processes, real traffic.
package test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/slipway-deploy/slipway/internal/stack"
	"github.com/slipway-deploy/slipway/internal/stories"
	"github.com/slipway-deploy/slipway/platform/grpcclient"
)

var programs struct {
	once sync.Once
	dir  string
	err  error
}

// program builds a program of this module once and returns its path.
func program(t *testing.T, name string) string {
	t.Helper()
	programs.once.Do(func() {
		if programs.dir, programs.err = os.MkdirTemp("", "slipway-test-"); programs.err != nil {
			return
		}
		for name, pkg := range map[string]string{"web": "./examples/web", "orchestrator": "./services/orchestrator"} {
			build := exec.CommandContext(context.Background(), "go", "build", "-o", filepath.Join(programs.dir, name), pkg)
			build.Dir = ".."
			if out, err := build.CombinedOutput(); err != nil {
				programs.err = fmt.Errorf("build %s: %w: %s", pkg, err, out)
				return
			}
		}
	})
	if programs.err != nil {
		t.Fatal(programs.err)
	}
	return filepath.Join(programs.dir, name)
}

func TestMain(m *testing.M) {
	code := m.Run()
	_ = os.RemoveAll(programs.dir)
	os.Exit(code)
}

// folder is a temporary folder that the user of PostgreSQL can reach.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "slipway-test-stack-")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// logs keeps what the services log and shows it when the test fails.
func logs(t *testing.T) *slog.Logger {
	t.Helper()
	w := &keeper{}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log("the services' log:\n" + w.tail())
		}
	})
	return slog.New(slog.NewTextHandler(w, nil))
}

type keeper struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (k *keeper) Write(p []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.buf.Write(p)
}

func (k *keeper) tail() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	text := k.buf.String()
	return text[max(len(text)-20000, 0):]
}

func startStack(t *testing.T, cfg stack.Config) *stack.Stack {
	t.Helper()
	cfg.Dir, cfg.Log = folder(t), logs(t)
	if cfg.Addresses == (stack.Addresses{}) {
		cfg.Addresses = stack.AnyAddresses()
	}
	s, err := stack.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// env connects to a running stack.
func env(t *testing.T, a stack.Addresses) *stories.Env {
	t.Helper()
	dial := func(target string) grpc.ClientConnInterface {
		conn, err := grpcclient.Dial(grpcclient.Config{Target: target, Name: "test"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	conns := stories.Conns{Orchestrator: dial(a.Orchestrator), Hooks: dial(a.Hooks), Healthcheck: dial(a.Healthcheck), Alarms: dial(a.Alarms)}
	return stories.NewEnv(conns, stories.OnThisMachine(program(t, "web")), func(l stories.Line) {
		t.Logf("%s %8.3fs %-5s %s", l.Story, l.Offset.Seconds(), l.Kind, l.Text)
	})
}

// serving waits until a gRPC server answers its health check.
func serving(t *testing.T, address string) {
	t.Helper()
	conn, err := grpcclient.Dial(grpcclient.Config{Target: address, Name: "health"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	eventually(t, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		got, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{})
		return err == nil && got.GetStatus() == grpc_health_v1.HealthCheckResponse_SERVING
	})
}

// eventually waits for a condition, for half a minute at most.
func eventually(t *testing.T, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline.C:
			t.Fatal("the condition did not come true in 30 s")
		case <-tick.C:
		}
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	address, err := stories.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	return address
}
