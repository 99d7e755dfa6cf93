// Package routefile keeps the last good routes of each service on disk, so that the proxy serves on after a restart
// before any control plane speaks. A service has two files, which are overwritten in turn, durably, so that one is whole
// at any time, and the record before the last is kept: where one cannot be read the other is taken. It knows routes as
// bytes and a generation; it routes nothing.
package routefile

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Record is what is kept for one service.
type Record struct {
	// Service is "cluster/service".
	Service string `json:"service"`
	// Generation is the highest one seen.
	Generation int64 `json:"generation"`
	// Deleted marks a service whose routes are gone; the record stays for its generation.
	Deleted bool `json:"deleted,omitempty"`
	// Routes is what the service serves; nil for a deleted one.
	Routes json.RawMessage `json:"routes,omitempty"`
}

const (
	tempSuffix = ".routes.new"
	magic      = "slipway-routes/2"
	oldMagic   = "slipway-routes/1" // of before records were numbered
	block      = 4 << 10
)

// suffixes are those of a service's two files: one has the last record, the other the one before, in turn.
var suffixes = [2]string{".routes", ".routes.previous"}

// numbered is a record as it is kept; each that is saved for a service has a higher number than the one before.
type numbered struct {
	Save int64 `json:"save"`
	Record
}

// encode puts a first line before the record that says how long it is and what its checksum is, and fills up with empty lines to a
// size at which later records will fit.
func encode(r numbered) ([]byte, error) {
	body, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode the routes of %s: %w", r.Service, err)
	}
	body = append(body, '\n')
	data := append([]byte(head(magic, body)+"\n"), body...)
	size := block
	for size < len(data) {
		size *= 2
	}
	return pad(data, size), nil
}

func head(magic string, body []byte) string {
	sum := sha256.Sum256(body)
	return fmt.Sprintf("%s length=%d sha256=%s", magic, len(body), hex.EncodeToString(sum[:]))
}

func pad(data []byte, size int) []byte {
	return append(data, bytes.Repeat([]byte("\n"), max(size-len(data), 0))...)
}

var errCorrupt = errors.New("is corrupt")

// decode refuses anything that encode did not write, byte for byte. Records of before they were numbered have the number 0.
func decode(b []byte) (numbered, error) {
	first, rest, ok := bytes.Cut(b, []byte("\n"))
	if !ok {
		return numbered{}, fmt.Errorf("%w: it has no first line", errCorrupt)
	}
	kind, length := "", 0
	_, err := fmt.Sscanf(string(first), "%s length=%d", &kind, &length)
	if err != nil || length < 0 || length > len(rest) || (kind != magic && kind != oldMagic) {
		return numbered{}, fmt.Errorf("%w: its first line is not one of this program, or it is too short", errCorrupt)
	}
	body, padding := rest[:length], rest[length:]
	if string(first) != head(kind, body) || len(bytes.Trim(padding, "\n")) > 0 {
		return numbered{}, fmt.Errorf("%w: length or checksum do not fit", errCorrupt)
	}
	var r numbered
	if err := json.Unmarshal(body, &r); err != nil {
		return numbered{}, fmt.Errorf("%w: %w", errCorrupt, err)
	}
	return r, nil
}

// fileName is for people in its first part and unique by its second: a service's name may be longer than a file's.
func fileName(service string) string {
	readable := strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-':
			return c
		}
		return '_'
	}, service)
	sum := sha256.Sum256([]byte(service))
	return readable[:min(len(readable), 80)] + "." + hex.EncodeToString(sum[:8])
}

// create makes name hold data, or leaves name as it is.
func create(name, temp string, data []byte) error {
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(temp) // a full disk may need the room
		return err
	}
	if err := os.Rename(temp, name); err != nil {
		return err
	}
	return syncDir(filepath.Dir(name))
}

// overwrite makes name, which exists, hold data. Nothing about the file changes but what is in it, as long as data fits: the disk is
// waited for, but not the file system's journal, which other programs keep busy. When it fails, what name holds is lost.
func overwrite(name string, data []byte) error { return overwriteSync(name, data, syncData) }

func overwriteSync(name string, data []byte, sync func(*os.File) error) error {
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil {
		_, err = f.Write(pad(data, int(info.Size())))
	}
	if err == nil {
		err = sync(f)
	}
	if err != nil {
		_, _ = f.WriteAt([]byte("spoilt "), 0) // it was refused: a restart must not take it up
	}
	return errors.Join(err, f.Close())
}

// syncDir makes renames in dir durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	return d.Sync()
}

func path(dir, service, suffix string) string { return filepath.Join(dir, fileName(service)+suffix) }
