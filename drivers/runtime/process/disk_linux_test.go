package process

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	"github.com/slipway-deploy/slipway/platform/problem"
)

// A real disk of 256 KiB; making one takes root.
func TestARealFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("no file system can be mounted: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	d := open(t, Config{Dir: dir})
	set := oneTask(t, shell("exec sleep 300"))
	ensure(t, d, 1, set)
	reaches(t, d, set.Tasks[0], runtime.Running)
	filler := filepath.Join(dir, "filler")
	if err := os.WriteFile(filler, make([]byte, 1<<20), 0o600); !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
	more := set
	more.Tasks = append([]string{set.Tasks[0] + "-more"}, set.Tasks...)
	err := d.EnsureTaskSet(t.Context(), 2, more)
	if !errors.Is(err, problem.ResourceExhausted) || !strings.Contains(err.Error(), "is full") {
		t.Errorf("got %v", err)
	}
	if _, there := d.feed.Get(more.Tasks[0]); there || len(processes(t, more.Tasks[0])) != 0 {
		t.Error("the refused task is there")
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	ensure(t, d, 2, more)
	reaches(t, d, more.Tasks[0], runtime.Running)
	reaches(t, d, set.Tasks[0], runtime.Running)
}
