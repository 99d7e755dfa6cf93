package expression

import (
	"fmt"
	"slices"
	"strings"
)

// checker finds what the parts of expressions are.
type checker struct {
	set   *Set
	kinds map[string]kind // of the metrics, and of the expressions that were checked
	sizes map[string]int  // the most series that they have
	order []string
}

// expression checks the expression of the id and those it refers to; path is the ids that led to it.
func (c *checker) expression(id string, path []string) error {
	if c.kinds[id] != 0 {
		return nil
	}
	if i := slices.Index(path, id); i >= 0 {
		return &Error{ID: id, Message: "the expression is in terms of itself: " + strings.Join(append(path[i:], id), " -> ")}
	}
	path = append(path, id)
	k, err := c.kind(c.set.read[id].root, path)
	if err != nil {
		return named(id, err)
	}
	if k != kindSeries && k != kindArray {
		return &Error{ID: id, Message: fmt.Sprintf("the result of an expression is a time series, and this is %s; TIME_SERIES makes a series of a number", k)}
	}
	size, err := c.size(c.set.read[id].root)
	if err != nil {
		return named(id, err)
	}
	c.kinds[id], c.sizes[id] = k, size
	c.order = append(c.order, id)
	return nil
}

func (c *checker) kind(n node, path []string) (kind, error) {
	switch n.kind {
	case nodeNumber:
		return kindScalar, nil
	case nodeText:
		return kindText, nil
	case nodeWord:
		return kindWord, nil
	case nodeID:
		return c.id(n, path)
	}
	kinds := make([]kind, len(n.of))
	for i := range n.of {
		k, err := c.kind(n.of[i], path)
		if err != nil {
			return 0, err
		}
		kinds[i] = k
	}
	switch n.kind {
	case nodeList:
		return kindArray, listable(n, kinds)
	case nodeNegation:
		return kinds[0], c.operands(n, kinds, true)
	case nodeOperator:
		return slices.MinFunc(kinds, byBreadth), c.operands(n, kinds, slices.Contains([]string{"+", "-", "*", "/", "^"}, n.name))
	}
	return c.call(n, kinds)
}

// size is the most series that a part has, so that arrays of arrays of arrays stay in bounds.
func (c *checker) size(n node) (int, error) {
	switch {
	case n.kind == nodeID && c.kinds[n.name] == kindArray:
		return c.sizes[n.name], nil
	case n.kind == nodeID:
		return 1, nil
	case n.kind == nodeCall && n.name == "METRICS":
		return len(c.set.metrics), nil
	}
	largest, total := 0, 0
	for i := range n.of {
		size, err := c.size(n.of[i])
		if err != nil {
			return 0, err
		}
		largest, total = max(largest, size), total+size
	}
	if n.kind != nodeList {
		return largest, nil
	}
	if total > MaxSeries {
		return 0, &Error{Position: n.at, Message: fmt.Sprintf("an array has at most %d time series, this one has %d", MaxSeries, total)}
	}
	return total, nil
}

// byBreadth orders an array before a series before a scalar: an operator's result is as broad as its broadest operand.
func byBreadth(a, b kind) int {
	const order = "ATS"
	return strings.IndexByte(order, byte(a)) - strings.IndexByte(order, byte(b))
}

func (c *checker) id(n node, path []string) (kind, error) {
	if c.kinds[n.name] == 0 {
		if c.set.read[n.name] == nil {
			return 0, &Error{Position: n.at, Message: fmt.Sprintf("there is no metric or expression with the id %s", n.name)}
		}
		if err := c.expression(n.name, path); err != nil {
			return 0, err
		}
	}
	return c.kinds[n.name], nil
}

func (c *checker) operands(n node, kinds []kind, arithmetic bool) error {
	arrays := 0
	for i, k := range kinds {
		switch {
		case k == kindWord || k == kindText:
			return &Error{Position: n.of[i].at, Message: fmt.Sprintf("%s is no operand of %s", k, n.name)}
		case k == kindArray && !arithmetic:
			return &Error{Position: n.at, Message: fmt.Sprintf("%s takes time series and numbers, and no array", n.name)}
		case k == kindArray:
			arrays++
		}
	}
	if arrays > 1 {
		return &Error{Position: n.at, Message: fmt.Sprintf("%s takes an array with a number or with a time series, and not with another array", n.name)}
	}
	return nil
}

func listable(n node, kinds []kind) error {
	if len(kinds) == 0 {
		return &Error{Position: n.at, Message: "an array has at least one time series"}
	}
	for i, k := range kinds {
		if k != kindSeries && k != kindArray {
			return &Error{Position: n.of[i].at, Message: fmt.Sprintf("an array has time series, and this is %s", k)}
		}
	}
	return nil
}

// call finds the signature that fits.
func (c *checker) call(n node, kinds []kind) (kind, error) {
	f := functions[n.name]
	given := make([]byte, len(kinds))
	for i, k := range kinds {
		given[i] = byte(k)
	}
	for _, signature := range f.signatures {
		in, out, _ := strings.Cut(signature, ">")
		if in == string(given) {
			return kind(out[0]), c.special(n, f)
		}
	}
	return 0, &Error{Position: n.at, Message: fmt.Sprintf("%s takes %s, not %s", n.name, taken(f.signatures), listed(string(given)))}
}

// special checks what a signature does not say.
func (c *checker) special(n node, f function) error {
	for i, allowed := range f.words {
		if i < len(n.of) && n.of[i].kind == nodeWord && !slices.Contains(allowed, n.of[i].name) {
			return &Error{Position: n.of[i].at, Message: fmt.Sprintf("expected %s, found %q", strings.Join(allowed, ", "), n.of[i].name)}
		}
	}
	switch {
	case n.name == "PERIOD" && (n.of[0].kind != nodeID || c.set.read[n.of[0].name] != nil):
		return &Error{Position: n.of[0].at, Message: "PERIOD takes the id of a metric, not an expression"}
	case n.name == "METRICS" && len(n.of) == 0 && len(c.set.metrics) == 0:
		return &Error{Position: n.at, Message: "the alarm has no metric"}
	case n.name == "METRICS" && len(n.of) == 1 && len(c.set.matching(n.of[0].name)) == 0:
		return &Error{Position: n.of[0].at, Message: fmt.Sprintf("no metric of the alarm has %q in its id", n.of[0].name)}
	}
	return nil
}

func taken(signatures []string) string {
	out := make([]string, len(signatures))
	for i, signature := range signatures {
		in, _, _ := strings.Cut(signature, ">")
		out[i] = listed(in)
	}
	return strings.Join(out, " or ")
}

func listed(kinds string) string {
	if kinds == "" {
		return "()"
	}
	out := make([]string, len(kinds))
	for i := range kinds {
		out[i] = kind(kinds[i]).String()
	}
	return "(" + strings.Join(out, ", ") + ")"
}
