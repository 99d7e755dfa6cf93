package app_test

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/slipway-deploy/slipway/platform/problem"
)

// eventually polls until f returns something, for what no watch shows.
func eventually[T any](t *testing.T, what string, f func() *T) *T {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(patience)
	for {
		if got := f(); got != nil {
			return got
		}
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("%s did not come", what)
		}
	}
}

// kinds are those that the tests meet.
func kindOf(code codes.Code) problem.Kind {
	switch code {
	case codes.InvalidArgument:
		return problem.InvalidArgument
	case codes.NotFound:
		return problem.NotFound
	case codes.Aborted:
		return problem.Aborted
	case codes.FailedPrecondition:
		return problem.FailedPrecondition
	default:
		return 0
	}
}

// wantProblem checks an error as it came over the network.
func wantProblem(t *testing.T, err error, code codes.Code, reason string) {
	t.Helper()
	p := problem.As(err)
	if p == nil || p.Kind != kindOf(code) || p.Reason != reason {
		t.Errorf("%v (%+v), want %s %s", err, p, code, reason)
	}
}
