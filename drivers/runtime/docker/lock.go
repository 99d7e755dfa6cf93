package docker

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/slipway-deploy/slipway/drivers/runtime/internal/state"
	"github.com/slipway-deploy/slipway/platform/problem"
)

// lockDir takes the state folder until the file is closed or the program ends: a second driver would not see the first one's
// fence.
func lockDir(dir string) (*os.File, error) {
	path := filepath.Join(dir, "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, state.Problem(err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		err = problem.New(problem.FailedPrecondition, "CONFLICT", "the state folder %s is in use by another driver", dir)
	case err != nil:
		err = fmt.Errorf("lock %s: %w", path, err)
	default:
		return f, nil
	}
	return nil, errors.Join(err, f.Close())
}
