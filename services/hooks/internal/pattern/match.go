package pattern

import "slices"

// node is the keys of an object that a rule asks about.
type node struct {
	fields []*field
	// absent: it holds for an event that has none of the keys; only exists:false asks for that.
	absent bool
}

// field is what a rule asks about one key.
type field struct {
	name  string
	tests []test // one must hold; none when nothing is asked about the value itself
	child *node
}

func (n *node) field(name string) *field {
	for _, f := range n.fields {
		if f.name == name {
			return f
		}
	}
	f := &field{name: name}
	n.fields = append(n.fields, f)
	return f
}

// settle finds out which nodes hold for what is not there.
func (n *node) settle() {
	n.absent = true
	for _, f := range n.fields {
		if len(f.tests) > 0 {
			n.absent = n.absent && slices.ContainsFunc(f.tests, func(t test) bool { return t.absent })
		}
		if f.child != nil {
			f.child.settle()
			n.absent = n.absent && f.child.absent
		}
	}
}

// maxMatchSteps bounds the work for one event: well above what 256 KB (EventBridge's largest) and a few hundred tests come to.
const maxMatchSteps = 1 << 25

// matcher counts its steps; when there are too many it stops, and what it says is void.
type matcher struct{ steps int }

func (m *matcher) spent() bool {
	m.steps++
	return m.steps > maxMatchSteps
}

// verdict is what is known about a value: whether it has anything that is asked about, and whether it is as asked.
type verdict struct{ found, holds bool }

// node judges a value; nil is one that is not there. It looks at each part of the value once.
func (m *matcher) node(n *node, v *value) verdict {
	switch {
	case m.spent() || v == nil || v.kind != object && v.kind != array:
		return verdict{false, n.absent}
	case v.kind == array:
		return m.items(n, v.items)
	}
	all := verdict{false, true}
	for _, f := range n.fields {
		one := m.field(f, v.member(f.name))
		all.found = all.found || one.found
		all.holds = all.holds && one.holds
	}
	return all
}

// items judges an array: one element must satisfy all keys together. A node that holds for what is absent needs absence in
// every element, or an element that has what it asks for.
func (m *matcher) items(n *node, items []*value) verdict {
	var some verdict
	for _, item := range items {
		one := m.node(n, item)
		some.found = some.found || one.found
		some.holds = some.holds || one.holds && (one.found || !n.absent)
		if some.found && some.holds {
			break
		}
	}
	some.holds = some.holds || n.absent && !some.found
	return some
}

func (m *matcher) field(f *field, v *value) verdict {
	all := verdict{false, true}
	if f.child != nil {
		all = m.node(f.child, v)
	}
	if len(f.tests) == 0 {
		return all
	}
	there := m.anyScalar(v, func(*value) bool { return true })
	holds := slices.ContainsFunc(f.tests, func(t test) bool { return m.leaf(t, v, there) })
	return verdict{all.found || there, all.holds && holds}
}

// leaf asks about the values at a leaf: any of them will do.
func (m *matcher) leaf(t test, v *value, there bool) bool {
	switch {
	case t.present:
		return there
	case t.absent:
		return !there
	default:
		return m.anyScalar(v, t.holds)
	}
}

// anyScalar reports whether one of the values at a leaf holds: itself, or the elements of an array and of the arrays in it.
// Objects are none.
func (m *matcher) anyScalar(v *value, holds func(*value) bool) bool {
	switch {
	case m.spent() || v == nil || v.kind == object:
		return false
	case v.kind == array:
		return slices.ContainsFunc(v.items, func(item *value) bool { return m.anyScalar(item, holds) })
	default:
		return holds(v)
	}
}
