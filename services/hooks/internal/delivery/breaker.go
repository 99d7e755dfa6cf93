package delivery

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"
)

// maxEndpoints bounds how many endpoints are remembered.
const maxEndpoints = 4096

// probing is how long a delivery waits while another one tries the endpoint.
const probing = time.Second

// breakers has a circuit for each endpoint. They are this replica's own view and are lost with it.
type breakers struct {
	failures int
	open     time.Duration
	now      func() time.Time

	mu sync.Mutex // may be held while a circuit's own lock is taken
	of map[string]*gobreaker.TwoStepCircuitBreaker[struct{}]

	timesMu sync.Mutex           // may be taken while a circuit's own lock is held
	until   map[string]time.Time // when an open circuit lets a call try
}

func newBreakers(failures int, open time.Duration, now func() time.Time) *breakers {
	return &breakers{
		failures: failures, open: open, now: now,
		of: make(map[string]*gobreaker.TwoStepCircuitBreaker[struct{}]), until: make(map[string]time.Time),
	}
}

// countAs is what a call says about its endpoint.
type countAs int

const (
	asSuccess countAs = iota
	asFailure
	notCounted
)

var (
	errFailure    = errors.New("not taken")
	errNotCounted = errors.New("says nothing")
)

func (c countAs) err() error {
	switch c {
	case asFailure:
		return errFailure
	case notCounted:
		return errNotCounted
	default:
		return nil
	}
}

// postponement is why and for how long an endpoint takes no call.
type postponement struct {
	delay  time.Duration
	reason string
}

// allow asks whether an endpoint may be called. If so, done must be told what the call says about it.
func (b *breakers) allow(endpoint string) (done func(countAs), no *postponement) {
	report, err := b.breaker(endpoint).Allow()
	if err == nil {
		return func(c countAs) { report(c.err()) }, nil
	}
	if errors.Is(err, gobreaker.ErrTooManyRequests) {
		return nil, &postponement{delay: min(probing, b.open), reason: fmt.Sprintf("the circuit of %s is half-open: another call tries it", endpoint)}
	}
	b.timesMu.Lock()
	delay := max(b.until[endpoint].Sub(b.now()), 0)
	b.timesMu.Unlock()
	return nil, &postponement{
		delay:  delay + time.Millisecond, // gobreaker is still open at the very instant
		reason: fmt.Sprintf("the circuit of %s is open after %d calls in a row without success", endpoint, b.failures),
	}
}

func (b *breakers) breaker(endpoint string) *gobreaker.TwoStepCircuitBreaker[struct{}] {
	b.mu.Lock()
	defer b.mu.Unlock()
	if have := b.of[endpoint]; have != nil {
		return have
	}
	if len(b.of) >= maxEndpoints {
		b.forget()
	}
	made := gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name:        endpoint,
		MaxRequests: 1,
		Timeout:     b.open,
		ReadyToTrip: func(c gobreaker.Counts) bool { return int(c.ConsecutiveFailures) >= b.failures },
		IsExcluded:  func(err error) bool { return errors.Is(err, errNotCounted) },
		OnStateChange: func(endpoint string, _, to gobreaker.State) {
			if to == gobreaker.StateOpen {
				b.timesMu.Lock()
				defer b.timesMu.Unlock()
				b.until[endpoint] = b.now().Add(b.open)
			}
		},
	})
	b.of[endpoint] = made
	return made
}

// forget drops the circuits that have nothing to say. The lock is held.
func (b *breakers) forget() {
	for endpoint, breaker := range b.of {
		if breaker.State() == gobreaker.StateClosed && breaker.Counts().ConsecutiveFailures == 0 {
			delete(b.of, endpoint)
		}
	}
	b.timesMu.Lock()
	defer b.timesMu.Unlock()
	for endpoint := range b.until {
		if b.of[endpoint] == nil {
			delete(b.until, endpoint)
		}
	}
}
