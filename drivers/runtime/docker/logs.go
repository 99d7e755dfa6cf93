package docker

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"
	"golang.org/x/sync/errgroup"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	"github.com/slipway-deploy/slipway/platform/problem"
)

// followInterval is how often a follower looks whether a container has been made.
const followInterval = 100 * time.Millisecond

// Logs is Runtime.Logs. They are there as long as the task's name is listed.
func (d *Driver) Logs(ctx context.Context, task string, opts runtime.LogOptions, w io.Writer) error {
	source, err := d.logsOf(task)
	if err != nil {
		return err
	}
	names := source.containers
	if opts.Container != "" {
		if !slices.Contains(names, opts.Container) {
			return problem.Invalid("container", "task %s has no container %s", task, opts.Container)
		}
		names = []string{opts.Container}
	}
	out := &lockedWriter{w: w}
	group, ctx := errgroup.WithContext(ctx)
	for i, name := range source.containers {
		if !slices.Contains(names, name) {
			continue
		}
		var lines io.Writer = out
		if len(names) > 1 {
			lines = &prefixed{out: out, prefix: name + " | "}
		}
		group.Go(func() error { return source.copy(ctx, i, opts, lines) })
	}
	return group.Wait()
}

// logSource is where a task's logs come from.
type logSource struct {
	d          *Driver
	keeper     *keeper
	containers []string
	names      []string // on the engine
	stopped    <-chan struct{}
}

func (d *Driver) logsOf(task string) (*logSource, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	k := d.tasks[task]
	if k == nil {
		return nil, problem.New(problem.NotFound, "TASK_NOT_FOUND", "there is no task %s", task).With("task", task)
	}
	return &logSource{d: d, keeper: k, containers: k.containers, names: k.names, stopped: k.stopped}, nil
}

// engine is the task's engine: another one may take it as long as it has not begun.
func (s *logSource) engine() (*engine, error) {
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	if e := s.d.engine(s.keeper.placed); e != nil {
		return e, nil
	}
	return nil, problem.New(problem.Unavailable, "SERVICE_UNAVAILABLE", "the engine %s of the task is not configured any more", s.keeper.placed)
}

// copy copies one container's log. A follower waits for a container that has not been made yet.
func (s *logSource) copy(ctx context.Context, i int, opts runtime.LogOptions, w io.Writer) error {
	ticker := time.NewTicker(followInterval)
	defer ticker.Stop()
	for {
		e, err := s.engine()
		if err != nil {
			return err
		}
		found, err := e.find(ctx, s.keeper.id, s.names[i])
		if err == nil && !found.gone {
			return e.copyLogs(ctx, found.inspect.ID, opts, w)
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil || !opts.Follow:
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.stopped:
			return nil
		case <-ticker.C:
		}
	}
}

// copyLogs copies until the log or ctx ends.
func (e *engine) copyLogs(ctx context.Context, id string, opts runtime.LogOptions, w io.Writer) error {
	tail := "all"
	if opts.Tail >= 0 {
		tail = strconv.Itoa(opts.Tail)
	}
	stream, err := e.cli.ContainerLogs(ctx, id, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Follow: opts.Follow, Tail: tail})
	if err == nil {
		stop := context.AfterFunc(ctx, func() { _ = stream.Close() })
		defer stop()
		defer stream.Close()
		_, err = stdcopy.StdCopy(w, w, stream)
	}
	if ctx.Err() != nil || errdefs.IsNotFound(err) { // it was removed just now
		return nil
	}
	return e.problem(err)
}

// lockedWriter lets several containers write to one writer.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// prefixed writes whole lines, each with a prefix.
type prefixed struct {
	out    io.Writer
	prefix string
	inLine bool
}

func (p *prefixed) Write(data []byte) (int, error) {
	var out bytes.Buffer
	for line := range bytes.Lines(data) {
		if !p.inLine {
			out.WriteString(p.prefix)
		}
		out.Write(line)
		p.inLine = line[len(line)-1] != '\n'
	}
	if _, err := p.out.Write(out.Bytes()); err != nil {
		return 0, err
	}
	return len(data), nil
}
