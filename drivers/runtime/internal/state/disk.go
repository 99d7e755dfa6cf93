// Package state is what a runtime driver keeps on disk: the orders in force of each service behind its fence, and records of
// tasks, each there whole after a crash, old or new. It knows nothing of how tasks run.
package state

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/slipway-deploy/slipway/platform/problem"
)

// Disk writes records so that after a crash each is there whole, old or new.
type Disk struct {
	// At is called by tests' drivers at named points of the work; an error makes the step fail. nil: it is not.
	At func(point string) error
}

func (d Disk) at(point string) error {
	if d.At == nil {
		return nil
	}
	return d.At(point)
}

// Write replaces the record at path: write a temporary file, fsync, rename, fsync the folder. One writer a path.
func (d Disk) Write(path string, record any) error {
	data, err := json.MarshalIndent(record, "", " ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", path, err)
	}
	temporary := path + ".tmp"
	if err := d.writeFile(temporary, append(data, '\n')); err != nil {
		os.Remove(temporary) // best effort: a leftover is removed at the next start
		return Problem(err)
	}
	if err := d.at("renaming " + filepath.Base(path)); err != nil {
		return Problem(err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return Problem(err)
	}
	return Problem(syncDir(filepath.Dir(path)))
}

func (d Disk) writeFile(path string, data []byte) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := d.at("writing " + filepath.Base(strings.TrimSuffix(path, ".tmp"))); err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.Sync()
}

// Remove deletes a record. That a deletion may be lost in a power failure is fine for every record here: one that
// comes back is found to be of no use and deleted again.
func (d Disk) Remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return Problem(err)
	}
	return nil
}

// Load reads every record of a folder and deletes what a crash left half-written.
func Load[T any](dir string, each func(*T) error) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		switch filepath.Ext(path) {
		case ".tmp":
			if err := os.Remove(path); err != nil {
				return err
			}
		case ".json":
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			record := new(T)
			if err := json.Unmarshal(data, record); err != nil {
				return fmt.Errorf("the record %s cannot be read: %w", path, err)
			}
			if err := each(record); err != nil {
				return err
			}
		}
	}
	return nil
}

// Problem makes a plain sentence of a full disk and leaves every other error as it is.
func Problem(err error) error {
	if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) {
		return err
	}
	where := "the state folder"
	if path, ok := errors.AsType[*os.PathError](err); ok {
		where = filepath.Dir(path.Path)
	}
	return problem.New(problem.ResourceExhausted, "LIMIT_EXCEEDED", "the disk that holds %s is full", where).Wrap(err)
}

func syncDir(dir string) (err error) {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return f.Sync()
}

// FileName makes a file name of a task's or service's name: readable, unique, and short enough for every file
// system.
func FileName(name string) string {
	clean := strings.ReplaceAll(name, "/", "~")
	safe := len(clean) <= 150 && !strings.Contains(name, "~") && strings.IndexFunc(clean, unsafe) < 0
	// Some file systems do not tell upper from lower case.
	safe = safe && clean == strings.ToLower(clean)
	if safe && !strings.HasPrefix(clean, ".") {
		return clean
	}
	sum := sha256.Sum256([]byte(name))
	clean = strings.Map(func(r rune) rune {
		if unsafe(r) {
			return '_'
		}
		return r
	}, clean)
	return strings.TrimLeft(clean[:min(len(clean), 120)], ".") + "~~" + hex.EncodeToString(sum[:8])
}

func unsafe(r rune) bool {
	return r != '~' && r != '_' && r != '.' && r != '-' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
}
