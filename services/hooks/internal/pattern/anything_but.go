package pattern

import (
	"slices"
	"strings"
)

// anythingBut is {"anything-but": …}: a string, a number, a list of one of them, or an expression of strings. The key must be
// there with a value; what is of another type passes.
func anythingBut(v *value) (test, error) {
	if v.kind == object {
		return anythingButExpression(v)
	}
	items := []*value{v}
	if v.kind == array {
		items = v.items
		if len(items) == 0 || !alike(items) {
			return test{}, invalid("Inside anything but list, either all values are number or string, mixed type is not supported")
		}
	} else if v.kind != text && v.kind != number {
		return test{}, invalid("Value of anything-but must be an array or single string/number value.")
	}
	var none []test
	for _, item := range items {
		if item.kind == text {
			none = append(none, is(item.text))
		} else {
			none = append(none, isNumber(item.text))
		}
	}
	return except(none), nil
}

func alike(items []*value) bool {
	return !slices.ContainsFunc(items, func(i *value) bool {
		return i.kind != items[0].kind || i.kind != text && i.kind != number
	})
}

// anythingButExpression is {"anything-but": {"prefix": …}} and the like: a string or a list of strings.
func anythingButExpression(o *value) (test, error) {
	if len(o.members) == 0 {
		return test{}, invalid("Anything-But expression name not found")
	}
	m := o.members[0]
	compile, known := map[string]func(*value) (test, error){
		opPrefix:     nonEmpty(affix(opPrefix, strings.HasPrefix, nil)),
		opSuffix:     nonEmpty(affix(opSuffix, strings.HasSuffix, nil)),
		opIgnoreCase: ignoreCase,
		opWildcard:   wildcard,
	}[m.name]
	if !known {
		return test{}, invalid("Unsupported anything-but pattern: %s", m.name)
	}
	items := []*value{m.value}
	if m.value.kind == array {
		if items = m.value.items; len(items) == 0 {
			return test{}, invalid("Empty arrays are not allowed")
		}
	}
	var none []test
	for _, item := range items {
		if item.kind != text {
			return test{}, invalid("Inside anything-but/%s, every value must be a string", m.name)
		}
		t, err := compile(item)
		if err != nil {
			return test{}, err
		}
		none = append(none, t)
	}
	if len(o.members) > 1 {
		return test{}, invalid("Only one key allowed in match expression")
	}
	return except(none), nil
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
