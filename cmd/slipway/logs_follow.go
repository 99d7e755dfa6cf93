package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/slipway-deploy/slipway/platform/problem"
)

// lookAgain is how often logs -f looks for tasks that started.
const lookAgain = 2 * time.Second

// followService copies what the tasks of a service print, also of those that start later, until the command is left.
func (l *logReader) followService(ctx context.Context, service string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	out := &lockedWriter{out: l.cli.out}
	reading := map[string]bool{}
	var group sync.WaitGroup
	defer group.Wait()
	ticker := time.NewTicker(lookAgain)
	defer ticker.Stop()
	for {
		tasks, err := l.cli.tasks(ctx, l.api, service)
		if err != nil && ctx.Err() == nil {
			cancel(err)
		}
		for _, name := range worthReading(tasks) {
			if reading[name] {
				continue
			}
			reading[name] = true
			group.Go(func() {
				if err := l.followTask(ctx, name, out); err != nil {
					cancel(err)
				}
			})
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
}

// followTask copies what one task prints until it stops. That it was forgotten is no error.
func (l *logReader) followTask(ctx context.Context, name string, out io.Writer) error {
	w := &prefixWriter{out: out, prefix: name}
	err := l.task(ctx, name, w)
	if closed := w.Close(); err == nil {
		err = closed
	}
	if errors.Is(err, problem.NotFound) || ctx.Err() != nil {
		return nil //nolint:nilerr // the task is gone, or nobody listens any more
	}
	if err != nil {
		return fmt.Errorf("read the log of %s: %w", name, err)
	}
	return nil
}

// lockedWriter lets several tasks write, each write whole.
type lockedWriter struct {
	mu  sync.Mutex
	out io.Writer
}

func (w *lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.out.Write(p)
}
