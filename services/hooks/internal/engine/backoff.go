package engine

import (
	"context"
	"time"
)

// backoff is the growing pause between tries of something that must succeed some time.
type backoff struct{ last time.Duration }

// first reports whether nothing has failed since the last success.
func (b *backoff) first() bool { return b.last == 0 }

func (b *backoff) next() time.Duration {
	b.last = min(max(2*b.last, firstRetry), lastRetry)
	return b.last
}

func (b *backoff) reset() { b.last = 0 }

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
