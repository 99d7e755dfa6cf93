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
	name   string
	leaves [][]test // one of each must hold
	child  *node
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
		for _, tests := range f.leaves {
			n.absent = n.absent && mayBeAbsent(tests)
		}
		if f.child != nil {
			f.child.settle()
			n.absent = n.absent && f.child.absent
		}
	}
}

func mayBeAbsent(tests []test) bool {
	return slices.ContainsFunc(tests, func(t test) bool { return t.absent })
}

// match reports whether the node holds for a value; nil is one that is not there. In an array one element must satisfy all
// keys together. A node that holds for what is absent needs absence in every element, or an element that has what it asks for.
func (n *node) match(v *value) bool {
	switch {
	case v == nil || v.kind != object && v.kind != array:
		return n.absent
	case v.kind == object:
		for _, f := range n.fields {
			if !f.match(v.member(f.name)) {
				return false
			}
		}
		return true
	case !n.absent:
		return slices.ContainsFunc(v.items, n.match)
	default:
		return !n.in(v) || slices.ContainsFunc(v.items, func(item *value) bool { return n.in(item) && n.match(item) })
	}
}

// in reports whether a value has anything that the node asks about.
func (n *node) in(v *value) bool {
	switch {
	case v == nil || v.kind != object && v.kind != array:
		return false
	case v.kind == array:
		return slices.ContainsFunc(v.items, n.in)
	}
	return slices.ContainsFunc(n.fields, func(f *field) bool {
		at := v.member(f.name)
		return len(f.leaves) > 0 && len(scalars(nil, at)) > 0 || f.child != nil && f.child.in(at)
	})
}

func (f *field) match(v *value) bool {
	if f.child != nil && !f.child.match(v) {
		return false
	}
	if len(f.leaves) == 0 {
		return true
	}
	values := scalars(nil, v)
	for _, tests := range f.leaves {
		if !slices.ContainsFunc(tests, func(t test) bool { return t.match(values) }) {
			return false
		}
	}
	return true
}

// match asks about the values at a leaf: any of them will do.
func (t test) match(values []*value) bool {
	switch {
	case t.present:
		return len(values) > 0
	case t.absent:
		return len(values) == 0
	default:
		return slices.ContainsFunc(values, t.holds)
	}
}

// scalars is the values at a leaf: itself, or the elements of an array and the arrays in it. Objects are none.
func scalars(into []*value, v *value) []*value {
	switch {
	case v == nil || v.kind == object:
		return into
	case v.kind != array:
		return append(into, v)
	}
	for _, item := range v.items {
		into = scalars(into, item)
	}
	return into
}
