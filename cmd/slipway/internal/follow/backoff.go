package follow

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	firstWait = 100 * time.Millisecond
	mostWait  = 3 * time.Second
)

// Backoff is the pauses between attempts, each about twice as long as the one before up to 3 s. The zero value is ready.
type Backoff struct {
	wait time.Duration
}

// Wait waits until the next attempt. The waits vary, so that many clients do not come back at once.
func (b *Backoff) Wait(ctx context.Context) error {
	b.wait = min(max(2*b.wait, firstWait), mostWait)
	timer := time.NewTimer(b.wait/2 + rand.N(b.wait))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
