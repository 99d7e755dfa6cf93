package manifest

import (
	"fmt"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// value walks a field's value: a list, a map or a single one.
func (w *walker) value(n *yaml.Node, fd protoreflect.FieldDescriptor, at path, depth int) any {
	switch {
	case fd.IsMap():
		return w.entries(n, fd, at, depth)
	case fd.IsList():
		return w.items(n, fd, at, depth)
	}
	return w.single(n, fd, at, depth)
}

func (w *walker) items(n *yaml.Node, fd protoreflect.FieldDescriptor, at path, depth int) any {
	if n.Kind != yaml.SequenceNode {
		w.wrong(n, "%s must be a list, not %s", at.json, describe(n))
		return nil
	}
	list := []any{}
	for i, item := range n.Content {
		below := at.index(i)
		w.fields[below.proto] = w.at(item)
		item, ok := w.enter(item, depth+1)
		if !ok {
			return nil
		}
		list = append(list, w.single(item, fd, below, depth+1))
	}
	return list
}

func (w *walker) entries(n *yaml.Node, fd protoreflect.FieldDescriptor, at path, depth int) any {
	if n.Kind != yaml.MappingNode {
		w.wrong(n, "%s must be an object, not %s", at.json, describe(n))
		return nil
	}
	tree := map[string]any{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		value, ok := w.enter(n.Content[i+1], depth+1)
		if !ok {
			return nil
		}
		tree[key.Value] = w.single(value, fd.MapValue(), at.index(fmt.Sprintf("%q", key.Value)), depth+1)
	}
	return tree
}

func (w *walker) single(n *yaml.Node, fd protoreflect.FieldDescriptor, at path, depth int) any {
	if fd.Message() != nil {
		return w.message(n, fd.Message(), at, depth)
	}
	if n.Kind != yaml.ScalarNode {
		w.wrong(n, "%s must be %s, not %s", at.json, wanted(fd), describe(n))
		return nil
	}
	value, text := scalar(n, fd)
	if text != "" {
		w.wrong(n, "%s %s", at.json, text)
	}
	return value
}
