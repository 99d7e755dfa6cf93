package pattern

import "strings"

// anythingBut is {"anything-but": …}: a string, a number, a list of one of them, or an expression of strings. The key must be
// there with a value; what is of another type passes.
func anythingBut(v *value) (test, error) {
	switch v.kind {
	case object:
		return anythingButExpression(v)
	case text, number:
		return except([]test{exact(v)}), nil
	case array:
		return anythingButList(v.items)
	default:
		return test{}, invalid("Value of anything-but must be an array or single string/number value.")
	}
}

func anythingButList(items []*value) (test, error) {
	var none []test
	kinds := map[kind]bool{}
	for _, item := range items {
		if item.kind != text && item.kind != number {
			return test{}, invalid("Inside anything but list, start|null|boolean is not supported.")
		}
		kinds[item.kind] = true
		none = append(none, exact(item))
	}
	if len(kinds) != 1 {
		return test{}, invalid("Inside anything but list, either all values are number or string, mixed type is not supported")
	}
	return except(none), nil
}

// anythingButExpression is {"anything-but": {"prefix": …}} and the like: a string or a list of strings.
func anythingButExpression(o *value) (test, error) {
	if len(o.members) == 0 {
		return test{}, invalid("Anything-But expression name not found")
	}
	op, operand := o.members[0].name, o.members[0].value
	compile, known := map[string]func(*value) (test, error){
		opPrefix:     nonEmpty(affix(opPrefix, strings.HasPrefix, nil)),
		opSuffix:     nonEmpty(affix(opSuffix, strings.HasSuffix, nil)),
		opIgnoreCase: ignoreCase,
		opWildcard:   wildcard,
	}[op]
	if !known {
		return test{}, invalid("Unsupported anything-but pattern: %s", op)
	}
	items := []*value{operand}
	switch operand.kind {
	case array:
		items = operand.items
		if len(items) == 0 {
			return test{}, invalid("Empty arrays are not allowed")
		}
	case text, number:
	default:
		return test{}, invalid("Value of anything-but must be an array or single string/number value.")
	}
	var none []test
	for _, item := range items {
		if item.kind != text {
			return test{}, notStrings(op)
		}
		t, err := compile(item)
		if err != nil {
			return test{}, err
		}
		none = append(none, t)
	}
	if len(o.members) > 1 {
		return test{}, invalid(tooMany)
	}
	return except(none), nil
}

// notStrings is what EventBridge says of an operand of an anything-but expression that is not of strings.
func notStrings(op string) error {
	switch op {
	case opIgnoreCase:
		return invalid("Inside anything-but/equals-ignore-case list, number|start|null|boolean is not supported.")
	case opWildcard:
		return invalid("wildcard match pattern must be a string")
	default:
		return invalid("prefix/suffix match pattern must be a string")
	}
}

// nonEmpty refuses an empty prefix or suffix: every string has it.
func nonEmpty(compile func(*value) (test, error)) func(*value) (test, error) {
	return func(v *value) (test, error) {
		if v.text == "" {
			return test{}, invalid("Null prefix/suffix not allowed")
		}
		return compile(v)
	}
}
