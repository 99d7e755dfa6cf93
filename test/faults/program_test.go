package faults

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/slipway-deploy/slipway/internal/stories"
	"github.com/slipway-deploy/slipway/platform/grpcclient"
)

// program is a service as a process of its own.
type program struct {
	t       *testing.T
	name    string
	address string
	env     []string
	log     *os.File
	cmd     *exec.Cmd

	mu   sync.Mutex
	down []span // when it did not serve
}

type span struct{ from, to time.Time }

func newProgram(t *testing.T, dir, binary, name, address string, env ...string) *program {
	t.Helper()
	log, err := os.Create(filepath.Join(dir, name+".log"))
	if err != nil {
		t.Fatal(err)
	}
	p := &program{t: t, name: binary, address: address, log: log, env: append([]string{"SLIPWAY_LISTEN=" + address}, env...)}
	t.Cleanup(func() {
		if p.cmd != nil {
			_ = p.cmd.Process.Signal(syscall.SIGCONT)
			_ = p.cmd.Process.Kill()
			_ = p.cmd.Wait()
		}
		if text, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("the end of the log of %s:\n%s", name, text[max(len(text)-6000, 0):])
		}
		_ = log.Close()
	})
	return p
}

// start starts it and returns when it serves.
func (p *program) start() {
	p.t.Helper()
	p.cmd = exec.CommandContext(context.Background(), filepath.Join(programs, p.name))
	p.cmd.Env = append(os.Environ(), p.env...)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.serving()
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.down); n > 0 && p.down[n-1].to.IsZero() {
		p.down[n-1].to = time.Now()
	}
}

func (p *program) serving() {
	p.t.Helper()
	conn, err := grpcclient.Dial(grpcclient.Config{Target: p.address, Name: p.name})
	if err != nil {
		p.t.Fatal(err)
	}
	defer conn.Close()
	eventually(p.t, time.Minute, p.name+" to serve", func() bool {
		ctx, cancel := context.WithTimeout(p.t.Context(), time.Second)
		defer cancel()
		got, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{})
		return err == nil && got.GetStatus() == grpc_health_v1.HealthCheckResponse_SERVING
	})
}

// kill is kill -9.
func (p *program) kill() {
	p.t.Helper()
	p.mu.Lock()
	p.down = append(p.down, span{from: time.Now()})
	p.mu.Unlock()
	if err := p.cmd.Process.Kill(); err != nil {
		p.t.Fatal(err)
	}
	_ = p.cmd.Wait() // it was killed
}

func (p *program) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// grace is for requests that were on their way when it was killed, and for clients that find it again.
const grace = time.Second

// wasDown reports whether it did not serve at a moment, or just before.
func (p *program) wasDown(at time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, d := range p.down {
		if !at.Before(d.from) && (d.to.IsZero() || at.Before(d.to.Add(grace))) {
			return true
		}
	}
	return false
}

// downTime is how often and how long it did not serve.
func (p *program) downTime() (times int, all time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, d := range p.down {
		all += d.to.Sub(d.from)
	}
	return len(p.down), all
}

// eventually waits for a condition.
func eventually(t *testing.T, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline.C:
			t.Fatalf("after %s still waiting for %s", limit, what)
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
