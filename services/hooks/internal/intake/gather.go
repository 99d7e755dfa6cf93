package intake

import (
	"context"

	"google.golang.org/grpc"
)

// recordAtOnce is how many arrivals are recorded together at most. While some are on their way to the disk the next ones gather,
// so that what is recorded a second grows with what happens.
const recordAtOnce = 500

// arrival is what a stream brought: an answer, or why it broke.
type arrival[T any] struct {
	answer *T
	broken error
}

// receive reads a stream until it breaks or ctx ends.
func receive[T any](ctx context.Context, stream grpc.ServerStreamingClient[T]) <-chan arrival[T] {
	arrivals := make(chan arrival[T], recordAtOnce)
	go func() {
		defer close(arrivals)
		for {
			answer, err := stream.Recv()
			select {
			case arrivals <- arrival[T]{answer, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return arrivals
}

// gather waits for an arrival and returns it with all that are there already, and why the stream broke, if it did.
func gather[T any](arrivals <-chan arrival[T]) (answers []*T, broken error) {
	for a := range arrivals {
		if a.broken != nil {
			return answers, a.broken
		}
		if answers = append(answers, a.answer); len(answers) == recordAtOnce || len(arrivals) == 0 {
			return answers, nil
		}
	}
	return answers, context.Canceled
}
