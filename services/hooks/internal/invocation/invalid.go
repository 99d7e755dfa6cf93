package invocation

import (
	"fmt"
	"strings"
)

// Violation is a field that breaks a rule.
type Violation struct{ Field, Rule string }

// InvalidError lists every violation of an input.
type InvalidError struct{ Violations []Violation }

// Error joins the violations.
func (e *InvalidError) Error() string {
	parts := make([]string, len(e.Violations))
	for i, v := range e.Violations {
		parts[i] = v.Field + " " + v.Rule
	}
	return strings.Join(parts, "; ")
}

func (e *InvalidError) check(ok bool, field, rule string, args ...any) {
	if !ok {
		e.Violations = append(e.Violations, Violation{Field: field, Rule: fmt.Sprintf(rule, args...)})
	}
}

func (e *InvalidError) orNil() error {
	if len(e.Violations) == 0 {
		return nil
	}
	return e
}
