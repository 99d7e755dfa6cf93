package rule

import (
	"strconv"
	"strings"
)

// The precedences of writing: a node that binds less than its place asks for needs parentheses.
const (
	precOr = iota
	precAnd
	precNot
	precPrim
)

type node interface {
	eval(state func(string) string) bool
	triggers(state func(string) string, add func(name string))
	write(b *strings.Builder, precedence int)
}

type (
	constant  bool
	condition struct{ state, ref string }
	negation  struct{ of node }
	group     struct {
		or bool
		of []node
	}
	atLeast struct {
		m       int
		percent bool
		not     bool
		state   string
		refs    []string
	}
)

func (n constant) eval(func(string) string) bool { return bool(n) }

func (n condition) eval(state func(string) string) bool { return state(Name(n.ref)) == n.state }

func (n negation) eval(state func(string) string) bool { return !n.of.eval(state) }

func (n group) eval(state func(string) string) bool {
	for _, of := range n.of {
		if of.eval(state) == n.or {
			return n.or
		}
	}
	return !n.or
}

func (n atLeast) eval(state func(string) string) bool {
	held := 0
	for _, ref := range n.refs {
		if n.holds(state, ref) {
			held++
		}
	}
	if n.percent {
		return held*100 >= n.m*len(n.refs)
	}
	return held >= n.m
}

func (n atLeast) holds(state func(string) string, ref string) bool {
	return (state(Name(ref)) == n.state) != n.not
}

func (n constant) triggers(func(string) string, func(string)) {}

func (n condition) triggers(_ func(string) string, add func(string)) { add(Name(n.ref)) }

func (n negation) triggers(state func(string) string, add func(string)) { n.of.triggers(state, add) }

func (n group) triggers(state func(string) string, add func(string)) {
	value := n.eval(state)
	for _, of := range n.of {
		if of.eval(state) == value {
			of.triggers(state, add)
		}
	}
}

func (n atLeast) triggers(state func(string) string, add func(string)) {
	value := n.eval(state)
	for _, ref := range n.refs {
		if n.holds(state, ref) == value {
			add(Name(ref))
		}
	}
}

func (n constant) write(b *strings.Builder, _ int) {
	b.WriteString(strings.ToUpper(strconv.FormatBool(bool(n))))
}

func (n condition) write(b *strings.Builder, _ int) {
	b.WriteString(n.state + "(" + quote(n.ref) + ")")
}

func (n negation) write(b *strings.Builder, precedence int) {
	parenthesize(b, precedence > precNot, func() {
		b.WriteString("NOT ")
		n.of.write(b, precPrim)
	})
}

func (n group) write(b *strings.Builder, precedence int) {
	own, between := precAnd, " AND "
	if n.or {
		own, between = precOr, " OR "
	}
	parenthesize(b, precedence > own, func() {
		for i, of := range n.of {
			if i > 0 {
				b.WriteString(between)
			}
			of.write(b, own+1)
		}
	})
}

func (n atLeast) write(b *strings.Builder, _ int) {
	b.WriteString("AT_LEAST(" + strconv.Itoa(n.m))
	if n.percent {
		b.WriteByte('%')
	}
	b.WriteString(", ")
	if n.not {
		b.WriteString("NOT ")
	}
	b.WriteString(n.state + ", (")
	for i, ref := range n.refs {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(quote(ref))
	}
	b.WriteString("))")
}

func parenthesize(b *strings.Builder, do bool, inner func()) {
	if do {
		b.WriteByte('(')
	}
	inner()
	if do {
		b.WriteByte(')')
	}
}

func quote(ref string) string {
	if !strings.ContainsFunc(ref, endsName) {
		return ref
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(ref) + `"`
}
