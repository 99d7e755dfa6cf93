package engine

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"
)

// BreakerConfig says when an endpoint's circuit opens. Zero fields have defaults.
type BreakerConfig struct {
	Failures int           // calls in a row without an answer that open it, default 5
	Open     time.Duration // for how long, before one call tries, default 10 s
}

// maxEndpoints bounds how many endpoints are remembered.
const maxEndpoints = 4096

// probing is how long an attempt waits while another one tries the endpoint.
const probing = time.Second

// breakers has a circuit for each endpoint, so that a dead handler costs the others nothing. They are this replica's
// own view and are lost with it: what must survive, the failures of an invocation, is in its row.
type breakers struct {
	cfg BreakerConfig
	now func() time.Time

	mu sync.Mutex // may be held while a circuit's own lock is taken
	of map[string]*gobreaker.TwoStepCircuitBreaker[struct{}]

	timesMu sync.Mutex           // may be taken while a circuit's own lock is held
	until   map[string]time.Time // when an open circuit lets a call try
}

func newBreakers(cfg BreakerConfig, now func() time.Time) *breakers {
	cfg.Failures = cmp.Or(cfg.Failures, 5)
	cfg.Open = cmp.Or(cfg.Open, 10*time.Second)
	return &breakers{
		cfg: cfg, now: now,
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
	errFailure    = errors.New("no answer")
	errNotCounted = errors.New("says nothing")
)

// postponement is why and for how long an endpoint takes no call.
type postponement struct {
	delay  time.Duration
	reason string
}

// allow asks whether an endpoint may be called. If so, done must be told what the call says about it.
func (b *breakers) allow(endpoint string) (done func(countAs), no *postponement) {
	report, err := b.breaker(endpoint).Allow()
	if err == nil {
		return func(c countAs) { report(asError(c)) }, nil
	}
	if errors.Is(err, gobreaker.ErrTooManyRequests) {
		return nil, &postponement{delay: probing, reason: fmt.Sprintf("the circuit of %s is half-open: another call tries it", endpoint)}
	}
	b.timesMu.Lock()
	delay := max(b.until[endpoint].Sub(b.now()), 0)
	b.timesMu.Unlock()
	return nil, &postponement{
		delay:  delay + time.Millisecond, // gobreaker is still open at the very instant
		reason: fmt.Sprintf("the circuit of %s is open after %d calls in a row without an answer", endpoint, b.cfg.Failures),
	}
}

func asError(c countAs) error {
	switch c {
	case asFailure:
		return errFailure
	case notCounted:
		return errNotCounted
	default:
		return nil
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
		Timeout:     b.cfg.Open,
		ReadyToTrip: func(c gobreaker.Counts) bool { return int(c.ConsecutiveFailures) >= b.cfg.Failures },
		IsExcluded:  func(err error) bool { return errors.Is(err, errNotCounted) },
		OnStateChange: func(endpoint string, _, to gobreaker.State) {
			if to == gobreaker.StateOpen {
				b.opened(endpoint)
			}
		},
	})
	b.of[endpoint] = made
	return made
}

// opened is called by gobreaker with the circuit's lock held.
func (b *breakers) opened(endpoint string) {
	b.timesMu.Lock()
	defer b.timesMu.Unlock()
	b.until[endpoint] = b.now().Add(b.cfg.Open)
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
	maps.DeleteFunc(b.until, func(endpoint string, _ time.Time) bool { return b.of[endpoint] == nil })
}
