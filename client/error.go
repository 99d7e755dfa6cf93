package client

import (
	"errors"
	"strings"

	errorspb "github.com/slipway-deploy/slipway/gen/go/slipway/errors/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
)

// Kind says what a caller can do about an error. It is an error itself, so that errors.Is(err, client.NotFound) works on
// every error of this package.
type Kind int

// The kinds. The zero Kind is none of them; the numbers mean nothing outside a program.
const (
	// InvalidArgument: the request can never work as it is; Error.Violations says why.
	InvalidArgument Kind = iota + 1
	// NotFound: what the request names does not exist.
	NotFound
	// AlreadyExists: what the request creates exists already.
	AlreadyExists
	// Aborted: another writer was faster; read again and retry.
	Aborted
	// FailedPrecondition: the request would work in another state of the resource; Error.Reason says in which.
	FailedPrecondition
	// PermissionDenied: the caller is known and may not do this.
	PermissionDenied
	// Unauthenticated: the token is missing or wrong.
	Unauthenticated
	// ResourceExhausted: a limit is reached.
	ResourceExhausted
	// Unavailable: the service, or something that it needs, cannot be reached now.
	Unavailable
	// DeadlineExceeded: the time ran out; whether the request took effect is not known.
	DeadlineExceeded
	// Canceled: the caller gave up.
	Canceled
	// Internal: a defect of a service; Error.Metadata["id"] finds it in the service's log.
	Internal
)

// Error is the kind in words.
func (k Kind) Error() string { return problem.Kind(k).Error() }

// Violation is one broken rule of one field, e.g. {"service.desired_count", "must be at most 10000"}. A rule about several
// fields has no Field.
type Violation struct{ Field, Rule string }

// String is "field: rule".
func (v Violation) String() string { return problem.Violation(v).String() }

// Error is a call that failed. Get at it with errors.As:
//
//	if e, ok := errors.AsType[*client.Error](err); ok {
//
// The status of gRPC is kept: status.FromError and status.Code work on it as well.
type Error struct {
	// Kind says what to do about it.
	Kind Kind
	// Reason is a name of slipway.errors.v1.Reason without the REASON_ prefix, e.g. "DEPLOYMENT_IN_PROGRESS"; see
	// ReasonOf. Empty when none fits.
	Reason string
	// Message is one sentence for a person.
	Message string
	// Metadata holds the names that the message speaks of, e.g. "deployment" with DEPLOYMENT_IN_PROGRESS.
	Metadata map[string]string
	// Violations names every broken field; set with InvalidArgument only.
	Violations []Violation

	cause error
}

// Error is the message, with every violation.
func (e *Error) Error() string {
	switch {
	case len(e.Violations) > 1:
		rules := make([]string, len(e.Violations))
		for i, v := range e.Violations {
			rules[i] = v.String()
		}
		return strings.Join(rules, "; ")
	case e.Message == "":
		return e.Kind.Error()
	}
	return e.Message
}

// Is reports whether the target is e's kind, so that errors.Is(err, client.NotFound) works.
func (e *Error) Is(target error) bool {
	kind, ok := target.(Kind)
	return ok && kind == e.Kind
}

// Unwrap returns what led to it.
func (e *Error) Unwrap() error { return e.cause }

// ReasonOf returns the reason of the outermost *Error in err's chain, as the contract's enum:
//
//	switch client.ReasonOf(err) {
//	case errorspb.Reason_REASON_DEPLOYMENT_IN_PROGRESS:
//
// It is REASON_UNSPECIFIED for an error without a reason, and for a reason that a newer service gave.
func ReasonOf(err error) errorspb.Reason {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return errorspb.Reason_REASON_UNSPECIFIED
	}
	return errorspb.Reason(errorspb.Reason_value["REASON_"+e.Reason])
}

// toError makes a problem an *Error; other errors, such as io.EOF at the end of a stream, stay as they are.
func toError(err error) error {
	p := problem.As(err)
	if p == nil {
		return err
	}
	e := &Error{Kind: Kind(p.Kind), Reason: p.Reason, Message: p.Message, Metadata: p.Metadata, cause: err}
	for _, v := range p.Violations {
		e.Violations = append(e.Violations, Violation(v))
	}
	return e
}

// invalid is an error about a configuration or a request that was not sent.
func invalid(violations ...Violation) error {
	return &Error{
		Kind: InvalidArgument, Reason: problem.InvalidField, Message: violations[0].String(), Violations: violations,
	}
}
