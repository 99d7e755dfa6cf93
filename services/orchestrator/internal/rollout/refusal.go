package rollout

import "fmt"

// Refusal is why a user's command was not taken. It names the field and the rule, or the state that forbids it.
type Refusal struct {
	Code       RefusalCode
	Reason     string // a name of slipway.errors.v1.Reason without its prefix
	Message    string
	Metadata   map[string]string
	Violations []Violation
}

// Violation is a field and the rule it breaks.
type Violation struct{ Field, Rule string }

// RefusalCode is the kind of a refusal.
type RefusalCode string

// The kinds of refusal.
const (
	InvalidArgument    RefusalCode = "INVALID_ARGUMENT"
	FailedPrecondition RefusalCode = "FAILED_PRECONDITION"
)

// Error says why in a sentence.
func (r *Refusal) Error() string { return r.Message }

func refuse(reason string, metadata map[string]string, format string, args ...any) *Refusal {
	return &Refusal{Code: FailedPrecondition, Reason: reason, Message: fmt.Sprintf(format, args...), Metadata: metadata}
}

// Invalid makes a refusal of violations, or nil when there are none.
func Invalid(violations []Violation) error {
	if len(violations) == 0 {
		return nil
	}
	first := violations[0].Field + ": " + violations[0].Rule
	if n := len(violations) - 1; n > 0 {
		first += fmt.Sprintf(" (and %d more)", n)
	}
	return &Refusal{Code: InvalidArgument, Reason: "INVALID_FIELD", Message: first, Violations: violations}
}
