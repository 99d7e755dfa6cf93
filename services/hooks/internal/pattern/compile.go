package pattern

import (
	"slices"
	"strings"
)

// The bounds of what $or multiplies out to.
const (
	maxCombinations = 1000    // EventBridge's
	maxClauses      = 1 << 16 // ours: keys, over all combinations
)

const orKey = "$or"

// reserved are the keys that may not stand inside $or (event-ruler: Constants).
func reserved(name string) bool {
	return slices.Contains([]string{
		opExactly, opIgnoreCase, opPrefix, opSuffix, opAnything, opExists, opWildcard, opNumeric, opCIDR, "=", "<", "<=", ">", ">=",
		"regex", "not-wildcard", "not-equals-ignore-case", "date-after", "date-on-or-after", "date-before", "date-on-or-before",
		"in-date-range", "ip-address-in-range", "ip-address-not-in-range",
	}, name)
}

// compileRoot returns the rules of a pattern, any of which must match. As in EventBridge, one whose $or can not be alternatives
// is read once more with $or as an ordinary key, and what is wrong then is the reason.
func compileRoot(root *value) ([]rule, error) {
	rules, err := compiler{or: true}.object([]rule{nil}, root, nil, false)
	if err == nil {
		return rules, nil
	}
	rules, again := compiler{}.object([]rule{nil}, root, nil, false)
	if again != nil && again.Error() != err.Error() {
		return nil, invalid("%s (with %s as alternatives: %s)", reasonOf(again), orKey, reasonOf(err))
	}
	return rules, again
}

// compiler reads objects of a pattern into rules.
type compiler struct {
	or bool // $or is alternatives; otherwise it is a key like any other
}

// object adds to each rule what an object asks for; inside tells that it stands in an $or.
func (c compiler) object(rules []rule, o *value, path []string, inside bool) ([]rule, error) {
	if len(o.members) == 0 {
		return nil, invalid("Empty objects are not allowed")
	}
	for _, m := range o.members {
		var err error
		if rules, err = c.member(rules, m, path, inside); err != nil {
			return nil, err
		}
		if err := bounded(rules); err != nil {
			return nil, err
		}
	}
	return rules, nil
}

func bounded(rules []rule) error {
	if len(rules) > maxCombinations {
		return invalid("there are more than %d combinations of %s", maxCombinations, orKey)
	}
	clauses := 0
	for _, r := range rules {
		clauses += len(r)
	}
	if clauses > maxClauses {
		return invalid("the combinations of %s have more than %d keys", orKey, maxClauses)
	}
	return nil
}

func (c compiler) member(rules []rule, m member, path []string, inside bool) ([]rule, error) {
	if c.or && m.name == orKey {
		return c.alternatives(rules, m.value, path)
	}
	if inside && reserved(m.name) {
		return nil, invalid("%s is Ruler reserved fieldName which cannot be used inside %s.", m.name, orKey)
	}
	at := append(slices.Clip(path), strings.Split(m.name, ".")...)
	switch m.value.kind {
	case object:
		return c.object(rules, m.value, at, inside)
	case array:
		tests, err := compileTests(m.value.items)
		if err != nil {
			return nil, err
		}
		asked := clause{at, strings.Join(at, "."), tests}
		for i := range rules {
			rules[i].put(asked)
		}
		return rules, nil
	default:
		return nil, invalid("%q must be an object or an array", m.name)
	}
}

// alternatives makes of each rule one for each pattern of an $or.
func (c compiler) alternatives(rules []rule, or *value, path []string) ([]rule, error) {
	if or.kind != array {
		return nil, invalid("It must be an Array followed with %s.", orKey)
	}
	var either []rule
	for _, item := range or.items {
		if item.kind != object {
			return nil, invalid("Only JSON object is allowed in array of %s relationship.", orKey)
		}
		own := make([]rule, len(rules))
		for i, r := range rules {
			own[i] = slices.Clone(r)
		}
		own, err := c.object(own, item, path, true)
		if err != nil {
			return nil, err
		}
		either = append(either, own...)
		if err := bounded(either); err != nil {
			return nil, err
		}
	}
	if len(or.items) < 2 {
		return nil, invalid("There must have at least 2 Objects in %s relationship.", orKey)
	}
	return either, nil
}
