package process

import (
	"bytes"
	"errors"
	"io"
	"os"
	"sync"
)

// logSuffix ends the name of each log file; the older half of a log has ".1" after it.
const logSuffix = ".log"

// logFile is the output of one container: a file that the container itself appends to and, once that has grown too
// big, an older one. It is bounded by copying the file to the older one and cutting it to nothing (the process
// keeps its file descriptor, so renaming would not help); lines written in the instant between the two are lost.
//
// Readers count bytes from where the older file began when the logFile was made, so their place outlives the cut.
type logFile struct {
	path string

	mu    sync.RWMutex
	older int64 // length of the older file
	base  int64 // place of the first byte of the file
}

func newLogFile(path string) *logFile {
	l := &logFile{path: path}
	if info, err := os.Stat(l.olderPath()); err == nil {
		l.older = info.Size()
	}
	l.base = l.older
	return l
}

func (l *logFile) olderPath() string { return l.path + ".1" }

// bounds are the places of the first and after the last byte there is.
func (l *logFile) bounds() (begin, end int64) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	size := int64(0)
	if info, err := os.Stat(l.path); err == nil {
		size = info.Size()
	}
	return l.base - l.older, l.base + size
}

// read reads at a place and returns the place of the first byte it read: a later one when that has gone. No bytes
// and no error: there is nothing yet.
func (l *logFile) read(p []byte, place int64) (n int, at int64, err error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	at = max(place, l.base-l.older)
	path, offset := l.path, at-l.base
	if offset < 0 {
		path, offset = l.olderPath(), offset+l.older
	}
	f, err := os.Open(path)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			err = nil
		}
		return 0, at, err
	}
	defer f.Close()
	n, err = f.ReadAt(p, offset)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, at, err
}

// cut bounds the file to limit bytes. If the older file cannot be written (a full disk) the output is dropped: the
// bound matters more.
func (l *logFile) cut(limit int64) error {
	info, err := os.Stat(l.path)
	if err != nil || info.Size() <= limit {
		return ignoreMissing(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.older = 0
	if err := ignoreMissing(os.Remove(l.olderPath())); err != nil {
		return err
	}
	// Of a file that outgrew its limit by far the end is kept.
	from := max(0, info.Size()-2*limit)
	n, copyErr := copyFile(l.olderPath(), l.path, from, 3*limit)
	if copyErr != nil {
		copyErr = errors.Join(copyErr, ignoreMissing(os.Remove(l.olderPath())))
	} else {
		l.older = n
	}
	l.base += from + n
	return errors.Join(copyErr, os.Truncate(l.path, 0))
}

// copyFile copies what follows after the first bytes, at most limit: a process that writes as fast as we read does not
// keep us for ever.
func copyFile(to, from string, first, limit int64) (n int64, err error) {
	source, err := os.Open(from)
	if err != nil {
		return 0, err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	return io.Copy(target, io.NewSectionReader(source, first, limit))
}

// tail is the place where the last n lines begin; below 0 all of them.
func (l *logFile) tail(n int) (int64, error) {
	begin, end := l.bounds()
	if n < 0 {
		return begin, nil
	}
	if n == 0 {
		return end, nil
	}
	buffer := make([]byte, 64<<10)
	lines := 0
	for place := end; place > begin; {
		size := min(int64(len(buffer)), place-begin)
		chunk := buffer[:size]
		if err := l.fill(chunk, place-size); err != nil {
			return 0, err
		}
		for i := bytes.LastIndexByte(chunk, '\n'); i >= 0; i = bytes.LastIndexByte(chunk[:i], '\n') {
			at := place - size + int64(i) + 1
			if at == end {
				continue // the end of the last line
			}
			if lines++; lines == n {
				return at, nil
			}
		}
		place -= size
	}
	return begin, nil
}

// fill reads exactly the bytes at a place; what is gone by now reads as nothing.
func (l *logFile) fill(p []byte, place int64) error {
	for len(p) > 0 {
		n, at, err := l.read(p, place)
		if err != nil {
			return err
		}
		if n == 0 || at != place {
			clear(p)
			return nil
		}
		p, place = p[n:], place+int64(n)
	}
	return nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
