// Package pattern matches events against event patterns, in the language of Amazon EventBridge.
//
// A pattern is a JSON object of the event's shape: keys are ANDed, the members of a leaf's array are ORed, and a member is a
// value or a match expression such as {"prefix": "d-"} (EventBridge: event patterns). What the user guide leaves open follows what
// the service does: numbers are compared by value, and all keys under one array of objects must be satisfied by the same element.
//
// The package is pure. Matching takes time in proportion to the event and the pattern; neither can make it explode.
package pattern

import (
	"fmt"
	"strings"
)

// MaxLength is how many bytes a pattern may have (EventBridge: quotas).
const MaxLength = 4096

// Error says why a pattern is not valid, in EventBridge's words.
type Error struct{ Reason string }

// Error is EventBridge's message of an InvalidEventPatternException.
func (e *Error) Error() string { return "Event pattern is not valid. Reason: " + e.Reason }

func invalid(format string, args ...any) error { return &Error{Reason: fmt.Sprintf(format, args...)} }

// Pattern is a compiled event pattern.
type Pattern struct {
	rules []*node // any of which must match: more than one when the pattern has $or
}

// Compile reads a pattern. What it refuses is an *Error.
func Compile(text []byte) (*Pattern, error) {
	if len(text) > MaxLength {
		return nil, invalid("it has %d bytes, at most %d are allowed", len(text), MaxLength)
	}
	root, err := parse(text)
	if err != nil {
		return nil, invalid("%v", err)
	}
	if root.kind != object {
		return nil, invalid("Filter is not an object")
	}
	rules, err := compileObject(root, nil)
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
		return false, fmt.Errorf("the event is no JSON object")
	}
	root = undotted(root)
	for _, rule := range p.rules {
		if rule.match(root) {
			return true, nil
		}
	}
	return false, nil
}

// clause is a leaf of a pattern: one of the tests must hold for what is at the path.
type clause struct {
	path  []string
	tests []test
}

// rule is clauses that must all hold.
type rule []clause

// with adds a clause; of two for the same path the last one counts, as for any key that is there twice.
func (r rule) with(c clause) rule {
	key := strings.Join(c.path, "\x00")
	out := make(rule, 0, len(r)+1)
	for _, have := range r {
		if strings.Join(have.path, "\x00") != key {
			out = append(out, have)
		}
	}
	return append(out, c)
}

// tree joins the clauses by their paths, so that what lies under one key is matched together.
func (r rule) tree() *node {
	root := &node{}
	for _, c := range r {
		at := root
		for i, name := range c.path {
			f := at.field(name)
			if i == len(c.path)-1 {
				f.leaves = append(f.leaves, c.tests)
				break
			}
			if f.child == nil {
				f.child = &node{}
			}
			at = f.child
		}
	}
	root.settle()
	return root
}
