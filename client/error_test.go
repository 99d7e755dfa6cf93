package client_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/slipway-deploy/slipway/client"
	errorspb "github.com/slipway-deploy/slipway/gen/go/slipway/errors/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
)

// The kinds are those of the services, one for one.
func TestKindsAreThoseOfTheServices(t *testing.T) {
	t.Parallel()
	want := map[client.Kind]problem.Kind{
		client.InvalidArgument: problem.InvalidArgument, client.NotFound: problem.NotFound, client.AlreadyExists: problem.AlreadyExists,
		client.Aborted: problem.Aborted, client.FailedPrecondition: problem.FailedPrecondition,
		client.PermissionDenied: problem.PermissionDenied, client.Unauthenticated: problem.Unauthenticated,
		client.ResourceExhausted: problem.ResourceExhausted, client.Unavailable: problem.Unavailable,
		client.DeadlineExceeded: problem.DeadlineExceeded, client.Canceled: problem.Canceled, client.Internal: problem.Internal,
	}
	if len(want) != len(problem.Kinds()) {
		t.Errorf("%d kinds, the services have %d", len(want), len(problem.Kinds()))
	}
	for kind, p := range want {
		if kind != client.Kind(p) || kind.Error() != p.Error() {
			t.Errorf("%s has the number of %s", kind, problem.Kind(kind))
		}
		err := fmt.Errorf("deploy: %w", &client.Error{Kind: kind})
		for other := range want {
			if got := errors.Is(err, other); got != (kind == other) {
				t.Errorf("errors.Is(%v, %v) = %v", kind, other, got)
			}
		}
	}
}

func TestReasonOfKnowsEveryReason(t *testing.T) {
	t.Parallel()
	for number, name := range errorspb.Reason_name {
		err := fmt.Errorf("deploy: %w", &client.Error{Reason: strings.TrimPrefix(name, "REASON_")})
		if got := client.ReasonOf(err); got != errorspb.Reason(number) {
			t.Errorf("%s is %s", name, got)
		}
	}
	for _, err := range []error{nil, io.EOF, &client.Error{}, &client.Error{Reason: "OF_A_NEWER_SERVICE"}} {
		if got := client.ReasonOf(err); got != errorspb.Reason_REASON_UNSPECIFIED {
			t.Errorf("%v has the reason %s", err, got)
		}
	}
}
