package pattern

import "strings"

// manyMembers is from where on a map finds a key sooner than a look at each.
const manyMembers = 8

// undotted gives each key its own object: {"a.b": 1} becomes {"a": {"b": 1}}, as in a pattern. Objects that meet at a key are
// joined, other values count each, as do those of a key that is there twice.
func undotted(v *value) (*value, error) {
	b := &branch{}
	if err := b.put(v, 0); err != nil {
		return nil, err
	}
	return b.value(), nil
}

// branch is what is at a path of keys.
type branch struct {
	leaves []*value // that are no objects
	isMap  bool
	names  []string
	kids   map[string]*branch
}

func (b *branch) put(v *value, depth int) error {
	switch v.kind {
	case array:
		out := &value{kind: array, items: make([]*value, 0, len(v.items))}
		for _, item := range v.items {
			inner := &branch{}
			if err := inner.put(item, depth+1); err != nil {
				return err
			}
			out.items = append(out.items, inner.value())
		}
		b.leaves = append(b.leaves, out)
	case object:
		b.isMap = true
		for _, m := range v.members {
			names := strings.Split(m.name, ".")
			if depth+len(names) > maxDepth {
				return errDepth
			}
			at := b
			for _, name := range names {
				at.isMap = true
				at = at.kid(name)
			}
			if err := at.put(m.value, depth+len(names)); err != nil {
				return err
			}
		}
	default:
		b.leaves = append(b.leaves, v)
	}
	return nil
}

func (b *branch) kid(name string) *branch {
	k := b.kids[name]
	if k == nil {
		if b.kids == nil {
			b.kids = map[string]*branch{}
		}
		k = &branch{}
		b.kids[name] = k
		b.names = append(b.names, name)
	}
	return k
}

// value is the value at the branch; several that have met are the elements of one array.
func (b *branch) value() *value {
	if len(b.leaves) == 1 && !b.isMap {
		return b.leaves[0]
	}
	if b.isMap && len(b.leaves) == 0 {
		return b.object()
	}
	all := &value{kind: array}
	for _, leaf := range b.leaves {
		if leaf.kind == array {
			all.items = append(all.items, leaf.items...)
		} else {
			all.items = append(all.items, leaf)
		}
	}
	if b.isMap {
		all.items = append(all.items, b.object())
	}
	return all
}

func (b *branch) object() *value {
	o := &value{kind: object, members: make([]member, 0, len(b.names))}
	for _, name := range b.names {
		o.members = append(o.members, member{name, b.kids[name].value()})
	}
	if len(o.members) > manyMembers {
		o.byName = make(map[string]*value, len(o.members))
		for _, m := range o.members {
			o.byName[m.name] = m.value
		}
	}
	return o
}
