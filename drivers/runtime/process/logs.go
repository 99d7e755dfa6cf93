//go:build linux || darwin

package process

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	"github.com/slipway-deploy/slipway/drivers/runtime/internal/state"
	"github.com/slipway-deploy/slipway/platform/problem"
)

// followInterval is how often a follower looks for more.
const followInterval = 100 * time.Millisecond

// Logs is Runtime.Logs. The logs of a forgotten task are there as long as they are kept.
func (d *Driver) Logs(ctx context.Context, task string, opts runtime.LogOptions, w io.Writer) error {
	folder, stopped, err := d.logsOf(task)
	if err != nil {
		return err
	}
	readers, err := d.readers(folder, task, opts, w)
	if err != nil {
		return err
	}
	ticker := time.NewTicker(followInterval)
	defer ticker.Stop()
	for {
		done := !opts.Follow
		select {
		case <-stopped:
			done = true // what comes now is all that comes
		default:
		}
		for _, r := range readers {
			if err := r.copy(ctx); err != nil {
				return err
			}
		}
		if done {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-stopped:
		case <-ticker.C:
		}
	}
}

// logsOf returns the folder of a task's logs and a channel that is closed once the task is stopped.
func (d *Driver) logsOf(task string) (string, <-chan struct{}, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.tasks[task]; e != nil {
		return d.cfg.taskLogs(e.set.Service, task), e.sup.stopped, nil
	}
	stopped := make(chan struct{})
	close(stopped)
	services, err := os.ReadDir(d.cfg.logsDir())
	if err != nil {
		return "", nil, err
	}
	for _, service := range services {
		folder := filepath.Join(d.cfg.logsDir(), service.Name(), state.FileName(task))
		if info, err := os.Stat(folder); err == nil && info.IsDir() {
			return folder, stopped, nil
		}
	}
	return "", nil, problem.New(problem.NotFound, "TASK_NOT_FOUND", "there is no task %s", task).With("task", task)
}

// readers begin at the tail of each log that is asked for.
func (d *Driver) readers(folder, task string, opts runtime.LogOptions, w io.Writer) ([]*logReader, error) {
	var files []string
	if containers := d.containers(task); containers != nil {
		for _, name := range containers {
			files = append(files, state.FileName(name)+logSuffix)
		}
	} else {
		entries, err := os.ReadDir(folder)
		if err != nil {
			return nil, err
		}
		for _, entry := range entries {
			if strings.HasSuffix(entry.Name(), logSuffix) {
				files = append(files, entry.Name())
			}
		}
	}
	if opts.Container != "" {
		only := state.FileName(opts.Container) + logSuffix
		if !slices.Contains(files, only) {
			return nil, problem.Invalid("container", "task %s has no container %s", task, opts.Container)
		}
		files = []string{only}
	}
	var readers []*logReader
	for _, file := range files {
		r := &logReader{log: d.logs.get(filepath.Join(folder, file)), w: w}
		if len(files) > 1 {
			r.prefix = strings.TrimSuffix(file, logSuffix) + " | "
		}
		var err error
		if r.place, err = r.log.tail(opts.Tail); err != nil {
			return nil, err
		}
		readers = append(readers, r)
	}
	return readers, nil
}

func (d *Driver) containers(task string) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.tasks[task]; e != nil {
		return e.containers
	}
	return nil
}

// logReader copies one log from its place on.
type logReader struct {
	log    *logFile
	place  int64
	w      io.Writer
	prefix string // before each line; empty: as it is
	inLine bool
}

// copy copies what there is now.
func (r *logReader) copy(ctx context.Context) error {
	buffer := make([]byte, 32<<10)
	_, end := r.log.bounds()
	for r.place < end && ctx.Err() == nil {
		n, at, err := r.log.read(buffer, r.place)
		if err != nil || n == 0 {
			return err
		}
		r.place = at + int64(n)
		if err := r.write(buffer[:n]); err != nil {
			return err
		}
	}
	return nil
}

func (r *logReader) write(data []byte) error {
	if r.prefix == "" {
		_, err := r.w.Write(data)
		return err
	}
	var out bytes.Buffer
	for line := range bytes.Lines(data) {
		if !r.inLine {
			out.WriteString(r.prefix)
		}
		out.Write(line)
		r.inLine = line[len(line)-1] != '\n'
	}
	_, err := r.w.Write(out.Bytes())
	return err
}
