package engine

import "context"

// stream is an open stream of a source.
type stream struct {
	cancel context.CancelFunc
	ended  chan struct{} // closed when what it said does not count any more
}

func (s stream) end() {
	s.cancel()
	close(s.ended)
}

func (e *Engine) open(source string) (context.Context, stream) {
	ctx, cancel := context.WithCancel(e.ctx)
	s := stream{cancel: cancel, ended: make(chan struct{})}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.streams[source] = s
	return ctx, s
}

// reopen opens every stream anew, and returns when nothing counts any more that was said before. Who takes up another replica's
// services knows what that one saved; a stream of its own that lags behind would tell of tasks that are not there any more, or
// not yet.
func (e *Engine) reopen(ctx context.Context) {
	e.mu.Lock()
	open := make([]stream, 0, len(e.streams))
	for _, s := range e.streams {
		open = append(open, s)
	}
	e.mu.Unlock()
	for _, s := range open {
		s.cancel()
	}
	for _, s := range open {
		select {
		case <-s.ended:
		case <-ctx.Done():
			return
		}
	}
}
