package pattern

import (
	"strconv"
)

// bound is one end of a numeric range.
type bound struct {
	op    string
	limit float64
}

func (b bound) holds(f float64) bool {
	switch b.op {
	case "=":
		return f == b.limit
	case "<":
		return f < b.limit
	case "<=":
		return f <= b.limit
	case ">":
		return f > b.limit
	default:
		return f >= b.limit
	}
}

// numeric is {"numeric": [op, number]} or, for a range, [lower op, number, upper op, number].
func numeric(v *value) (test, error) {
	if v.kind != array {
		return test{}, invalid("Value of numeric must be an array.")
	}
	if len(v.items) == 0 {
		return test{}, invalid("Invalid member in numeric match: ]")
	}
	if v.items[0].kind != text {
		return test{}, invalid("Invalid member in numeric match: %s", v.items[0].text)
	}
	first, err := readBound(v.items, "Unrecognized numeric range operator: %s")
	if err != nil {
		return test{}, err
	}
	rest := v.items[2:]
	if len(rest) == 0 {
		return within(first), nil
	}
	if first.op != ">" && first.op != ">=" {
		return test{}, invalid("Too many elements in numeric expression")
	}
	if rest[0].kind != text {
		return test{}, invalid("Bad value in numeric range: %s", rest[0].text)
	}
	if op := rest[0].text; op != "<" && op != "<=" {
		return test{}, invalid("Bad numeric range operator: %s", op)
	}
	second, err := readBound(rest, "Bad numeric range operator: %s")
	if err != nil {
		return test{}, err
	}
	if len(rest) > 2 {
		return test{}, invalid("Too many terms in numeric range expression")
	}
	if first.limit >= second.limit {
		return test{}, invalid("Bottom must be less than top")
	}
	return within(first, second), nil
}

// readBound reads an operator and its number.
func readBound(items []*value, unknown string) (bound, error) {
	op := items[0].text
	switch op {
	case "=", "<", "<=", ">", ">=":
	default:
		return bound{}, invalid(unknown, op)
	}
	name := op
	if op == "=" {
		name = "equals"
	}
	if len(items) < 2 || items[1].kind != number {
		return bound{}, invalid("Value of %s must be numeric", name)
	}
	limit, err := strconv.ParseFloat(items[1].text, 64)
	if err != nil {
		return bound{}, invalid("Value of %s is too large: %s", name, items[1].text)
	}
	return bound{op, limit}, nil
}

func within(bounds ...bound) test {
	return test{holds: func(v *value) bool {
		if v.kind != number {
			return false
		}
		f, err := strconv.ParseFloat(v.text, 64)
		if err != nil {
			return false
		}
		for _, b := range bounds {
			if !b.holds(f) {
				return false
			}
		}
		return true
	}}
}
