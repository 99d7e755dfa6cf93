package simulation

import (
	"context"
	"sync"

	"google.golang.org/grpc"
)

// feed is the streams of a service. What is said goes to all of them.
type feed[T any] struct {
	mu      sync.Mutex
	streams map[*stream[T]]bool
}

// open begins a stream with a snapshot. The caller sees to it that nothing is said meanwhile.
func (f *feed[T]) open(ctx context.Context, p *process, name string, snapshot *T) *stream[T] {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := &stream[T]{ctx: ctx, process: p, name: name, queue: []*T{snapshot}, filled: make(chan struct{}, 1)}
	if f.streams == nil {
		f.streams = map[*stream[T]]bool{}
	}
	f.streams[s] = true
	context.AfterFunc(ctx, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.streams, s)
	})
	return s
}

func (f *feed[T]) say(m *T) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for s := range f.streams {
		s.push(m)
	}
}

// stream is one process's. Its messages arrive in order; any may be late, doubled, or the last one before it breaks.
type stream[T any] struct {
	grpc.ClientStream

	ctx     context.Context //nolint:containedctx // a stream is what its context bounds
	process *process
	name    string
	filled  chan struct{}

	mu    sync.Mutex
	queue []*T
}

func (s *stream[T]) push(m *T) {
	s.mu.Lock()
	s.queue = append(s.queue, m)
	s.mu.Unlock()
	select {
	case s.filled <- struct{}{}:
	default:
	}
}

func (s *stream[T]) pop() *T {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		return nil
	}
	m := s.queue[0]
	s.queue = s.queue[1:]
	return m
}

// Recv returns the next message when it arrives.
func (s *stream[T]) Recv() (*T, error) {
	for {
		if m := s.pop(); m != nil {
			twice, err := s.process.arrives(s.ctx, s.name)
			if err != nil {
				return nil, err
			}
			if twice {
				s.mu.Lock()
				s.queue = append([]*T{m}, s.queue...)
				s.mu.Unlock()
			}
			return m, nil
		}
		select {
		case <-s.filled:
		case <-s.ctx.Done():
			return nil, s.ctx.Err()
		}
	}
}
