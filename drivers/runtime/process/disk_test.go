//go:build linux || darwin

package process

import (
	"errors"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	"github.com/slipway-deploy/slipway/platform/problem"
)

// fullAt is a driver whose disk is full at one point while full is true.
func fullAt(t *testing.T, point string, full *atomic.Bool) *Driver {
	return open(t, Config{Dir: t.TempDir(), at: func(p string) error {
		if full.Load() && strings.HasPrefix(p, point) {
			return &os.PathError{Op: "write", Path: "/state/x", Err: syscall.ENOSPC}
		}
		return nil
	}})
}

func TestAnOrderThatCannotBeWrittenIsRefusedWhole(t *testing.T) {
	t.Parallel()
	for _, point := range []string{"writing prod~web", "renaming prod~web"} {
		var full atomic.Bool
		full.Store(true)
		d := fullAt(t, point, &full)
		set := oneTask(t, shell("exec sleep 300"))
		err := d.EnsureTaskSet(t.Context(), 5, set)
		if !errors.Is(err, problem.ResourceExhausted) || !strings.Contains(err.Error(), "the disk that holds /state is full") {
			t.Errorf("%s: got %v", point, err)
		}
		if err := d.DeleteTaskSet(t.Context(), 5, set.Service, set.ID); !errors.Is(err, problem.ResourceExhausted) {
			t.Errorf("%s: delete: got %v", point, err)
		}
		full.Store(false)
		ensure(t, d, 4, set) // the generation of the refused order was not remembered
		reaches(t, d, set.Tasks[0], runtime.Running)
	}
}

func TestATaskThatCannotBeWrittenDownDoesNotRun(t *testing.T) {
	t.Parallel()
	set := oneTask(t, shell("exec sleep 300"))
	name := set.Tasks[0]
	// From the first record on, and from the one with the process id on.
	for _, from := range []string{"accepted", "started"} {
		var full atomic.Bool
		d := open(t, Config{Dir: t.TempDir(), at: func(point string) error {
			if point == from {
				full.Store(true)
			}
			if full.Load() && point == "writing "+name+".json" {
				return &os.PathError{Op: "write", Path: "/state/x", Err: syscall.ENOSPC}
			}
			return nil
		}})
		ensure(t, d, 1, set)
		task := reaches(t, d, name, runtime.Stopped)
		if task.StopCode != runtime.TaskFailedToStart || task.StopReason != "the disk that holds /state is full" {
			t.Errorf("%s: got %s: %s", from, task.StopCode, task.StopReason)
		}
		if left := processes(t, name); len(left) != 0 {
			t.Errorf("%s: these run: %+v", from, left)
		}
		full.Store(false)
		eventually(t, "the record is written once there is room", func() bool {
			text, err := os.ReadFile(d.cfg.taskPath(name))
			return err == nil && strings.Contains(string(text), string(runtime.TaskFailedToStart))
		})
	}
}

func TestAFullDiskDoesNotKeepATaskFromStopping(t *testing.T) {
	t.Parallel()
	var full atomic.Bool
	d := fullAt(t, "writing test", &full)
	set := oneTask(t, shell("exec sleep 300"))
	ensure(t, d, 1, set)
	reaches(t, d, set.Tasks[0], runtime.Running)
	full.Store(true)
	if err := d.DeleteTaskSet(t.Context(), 2, set.Service, set.ID); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is gone", func() bool {
		_, there := d.feed.Get(set.Tasks[0])
		return !there && len(processes(t, set.Tasks[0])) == 0
	})
}

func TestARecordThatCannotBeReadIsNamed(t *testing.T) {
	t.Parallel()
	d := open(t, Config{Dir: t.TempDir()})
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	path := d.cfg.taskPath("web-1")
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{Dir: d.cfg.Dir}, d.log); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
}
