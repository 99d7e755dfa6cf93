//go:build !unix

package routefile

import (
	"fmt"
	"os"
	"path/filepath"
)

// lockDir opens the lock file; here nothing keeps a second proxy out.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock of the routes' folder: %w", err)
	}
	return f, nil
}
