package postgresdev

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
)

// canPassFolder says whether a child can open a folder through a file it inherited.
const canPassFolder = runtime.GOOS == "linux"

// owner is the user who runs the server. PostgreSQL refuses to run as root.
type owner struct {
	name       string
	uid, gid   uint32
	switchUser bool // we are root and become this user
}

// findOwner returns this user; for root the user postgres, or else nobody.
func findOwner() (*owner, error) {
	if os.Geteuid() != 0 {
		return &owner{uid: uint32(os.Geteuid()), gid: uint32(os.Getegid())}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(uidErr, gidErr); err != nil {
			return nil, fmt.Errorf("user %s: %w", name, err)
		}
		return &owner{name: name, uid: uint32(uid), gid: uint32(gid), switchUser: true}, nil
	}
	return nil, errors.New("PostgreSQL does not run as root, and there is no user postgres or nobody: run this as another user, or set DATABASE_URL")
}

// own gives the file to the owner.
func (o *owner) own(path string) error {
	if !o.switchUser {
		return nil
	}
	return os.Chown(path, int(o.uid), int(o.gid))
}

// reaches reports whether the owner may enter dir and every folder above it, by their permission bits.
func (o *owner) reaches(dir string) bool {
	if !o.switchUser {
		return true
	}
	for {
		info, err := os.Stat(dir)
		if err != nil || !o.enters(info) {
			return false
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return true
		}
		dir = parent
	}
}

func (o *owner) enters(info os.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return false
	}
	mode := info.Mode().Perm()
	switch {
	case stat.Uid == o.uid:
		return mode&0o100 != 0
	case stat.Gid == o.gid:
		return mode&0o010 != 0
	}
	return mode&0o001 != 0
}
