//go:build linux || darwin

package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slipway-deploy/slipway/drivers/runtime/internal/state"
	"github.com/slipway-deploy/slipway/platform/problem"
)

// lockWait is how long a new driver waits for one that is just dying.
const lockWait = 2 * time.Second

// lockDir takes the state folder for this driver until the file is closed or the program ends.
//
// The lock does more than keep out a second driver. A process that the dead driver had forked but that had not yet
// reached its exec still holds a copy of the lock's file descriptor (exec closes it). So once the lock is ours, every
// process of the dead driver shows its own environment, and looking for them misses none.
func lockDir(ctx context.Context, dir string) (*os.File, error) {
	path := filepath.Join(dir, "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, state.Problem(err)
	}
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			break
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
		}
		select {
		case <-ctx.Done():
			holder := holder(path)
			return nil, errors.Join(problem.New(problem.FailedPrecondition, "CONFLICT",
				"the state folder %s is in use by another driver%s", dir, holder), f.Close())
		case <-time.After(10 * time.Millisecond):
		}
	}
	// Who holds the lock is for people only: that it cannot be written (a full disk) is no reason to give up.
	if err := f.Truncate(0); err == nil {
		_, _ = f.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
	}
	return f, nil
}

func holder(path string) string {
	data, err := os.ReadFile(path)
	if pid := strings.TrimSpace(string(data)); err == nil && pid != "" {
		return " (process " + pid + ")"
	}
	return ""
}
