package routefile

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/slipway-deploy/slipway/platform/problem"
)

// Store keeps records in a folder, one file for each service. All methods are safe for concurrent use, one Save at a
// time for each service.
type Store struct {
	dir  string
	lock *os.File

	mu   sync.Mutex
	good map[string]bool // services whose current file is known to be whole
}

// Open opens the folder, which it makes if it has to, and holds it until Close: two proxies on one folder would
// overwrite each other's routes.
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("folder for the routes: %w", err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	return &Store{dir: dir, lock: lock, good: make(map[string]bool)}, nil
}

// Close lets go of the folder.
func (s *Store) Close() error { return s.lock.Close() }

// Load returns the last good record of every service. A file that is corrupt, or missing after a crash, is replaced by
// the one before; where that is not good either the service is left out. Each such case is logged in one sentence.
func (s *Store) Load(log *slog.Logger) ([]Record, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, fmt.Errorf("read the routes: %w", err)
	}
	bases := make(map[string]bool)
	var order []string
	for _, e := range entries {
		base, ok := strings.CutSuffix(e.Name(), previousSuffix)
		if !ok {
			base, ok = strings.CutSuffix(e.Name(), suffix)
		}
		if ok && !bases[base] {
			bases[base] = true
			order = append(order, base)
		}
	}
	var records []Record
	for _, base := range order {
		if r, ok := s.loadOne(base, log); ok {
			records = append(records, r)
		}
	}
	return records, nil
}

func (s *Store) loadOne(base string, log *slog.Logger) (Record, bool) {
	name := filepath.Join(s.dir, base+suffix)
	current, err := read(name, base)
	if err == nil {
		s.markGood(current.Service)
		return current, true
	}
	previous, previousErr := read(filepath.Join(s.dir, base+previousSuffix), base)
	if previousErr != nil {
		log.Error("the last routes of a service are lost; it is not served until they are applied again",
			"file", name, "error", err, "previous_error", previousErr)
		return Record{}, false
	}
	log.Error("the last routes of a service cannot be read; the ones before are served until they are applied again",
		"file", name, "service", previous.Service, "generation", previous.Generation, "error", err)
	return previous, true
}

func read(name, base string) (Record, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return Record{}, err
	}
	r, err := decode(b)
	if err != nil {
		return Record{}, err
	}
	if fileName(r.Service) != base {
		return Record{}, fmt.Errorf("%w: it holds the routes of %s", errCorrupt, r.Service)
	}
	return r, nil
}

// Save makes the record the service's last, durably, and keeps the one before. On an error the last one stays. The
// problem is ResourceExhausted for a full disk, Unavailable for any other trouble with it.
func (s *Store) Save(r Record) error {
	data, err := encode(r)
	if err != nil {
		return err
	}
	if err := s.replace(r.Service, data); err != nil {
		if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
			return problem.New(problem.ResourceExhausted, "LIMIT_EXCEEDED",
				"the routes of %s cannot be saved: the proxy's disk is full; what was in force stays", r.Service).With("limit", "disk").Wrap(err)
		}
		return problem.New(problem.Unavailable, "", "the routes of %s cannot be saved by the proxy; what was in force stays", r.Service).Wrap(err)
	}
	s.markGood(r.Service)
	return nil
}

func (s *Store) replace(service string, data []byte) error {
	temp, current := path(s.dir, service, tempSuffix), path(s.dir, service, suffix)
	if err := writeDurably(temp, data); err != nil {
		_ = os.Remove(temp) // a full disk may need the room
		return err
	}
	// A current file that is corrupt must not take the place of the one before.
	if s.isGood(service) {
		if err := os.Rename(current, path(s.dir, service, previousSuffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := os.Rename(temp, current); err != nil {
		return err
	}
	return syncDir(s.dir)
}

func (s *Store) isGood(service string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.good[service]
}

func (s *Store) markGood(service string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.good[service] = true
}

// Forget removes all there is of a service, its generation too.
func (s *Store) Forget(service string) error {
	for _, suffix := range []string{previousSuffix, suffix} {
		if err := os.Remove(path(s.dir, service, suffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("forget the routes of %s: %w", service, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.good, service)
	return nil
}
