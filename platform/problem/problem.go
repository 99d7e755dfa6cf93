// Package problem is the one error vocabulary of Slipway: what kind of failure, for which reason, about which
// fields. It knows no transport and no database; grpcserver and grpcclient carry problems over gRPC, postgres
// makes them from database errors. It imports the standard library only.
package problem

import (
	"errors"
	"fmt"
	"maps"
)

// InvalidField is the reason of every Invalid problem that names fields.
const InvalidField = "INVALID_FIELD"

// Violation is one broken rule of one field, e.g. {"network.port", "must be between 1 and 65535"}.
// A rule about several fields of the request has no Field.
type Violation struct{ Field, Rule string }

// String is "field: rule".
func (v Violation) String() string {
	if v.Field == "" {
		return v.Rule
	}
	return v.Field + ": " + v.Rule
}

// Error is a failure that a caller may be told about. Message, Reason, Metadata and Violations reach the
// caller; Cause stays in the service and its log.
type Error struct {
	// Kind says what a caller can do about it.
	Kind Kind
	// Reason is a name of slipway.errors.v1.Reason without the REASON_ prefix; empty when none fits.
	Reason string
	// Message is one plain sentence for a person.
	Message string
	// Metadata holds the names that the message speaks of, for programs.
	Metadata map[string]string
	// Violations names every broken field; set for Invalid only.
	Violations []Violation
	// Cause is what led to this, for errors.Is, errors.As and the log.
	Cause error
}

// New returns a problem. The format and its arguments make the message that callers read.
func New(kind Kind, reason, format string, args ...any) *Error {
	return &Error{Kind: kind, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// Invalid returns a problem with one violation: the format and its arguments say the rule.
func Invalid(field, format string, args ...any) *Error {
	return Violated(Violation{Field: field, Rule: fmt.Sprintf(format, args...)})
}

// Violated returns an Invalid problem with all the violations. Its message tells the first and counts the rest.
func Violated(violations ...Violation) *Error {
	e := &Error{Kind: InvalidArgument, Reason: InvalidField, Violations: violations, Message: "the request is invalid"}
	if len(violations) > 0 {
		e.Message = violations[0].String()
	}
	if len(violations) > 1 {
		e.Message = fmt.Sprintf("%s (and %d more)", e.Message, len(violations)-1)
	}
	return e
}

// With returns a copy of e with one more metadata entry.
func (e *Error) With(key, value string) *Error {
	c := *e
	c.Metadata = maps.Clone(e.Metadata)
	if c.Metadata == nil {
		c.Metadata = make(map[string]string, 1)
	}
	c.Metadata[key] = value
	return &c
}

// Wrap returns a copy of e with the cause.
func (e *Error) Wrap(cause error) *Error {
	c := *e
	c.Cause = cause
	return &c
}

// Error is the message and the cause: the text for the log, not for callers.
func (e *Error) Error() string {
	text := e.Message
	if text == "" {
		text = e.Kind.Error()
	}
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Is reports whether the target is e's kind, so that errors.Is(err, problem.NotFound) works.
func (e *Error) Is(target error) bool {
	kind, ok := target.(Kind)
	return ok && kind == e.Kind
}

// As returns the outermost problem in err's chain, or nil.
func As(err error) *Error {
	e, _ := errors.AsType[*Error](err)
	return e
}

// KindOf returns the kind of the outermost problem in err's chain: 0 for nil, Internal for any other error.
func KindOf(err error) Kind {
	if err == nil {
		return 0
	}
	if e := As(err); e != nil {
		return e.Kind
	}
	if kind, ok := errors.AsType[Kind](err); ok {
		return kind
	}
	return Internal
}

// ReasonOf returns the reason of the outermost problem in err's chain, or "".
func ReasonOf(err error) string {
	if e := As(err); e != nil {
		return e.Reason
	}
	return ""
}
