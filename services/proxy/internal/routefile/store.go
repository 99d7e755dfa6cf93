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
	last map[string]last // by service
}

// last is where a service's last record is.
type last struct {
	save int64
	file int  // which of suffixes
	pair bool // there are two files
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
	return &Store{dir: dir, lock: lock, last: make(map[string]last)}, nil
}

// Close lets go of the folder.
func (s *Store) Close() error { return s.lock.Close() }

// Load returns the last good record of every service. A file that is corrupt, or cut by a crash, is left out of account: the record of
// the other one is taken, or the service is left out where that is not good either. Each such case is logged in one sentence.
func (s *Store) Load(log *slog.Logger) ([]Record, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, fmt.Errorf("read the routes: %w", err)
	}
	bases := make(map[string]bool)
	var order []string
	for _, e := range entries {
		base, ok := strings.CutSuffix(e.Name(), suffixes[1])
		if !ok {
			base, ok = strings.CutSuffix(e.Name(), suffixes[0])
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
	var found [2]numbered
	var errs [2]error
	for i, suffix := range suffixes {
		found[i], errs[i] = read(filepath.Join(s.dir, base+suffix), base)
	}
	file := 0 // also of two without numbers
	if errs[0] != nil || (errs[1] == nil && found[1].Save > found[0].Save) {
		file = 1
	}
	r, other := found[file], errs[1-file]
	switch {
	case errs[file] != nil:
		log.Error("the last routes of a service are lost; it is not served until they are applied again",
			"file", filepath.Join(s.dir, base+suffixes[0]), "error", errs[0], "other_error", errs[1])
		return Record{}, false
	case other != nil && !(file == 0 && errors.Is(other, fs.ErrNotExist)): // one file alone is the first
		log.Error("one of a service's two files of routes cannot be read; those in the other, perhaps the ones before, are served until they are applied again",
			"file", filepath.Join(s.dir, base+suffixes[1-file]), "service", r.Service, "generation", r.Generation, "error", other)
	}
	s.setLast(r.Service, last{save: r.Save, file: file, pair: !errors.Is(other, fs.ErrNotExist)})
	return r.Record, true
}

func read(name, base string) (numbered, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return numbered{}, err
	}
	r, err := decode(b)
	if err != nil {
		return numbered{}, err
	}
	if fileName(r.Service) != base {
		return numbered{}, fmt.Errorf("%w: it holds the routes of %s", errCorrupt, r.Service)
	}
	return r, nil
}

// Save makes the record the service's last, durably, and keeps the one before. On an error the last one stays. The
// problem is ResourceExhausted for a full disk, Unavailable for any other trouble with it.
func (s *Store) Save(r Record) error {
	was, known := s.lastOf(r.Service)
	now := last{save: was.save + 1, file: 1 - was.file, pair: known}
	if !known {
		now.file = 0
	}
	data, err := encode(numbered{Save: now.save, Record: r})
	if err != nil {
		return err
	}
	name := path(s.dir, r.Service, suffixes[now.file])
	if was.pair {
		err = overwrite(name, data)
	}
	if !was.pair || errors.Is(err, fs.ErrNotExist) {
		err = create(name, path(s.dir, r.Service, tempSuffix), data)
	}
	if err != nil {
		if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
			return problem.New(problem.ResourceExhausted, "LIMIT_EXCEEDED",
				"the routes of %s cannot be saved: the proxy's disk is full; what was in force stays", r.Service).With("limit", "disk").Wrap(err)
		}
		return problem.New(problem.Unavailable, "", "the routes of %s cannot be saved by the proxy; what was in force stays", r.Service).Wrap(err)
	}
	s.setLast(r.Service, now)
	return nil
}

func (s *Store) lastOf(service string) (last, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, known := s.last[service]
	return l, known
}

func (s *Store) setLast(service string, l last) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last[service] = l
}

// Forget removes all there is of a service, its generation too.
func (s *Store) Forget(service string) error {
	for _, suffix := range suffixes {
		if err := os.Remove(path(s.dir, service, suffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("forget the routes of %s: %w", service, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.last, service)
	return nil
}
