package pattern

import "slices"

// node is what a rule asks at a path: about the values there, and about the keys under it.
type node struct {
	name   string // the last key of the path
	tests  []test // one must hold for one of the values; none when nothing is asked about the values themselves
	fields []*node
	// absent: the keys under it may all be absent; only exists:false asks for that.
	absent bool
}

func (n *node) field(name string) *node {
	for _, f := range n.fields {
		if f.name == name {
			return f
		}
	}
	f := &node{name: name}
	n.fields = append(n.fields, f)
	return f
}

// settle finds out which nodes hold for keys that are not there.
func (n *node) settle() {
	n.absent = true
	for _, f := range n.fields {
		f.settle()
		n.absent = n.absent && f.absent && f.mayBeAbsent()
	}
}

// mayBeAbsent reports whether the tests hold when no value is there.
func (n *node) mayBeAbsent() bool {
	return len(n.tests) == 0 || slices.ContainsFunc(n.tests, func(t test) bool { return t.absent })
}

// maxMatchSteps bounds the work for one event: well above what 256 KB (EventBridge's largest) and a few hundred tests come to.
const maxMatchSteps = 1 << 25

// matcher counts its steps; when there are too many it stops, and what it says is void.
type matcher struct{ steps int }

func (m *matcher) spent() bool {
	m.steps++
	return m.steps > maxMatchSteps
}

// A rule holds when one value can be chosen for each key that it asks about, so that no two of them are in different elements of
// one array (event-ruler: array consistency). Scalars that are elements of an array themselves go with any other element. A key of
// which no value is chosen must be absent, as far as elements are not ruled out by the values chosen.

// verdict is what is known about a value.
type verdict struct {
	chosen       bool // the node holds with a value chosen in it
	values, keys bool // it has values the node asks about, and keys under it
}

// around is what the scalars of the arrays around a value say of a node's tests: those may be chosen with whatever is in it.
type around struct{ there, pass bool }

// holds judges what is at a path; nil is nothing.
func (m *matcher) holds(n *node, v *value) (holds bool, is verdict) {
	is = m.node(n, v, around{})
	none := (len(n.tests) == 0 || n.mayBeAbsent() && !is.values) && (n.absent && !is.keys)
	return is.chosen || none, is
}

// node judges a value. It looks at each part of the value once.
func (m *matcher) node(n *node, v *value, out around) verdict {
	switch {
	case m.spent() || v == nil:
		return verdict{}
	case v.kind == array:
		return m.items(n, v.items, out)
	case v.kind == object:
		return m.object(n, v, out)
	default:
		there := len(n.tests) > 0
		return verdict{chosen: there && m.passes(n, v) && n.absent, values: there}
	}
}

// passes reports whether a test holds for a value that is there.
func (m *matcher) passes(n *node, v *value) bool {
	return slices.ContainsFunc(n.tests, func(t test) bool { return !m.spent() && (t.present || t.holds != nil && t.holds(v)) })
}

// object judges an object: its keys are independent of each other.
func (m *matcher) object(n *node, v *value, out around) verdict {
	all, chosen, keys := true, false, false
	for _, f := range n.fields {
		holds, is := m.holds(f, v.member(f.name))
		all = all && holds
		chosen = chosen || is.chosen
		keys = keys || is.values || is.keys
	}
	values := len(n.tests) == 0 || out.pass || n.mayBeAbsent() && !out.there
	return verdict{chosen: values && all && chosen, keys: keys}
}

// items judges an array: one element must satisfy all keys together.
func (m *matcher) items(n *node, items []*value, out around) verdict {
	var some verdict
	passes := false // a scalar of this array
	for _, item := range items {
		if item.kind != array && item.kind != object && len(n.tests) > 0 && !m.spent() {
			some.values, out.there = true, true
			passes = passes || m.passes(n, item)
		}
	}
	out.pass = out.pass || passes
	for _, item := range items {
		if item.kind == array || item.kind == object {
			one := m.node(n, item, out)
			some = verdict{some.chosen || one.chosen, some.values || one.values, some.keys || one.keys}
		}
	}
	some.chosen = some.chosen || passes && n.absent && !some.keys
	return some
}
