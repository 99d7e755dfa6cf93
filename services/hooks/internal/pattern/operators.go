package pattern

import "strings"

// The operators of a match expression. exactly is a synonym of a plain string that the service takes.
const (
	opPrefix     = "prefix"
	opSuffix     = "suffix"
	opIgnoreCase = "equals-ignore-case"
	opWildcard   = "wildcard"
	opAnything   = "anything-but"
	opNumeric    = "numeric"
	opCIDR       = "cidr"
	opExists     = "exists"
	opExactly    = "exactly"
)

// tooMany is what EventBridge says of more than one key in numeric and anything-but.
const tooMany = "Too many elements in numeric expression"

// compileTests reads a leaf's array.
func compileTests(items []*value) ([]test, error) {
	if len(items) == 0 {
		return nil, invalid("Empty arrays are not allowed")
	}
	var tests []test
	for _, item := range items {
		t, err := compileTest(item)
		if err != nil {
			return nil, err
		}
		tests = append(tests, t)
	}
	return tests, checkComplexity(tests)
}

func compileTest(v *value) (test, error) {
	switch v.kind {
	case object:
		return compileExpression(v)
	case array:
		return test{}, invalid("Match value must be String, number, true, false, or null")
	default:
		return exact(v), nil
	}
}

// compileExpression reads a match expression, an object with one key.
func compileExpression(o *value) (test, error) {
	if len(o.members) == 0 {
		return test{}, invalid("Match expression name not found")
	}
	m := o.members[0]
	compile, known := map[string]func(*value) (test, error){
		opPrefix:     affix(opPrefix, strings.HasPrefix, hasPrefixFold),
		opSuffix:     affix(opSuffix, strings.HasSuffix, hasSuffixFold),
		opIgnoreCase: ignoreCase,
		opWildcard:   wildcard,
		opAnything:   anythingBut,
		opNumeric:    numeric,
		opCIDR:       cidr,
		opExists:     exists,
		opExactly:    exactly,
	}[m.name]
	if !known {
		return test{}, invalid("Unrecognized match type %s", m.name)
	}
	t, err := compile(m.value)
	switch {
	case err != nil || len(o.members) == 1:
		return t, err
	case m.name == opNumeric || m.name == opAnything:
		return test{}, invalid(tooMany)
	default:
		return test{}, invalid("Only one key allowed in match expression")
	}
}

// affix is prefix or suffix: a string, or {"equals-ignore-case": string}.
func affix(op string, has, hasFold func(s, affix string) bool) func(*value) (test, error) {
	return func(v *value) (test, error) {
		if v.kind == object {
			return affixFold(op, v, hasFold)
		}
		if v.kind != text {
			return test{}, invalid("%s match pattern must be a string", op)
		}
		return ofString(func(s string) bool { return has(s, v.text) }), nil
	}
}

func affixFold(op string, o *value, hasFold func(s, affix string) bool) (test, error) {
	title := strings.ToUpper(op[:1]) + op[1:]
	switch {
	case len(o.members) == 0:
		return test{}, invalid("%s expression name not found", title)
	case o.members[0].name != opIgnoreCase:
		return test{}, invalid("Unsupported %s pattern: %s", op, o.members[0].name)
	case o.members[0].value.kind != text:
		return test{}, invalid("%s match pattern must be a string", opIgnoreCase)
	case len(o.members) > 1:
		return test{}, invalid("Only one key allowed in match expression")
	}
	affix := o.members[0].value.text
	return ofString(func(s string) bool { return hasFold(s, affix) }), nil
}

func ignoreCase(v *value) (test, error) {
	if v.kind != text {
		return test{}, invalid("%s match pattern must be a string", opIgnoreCase)
	}
	return ofString(func(s string) bool { return strings.EqualFold(s, v.text) }), nil
}

func exactly(v *value) (test, error) {
	if v.kind != text {
		return test{}, invalid("exact match pattern must be a string")
	}
	return is(v.text), nil
}

func exists(v *value) (test, error) {
	if v.kind != boolean {
		return test{}, invalid("exists match pattern must be either true or false.")
	}
	return test{present: v.text == "true", absent: v.text == "false"}, nil
}
