// Package pattern matches events against event patterns, in the language of Amazon EventBridge.
//
// A pattern is a JSON object of the event's shape: keys are ANDed, the members of a leaf's array are ORed, and a member is a
// value or a match expression such as {"prefix": "d-"} (EventBridge: event patterns). What the user guide leaves open follows what
// the service does: numbers are compared by value, and all keys under one array of objects must be satisfied by the same element.
//
// The package is pure. Matching takes time in proportion to the event and the pattern, and its steps are bounded.
package pattern

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// MaxLength is how many characters a pattern may have (EventBridge: quotas).
const MaxLength = 4096

// Error says why a pattern is not valid, in EventBridge's words.
type Error struct{ Reason string }

// Error is EventBridge's message of an InvalidEventPatternException.
func (e *Error) Error() string { return prefix + e.Reason }

const prefix = "Event pattern is not valid. Reason: "

func invalid(format string, args ...any) error { return &Error{Reason: fmt.Sprintf(format, args...)} }

func reasonOf(err error) string { return strings.TrimPrefix(err.Error(), prefix) }

// Pattern is a compiled event pattern.
type Pattern struct {
	rules []*node // any of which must match: more than one when the pattern has $or
}

// Compile reads a pattern. What it refuses is an *Error.
func Compile(text []byte) (*Pattern, error) {
	if n := utf8.RuneCount(text); n > MaxLength {
		return nil, invalid("it has %d characters, at most %d are allowed", n, MaxLength)
	}
	root, err := parse(text)
	if err != nil {
		return nil, invalid("%v", err)
	}
	if root.kind != object {
		return nil, invalid("Filter is not an object")
	}
	rules, err := compileRoot(root)
	if err != nil {
		return nil, err
	}
	p := &Pattern{}
	for _, r := range rules {
		p.rules = append(p.rules, r.tree())
	}
	return p, nil
}

// Match reports whether the event, a JSON object, matches the pattern.
func (p *Pattern) Match(event []byte) (bool, error) {
	root, err := parse(event)
	if err != nil {
		return false, fmt.Errorf("the event is no JSON: %w", err)
	}
	if root.kind != object {
		return false, errors.New("the event is no JSON object")
	}
	if root, err = undotted(root); err != nil {
		return false, fmt.Errorf("the event: %w", err)
	}
	m := &matcher{}
	matches := slices.ContainsFunc(p.rules, func(n *node) bool {
		holds, _ := m.holds(n, root)
		return holds
	})
	if m.steps > maxMatchSteps {
		return false, fmt.Errorf("the event is too large for the pattern: matching takes more than %d steps", maxMatchSteps)
	}
	return matches, nil
}

// clause is a leaf of a pattern: one of the tests must hold for what is at the path.
type clause struct {
	path  []string
	key   string // the path with dots
	tests []test
}

// rule is clauses that must all hold.
type rule []clause

// put adds a clause; of two for the same path the last one counts, as for any key that is there twice.
func (r *rule) put(c clause) {
	for i, have := range *r {
		if have.key == c.key {
			(*r)[i] = c
			return
		}
	}
	*r = append(*r, c)
}

// tree joins the clauses by their paths, so that what lies under one key is matched together.
func (r rule) tree() *node {
	root := &node{}
	for _, c := range r {
		at := root
		for _, name := range c.path {
			at = at.field(name)
		}
		at.tests = c.tests
	}
	root.settle()
	return root
}
