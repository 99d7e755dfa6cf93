//go:build linux || darwin

package process

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/slipway-deploy/slipway/drivers/runtime/internal/state"
)

// cutInterval is how often the logs' sizes are looked at.
const cutInterval = time.Second

// logFiles are the logs of the containers that run.
type logFiles struct {
	limit int64
	log   *slog.Logger

	mu    sync.Mutex
	files map[string]*logFile
}

func newLogFiles(limit int64, log *slog.Logger) *logFiles {
	return &logFiles{limit: limit, log: log, files: make(map[string]*logFile)}
}

func (f *logFiles) add(path string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.files[path] == nil {
		f.files[path] = newLogFile(path)
	}
}

func (f *logFiles) remove(path string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.files, path)
}

// get returns the log to read: the one that is cut while its container runs.
func (f *logFiles) get(path string) *logFile {
	f.mu.Lock()
	defer f.mu.Unlock()
	if l := f.files[path]; l != nil {
		return l
	}
	return newLogFile(path)
}

// keepSmall cuts every log that has grown too big, until ctx ends.
func (f *logFiles) keepSmall(ctx context.Context) {
	ticker := time.NewTicker(cutInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			f.cut()
		}
	}
}

func (f *logFiles) cut() {
	f.mu.Lock()
	files := make([]*logFile, 0, len(f.files))
	for _, l := range f.files {
		files = append(files, l)
	}
	f.mu.Unlock()
	for _, l := range files {
		if err := l.cut(f.limit); err != nil {
			f.log.Error("A log cannot be kept small without loss.", "file", l.path, "error", err)
		}
	}
}

// pruneLogs removes the oldest logs of the service's forgotten tasks, of which task is the newest. The lock is held.
func (d *Driver) pruneLogs(service, task string) {
	folder := filepath.Dir(d.cfg.taskLogs(service, task))
	_ = os.Chtimes(d.cfg.taskLogs(service, task), now(), now()) // missing when the task never started
	entries, err := os.ReadDir(folder)
	if err != nil {
		return
	}
	known := make(map[string]bool)
	for name := range d.tasks {
		known[state.FileName(name)] = true
	}
	type old struct {
		path string
		time time.Time
	}
	var forgotten []old
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil && !known[entry.Name()] {
			forgotten = append(forgotten, old{filepath.Join(folder, entry.Name()), info.ModTime()})
		}
	}
	slices.SortFunc(forgotten, func(a, b old) int { return b.time.Compare(a.time) })
	for _, o := range forgotten[min(max(0, d.cfg.KeepLogs), len(forgotten)):] {
		if err := os.RemoveAll(o.path); err != nil {
			d.log.Error("Old logs cannot be removed.", "folder", o.path, "error", err)
		}
	}
}
