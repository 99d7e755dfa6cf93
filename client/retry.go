package client

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"strings"
	"time"

	errorspb "github.com/slipway-deploy/slipway/gen/go/slipway/errors/v1"
)

const (
	firstWait = 100 * time.Millisecond
	mostWait  = 3 * time.Second
	oneTry    = 10 * time.Second // a service that does not answer for so long is asked again
)

// requestID is a new id for a request, so that a retry of a lost answer does nothing twice.
func requestID() string { return "go-" + strings.ToLower(rand.Text()) }

// patient counts how long a service has not answered, and waits between attempts: each time about twice as long as
// the time before. The waits vary, so that many clients do not come back at once.
type patient struct {
	patience time.Duration
	lost     time.Time
	wait     time.Duration
}

// answered takes in that the service answered.
func (p *patient) answered() { p.lost, p.wait = time.Time{}, 0 }

// over reports whether the patience has ended with this failure.
func (p *patient) over() bool {
	if p.lost.IsZero() {
		p.lost = time.Now()
	}
	return time.Since(p.lost) >= p.patience
}

// pause waits until the next attempt.
func (p *patient) pause(ctx context.Context) error {
	p.wait = min(max(2*p.wait, firstWait), mostWait)
	timer := time.NewTimer(p.wait/2 + mathrand.N(p.wait))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func (c *Client) patient() *patient {
	if c.patience == 0 {
		return &patient{patience: defaultPatience}
	}
	return &patient{patience: c.patience}
}

// errUnknown says that a request was sent and not answered.
var errUnknown = errors.New("whether the request took effect is not known")

func unknown(err error) error { return fmt.Errorf("%w (%w)", err, errUnknown) }

// insist makes a call again until it is answered. The call must carry the same request_id each time. lost is told of each
// attempt that is made again. The error is the service's, or errUnknown with the last failure or the context's error.
func (c *Client) insist(ctx context.Context, lost func(error), call func(context.Context) error) error {
	p := c.patient()
	for {
		err := try(ctx, call)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return unknown(ctx.Err())
		case !again(err):
			return err
		case p.over():
			return unknown(err)
		}
		lost(err)
		if ctxErr := p.pause(ctx); ctxErr != nil {
			return unknown(ctxErr)
		}
	}
}

func try(ctx context.Context, call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, oneTry)
	defer cancel()
	return call(ctx)
}

// again reports whether the same request may be answered when it is sent again.
func again(err error) bool {
	return errors.Is(err, Unavailable) || errors.Is(err, DeadlineExceeded) ||
		ReasonOf(err) == errorspb.Reason_REASON_CONFLICT
}
