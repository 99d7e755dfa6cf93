package pattern

import (
	"slices"
	"strings"
)

// maxCombinations bounds what $or may come to (EventBridge: 1000 combinations).
const maxCombinations = 1000

const orKey = "$or"

// compileObject returns the rules of an object of a pattern, any of which must match.
func compileObject(o *value, path []string) ([]rule, error) {
	if len(o.members) == 0 {
		return nil, invalid("Empty objects are not allowed")
	}
	rules := []rule{nil}
	for _, m := range o.members {
		var err error
		if m.name == orKey && isAlternatives(m.value) {
			rules, err = alternatives(rules, m.value, path)
		} else {
			rules, err = compileField(rules, m, path)
		}
		if err != nil {
			return nil, err
		}
		if len(rules) > maxCombinations {
			return nil, invalid("there are more than %d combinations of $or", maxCombinations)
		}
	}
	return rules, nil
}

// compileField adds what a key asks for to every rule.
func compileField(rules []rule, m member, path []string) ([]rule, error) {
	at := append(slices.Clip(path), strings.Split(m.name, ".")...)
	switch m.value.kind {
	case object:
		inner, err := compileObject(m.value, at)
		if err != nil {
			return nil, err
		}
		return product(rules, inner, rule.with), nil
	case array:
		tests, err := compileTests(m.value.items)
		if err != nil {
			return nil, err
		}
		return product(rules, []rule{{clause{at, tests}}}, rule.with), nil
	default:
		return nil, invalid("%q must be an object or an array", m.name)
	}
}

// alternatives adds one of the patterns of an $or to each rule.
func alternatives(rules []rule, or *value, path []string) ([]rule, error) {
	var either []rule
	for _, item := range or.items {
		inner, err := compileObject(item, path)
		if err != nil {
			return nil, err
		}
		if either = append(either, inner...); len(either) > maxCombinations {
			break
		}
	}
	return product(rules, either, func(r rule, c clause) rule { return append(slices.Clip(r), c) }), nil
}

// product joins each of a with each of b, and stops when there are too many.
func product(a, b []rule, join func(rule, clause) rule) []rule {
	var out []rule
	for _, left := range a {
		for _, right := range b {
			joined := left
			for _, c := range right {
				joined = join(joined, c)
			}
			if out = append(out, joined); len(out) > maxCombinations {
				return out
			}
		}
	}
	return out
}

// isAlternatives tells an $or from an ordinary field of that name: it has two objects at least, none empty, and none of them
// is a match expression.
func isAlternatives(v *value) bool {
	if v.kind != array || len(v.items) < 2 {
		return false
	}
	for _, item := range v.items {
		if item.kind != object || len(item.members) == 0 {
			return false
		}
		for _, m := range item.members {
			if isOperator(m.name) {
				return false
			}
		}
	}
	return true
}
