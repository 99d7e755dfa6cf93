// Package routefile keeps the last good routes of each service on disk, so that the proxy serves on after a restart
// before any control plane speaks. A write is atomic and durable, and the generation before is kept: a file that
// cannot be read falls back to it. It knows routes as bytes and a generation; it routes nothing.
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
	suffix         = ".routes"
	previousSuffix = ".routes.previous"
	tempSuffix     = ".routes.new"
	magic          = "slipway-routes/1"
)

// encode puts a first line before the record that says how long it is and what its checksum is.
func encode(r Record) ([]byte, error) {
	body, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode the routes of %s: %w", r.Service, err)
	}
	body = append(body, '\n')
	sum := sha256.Sum256(body)
	head := fmt.Sprintf("%s length=%d sha256=%s\n", magic, len(body), hex.EncodeToString(sum[:]))
	return append([]byte(head), body...), nil
}

var errCorrupt = errors.New("is corrupt")

// decode refuses anything that encode did not write, byte for byte.
func decode(b []byte) (Record, error) {
	head, body, ok := bytes.Cut(b, []byte("\n"))
	if !ok {
		return Record{}, fmt.Errorf("%w: it has no first line", errCorrupt)
	}
	sum := sha256.Sum256(body)
	if want := fmt.Sprintf("%s length=%d sha256=%s", magic, len(body), hex.EncodeToString(sum[:])); string(head) != want {
		return Record{}, fmt.Errorf("%w: length or checksum do not fit", errCorrupt)
	}
	var r Record
	if err := json.Unmarshal(body, &r); err != nil {
		return Record{}, fmt.Errorf("%w: %w", errCorrupt, err)
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

// writeDurably makes name hold data, or leaves name as it is.
func writeDurably(name string, data []byte) (err error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
	}()
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.Sync()
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
