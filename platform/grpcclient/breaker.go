package grpcclient

import (
	"errors"
	"time"

	"github.com/sony/gobreaker/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/slipway-deploy/slipway/platform/problem"
)

const (
	tripAfter    = 5 // failed calls in a row, each after its retries
	openFor      = time.Second
	forgetAfter  = 30 * time.Second
	halfOpenMost = 1 // calls let through to probe
)

type breaker = gobreaker.CircuitBreaker[struct{}]

// newBreaker makes a breaker that counts only a service that cannot be reached or does not answer: any other
// status is an answer. A call that its caller gave up says nothing either way.
func newBreaker(name string) *breaker {
	return gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Name:         name,
		MaxRequests:  halfOpenMost,
		Interval:     forgetAfter,
		Timeout:      openFor,
		ReadyToTrip:  func(counts gobreaker.Counts) bool { return counts.ConsecutiveFailures >= tripAfter },
		IsSuccessful: func(err error) bool { return !unreachable(err) },
		IsExcluded:   func(err error) bool { return status.Code(err) == codes.Canceled },
	})
}

func unreachable(err error) bool {
	code := status.Code(err)
	return code == codes.Unavailable || code == codes.DeadlineExceeded
}

// refused turns the breaker's own errors into a problem and leaves others alone.
func (c *client) refused(err error) error {
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		return problem.New(problem.Unavailable, reasonServiceUnavailable,
			"%s has not answered %d calls in a row; calls are held back for %s", c.name, tripAfter, openFor).
			With("service", c.name).Wrap(err)
	}
	return err
}
