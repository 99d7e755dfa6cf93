//go:build !linux

package routefile

import "os"

func syncData(f *os.File) error { return f.Sync() }
