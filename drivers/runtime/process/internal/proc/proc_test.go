//go:build linux || darwin

package proc_test

import (
	"context"
	"errors"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/slipway-deploy/slipway/drivers/runtime/process/internal/proc"
)

// start starts a shell with the script and removes it at the end of the test.
func start(t *testing.T, script string, env ...string) *proc.Handle {
	t.Helper()
	return run(t, proc.Command{Path: "/bin/sh", Args: []string{"sh", "-c", script}, Env: env, Dir: "/"})
}

func run(t *testing.T, c proc.Command) *proc.Handle {
	t.Helper()
	h, err := proc.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.SignalGroup(syscall.SIGKILL); err != nil {
			t.Error(err)
		}
		if err := h.Wait(context.Background()); err != nil {
			t.Error(err)
		}
		h.Reap()
		h.Close()
	})
	return h
}

func open(t *testing.T, p proc.Process) *proc.Handle {
	t.Helper()
	h, err := proc.Open(p.PID, p.Start)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

func wait(t *testing.T, h *proc.Handle) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := h.Wait(ctx); err != nil {
		t.Fatalf("wait: %v", err)
	}
}

func TestTheExitOfAChildIsKnown(t *testing.T) {
	h := start(t, "exit 7")
	wait(t, h)
	if got := h.Reap(); got != (proc.Exit{Known: true, Code: 7}) {
		t.Errorf("got %+v, want code 7", got)
	}
	if got := h.Reap(); got.Known {
		t.Errorf("collected twice: got %+v", got)
	}
}

func TestASignalReachesTheWholeGroupAndIsReportedAs128PlusItsNumber(t *testing.T) {
	h := start(t, "sleep 300 & sleep 300; exit 1")
	if err := h.SignalGroup(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	wait(t, h)
	if got := h.Reap(); got.Code != 143 || got.Signal != syscall.SIGTERM {
		t.Errorf("got %+v, want 143 by SIGTERM", got)
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	h := open(t, start(t, "sleep 300").Process())
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- h.Wait(ctx) }()
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want canceled", err)
	}
}

func TestAnotherProcessWithTheSameIDIsGone(t *testing.T) {
	p := start(t, "sleep 300").Process()
	if _, err := proc.Open(p.PID, p.Start+1); !errors.Is(err, proc.ErrGone) {
		t.Errorf("got %v, want ErrGone", err)
	}
}

func TestAProcessIsFoundByItsEnvironment(t *testing.T) {
	want := start(t, "sleep 300; exit 0", "SLIPWAY_TEST_MARK="+t.Name()).Process()
	found, err := proc.Find("SLIPWAY_TEST_MARK", nil)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(found[t.Name()], want) {
		t.Errorf("got %+v, want %+v among them", found[t.Name()], want)
	}
}
