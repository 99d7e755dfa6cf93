package rule

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// truth evaluates a drawn tree without the package: text has it in the language, with all its parentheses.
type tree struct {
	text  string
	value func(map[string]string) bool
	names []string
}

var drawnState = rapid.SampledFrom([]string{"ALARM", "OK", "INSUFFICIENT_DATA"})

// drawnName gives names that need quotes and names that do not, with their spelling.
func drawnName(t *rapid.T) (name, spelling string) {
	name = rapid.SampledFrom([]string{"a", "b-1", "web errors", `q"uote`, `back\slash`, "p(1)", "a,b", "ä", "TRUE", "50%", "AND"}).Draw(t, "name")
	if !needsQuotes(name) && rapid.Bool().Draw(t, "bare") {
		return name, name
	}
	spelling = `"`
	for _, c := range name {
		if c == '"' || c == '\\' {
			spelling += `\`
		}
		spelling += string(c)
	}
	return name, spelling + `"`
}

func needsQuotes(name string) bool {
	return slices.Contains([]string{"web errors", `q"uote`, "p(1)", "a,b"}, name)
}

func drawnTree(t *rapid.T, depth int) tree {
	kind := rapid.IntRange(0, 5).Draw(t, "kind")
	if depth == 0 {
		kind %= 3
	}
	switch kind {
	case 0:
		b := rapid.Bool().Draw(t, "constant")
		return tree{text: map[bool]string{true: "TRUE", false: "FALSE"}[b], value: func(map[string]string) bool { return b }}
	case 1:
		name, spelling := drawnName(t)
		state := drawnState.Draw(t, "state")
		return tree{state + "(" + spelling + ")", func(s map[string]string) bool { return s[name] == state }, []string{name}}
	case 2:
		return drawnAtLeast(t)
	case 3:
		of := drawnTree(t, depth-1)
		return tree{"NOT (" + of.text + ")", func(s map[string]string) bool { return !of.value(s) }, of.names}
	}
	l, r := drawnTree(t, depth-1), drawnTree(t, depth-1)
	names := append(slices.Clone(l.names), r.names...)
	if kind == 4 {
		return tree{"(" + l.text + ") AND (" + r.text + ")", func(s map[string]string) bool { return l.value(s) && r.value(s) }, names}
	}
	return tree{"(" + l.text + ") OR (" + r.text + ")", func(s map[string]string) bool { return l.value(s) || r.value(s) }, names}
}

func drawnAtLeast(t *rapid.T) tree {
	var names []string
	text := ""
	for i := range rapid.IntRange(1, 4).Draw(t, "refs") {
		name, spelling := drawnName(t)
		names = append(names, name)
		if i > 0 {
			text += ","
		}
		text += spelling
	}
	m := rapid.IntRange(1, len(names)).Draw(t, "m")
	not := rapid.Bool().Draw(t, "not")
	state := drawnState.Draw(t, "state")
	head := "AT_LEAST(" + string(rune('0'+m)) + ","
	if not {
		head += "NOT "
	}
	return tree{head + state + ",(" + text + "))", func(s map[string]string) bool {
		n := 0
		for _, name := range names {
			if (s[name] == state) != not {
				n++
			}
		}
		return n >= m
	}, names}
}

func TestARuleIsWhatItsTreeIs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		drawn := drawnTree(t, 4)
		r, err := Parse(drawn.text)
		if err != nil {
			t.Fatalf("%s: %v", drawn.text, err)
		}
		again, err := Parse(r.String())
		if err != nil || again.String() != r.String() {
			t.Fatalf("%s is printed %s, and that is %v %v", drawn.text, r, again, err)
		}
		names := slices.Clone(drawn.names)
		slices.Sort(names)
		if names = slices.Compact(names); !slices.Equal(r.Children(), names) || !slices.Equal(again.Children(), names) {
			t.Fatalf("%s has the children %q, want %q", drawn.text, r.Children(), names)
		}
		states := map[string]string{}
		for _, name := range r.Children() {
			states[name] = drawnState.Draw(t, "state of "+name)
		}
		state := func(name string) string { return states[name] }
		want := drawn.value(states)
		if r.Eval(state) != want || again.Eval(state) != want {
			t.Fatalf("%s with %v: %t and %t, want %t", drawn.text, states, r.Eval(state), again.Eval(state), want)
		}
		// What does not trigger can have any state, and the rule stays what it is.
		triggers := r.Triggers(state)
		for _, name := range r.Children() {
			if !slices.Contains(triggers, name) {
				states[name] = drawnState.Draw(t, "another state of "+name)
			}
		}
		if r.Eval(state) != want {
			t.Fatalf("%s: the triggers are %q, and yet others matter: %v", drawn.text, triggers, states)
		}
	})
}

func TestWithoutNeedlessParentheses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 8).Draw(t, "operands")
		text, value, product := "", false, true
		for i := range n {
			if i > 0 && rapid.Bool().Draw(t, "or") {
				text += " OR "
				value, product = value || product, true
			} else if i > 0 {
				text += " AND "
			}
			not, operand := rapid.Bool().Draw(t, "not"), rapid.Bool().Draw(t, "operand")
			if not {
				text += "NOT "
			}
			text += map[bool]string{true: "TRUE", false: "FALSE"}[operand]
			product = product && operand != not
		}
		want := value || product
		r, err := Parse(text)
		if err != nil || r.Eval(func(string) string { return "" }) != want {
			t.Fatalf("%s: %v, want %t", text, err, want)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"TRUE", `ALARM("a \"b\"") AND NOT (OK(b) OR FALSE)`, "AT_LEAST(50%, NOT ALARM, (a, b))", "((", `"`, "AT_LEAST(", "ALARM(\\)", "ALARM(\xff)",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(r.String())
		if err != nil && len(r.String()) <= len(text) {
			t.Fatalf("%q is printed %q, and that is %v", text, r, err)
		}
		if err == nil && (again.String() != r.String() || !slices.Equal(again.Children(), r.Children())) {
			t.Fatalf("%q is printed %q, and that %q", text, r, again)
		}
	})
}
