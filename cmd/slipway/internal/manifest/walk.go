package manifest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// maxNodes bounds the work on one document: an alias counts each time it is used.
const maxNodes = 200_000

// walker checks one document against the descriptor of its request and makes protojson of it.
type walker struct {
	file     string
	mistakes Mistakes
	fields   map[string]Position
	nodes    int
}

// path is where the walker is: as the proto file names it, and as the file does.
type path struct{ proto, json string }

func (p path) field(fd protoreflect.FieldDescriptor) path {
	if p.proto == "" {
		return path{string(fd.Name()), fd.JSONName()}
	}
	return path{p.proto + "." + string(fd.Name()), p.json + "." + fd.JSONName()}
}

func (p path) index(i any) path {
	return path{fmt.Sprintf("%s[%v]", p.proto, i), fmt.Sprintf("%s[%v]", p.json, i)}
}

func (w *walker) at(n *yaml.Node) Position {
	return Position{File: w.file, Line: n.Line, Column: n.Column}
}

func (w *walker) wrong(n *yaml.Node, format string, args ...any) {
	w.mistakes = append(w.mistakes, Mistake{At: w.at(n), Text: fmt.Sprintf(format, args...)})
}

// enter follows an alias and counts the node. It says false when the document is too large or too deep.
func (w *walker) enter(n *yaml.Node, depth int) (*yaml.Node, bool) {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	w.nodes++
	if w.nodes == maxNodes || depth > maxDepth {
		w.wrong(n, "the document is too large or nested too deep")
		w.nodes = maxNodes
	}
	return n, w.nodes < maxNodes
}

// document finds out the kind and walks the rest.
func (w *walker) document(n *yaml.Node) (Document, bool) {
	n, _ = w.enter(n, 0)
	if n.Kind != yaml.MappingNode {
		w.wrong(n, "a document must be an object with one of the keys %s", kindNames())
		return Document{}, false
	}
	kind, ok := w.kind(n)
	if !ok {
		return Document{}, false
	}
	doc := Document{Kind: kind, Request: kind.request(), At: w.at(n), fields: w.fields}
	tree := w.message(n, doc.Request.ProtoReflect().Descriptor(), path{}, 0)
	if len(w.mistakes) > 0 {
		return Document{}, false
	}
	data, err := json.Marshal(tree)
	if err == nil {
		err = protojson.Unmarshal(data, doc.Request)
	}
	if err != nil { // a rule of protojson that the walk does not know
		w.wrong(n, "%s", strings.TrimPrefix(err.Error(), "proto: "))
		return Document{}, false
	}
	doc.Name = resourceName(doc)
	return doc, true
}

// kind returns the one kind whose key the document has.
func (w *walker) kind(n *yaml.Node) (Kind, bool) {
	var found []Kind
	var first *yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		for _, k := range Kinds() {
			if name := n.Content[i].Value; name == string(k) || name == snake(string(k)) {
				found, first = append(found, k), n.Content[i]
			}
		}
	}
	switch {
	case len(found) == 1:
		return found[0], true
	case len(found) > 1:
		w.wrong(first, `%s and %s in one document; put them into two, with "---" between them`, found[0], found[1])
	case len(n.Content) == 0:
		w.wrong(n, "a document must have one of the keys %s", kindNames())
	default:
		key := n.Content[0]
		w.wrong(key, "unknown field %q in the document%s", key.Value, meant(key.Value, strings.Split(kindNames(), ", ")))
	}
	return "", false
}

// message walks an object. What it returns is ready for protojson.
func (w *walker) message(n *yaml.Node, md protoreflect.MessageDescriptor, at path, depth int) any {
	if known, ok := wellKnown(md.FullName()); ok {
		return known(w, n, at, depth)
	}
	if n.Kind != yaml.MappingNode {
		w.wrong(n, "%s must be an object, not %s", at.json, describe(n))
		return nil
	}
	tree := map[string]any{}
	seen := map[protoreflect.FullName]string{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		fd := w.key(key, md, at)
		if fd == nil || w.repeats(key, fd, seen) {
			continue
		}
		below := at.field(fd)
		w.fields[below.proto] = w.at(key)
		value, ok := w.enter(value, depth+1)
		if !ok {
			return nil
		}
		if value.Tag != "!!null" {
			tree[fd.JSONName()] = w.value(value, fd, below, depth+1)
		}
	}
	return tree
}

// key returns the field that a key names, or nil after telling that none does.
func (w *walker) key(key *yaml.Node, md protoreflect.MessageDescriptor, at path) protoreflect.FieldDescriptor {
	if key.Tag == "!!merge" {
		w.wrong(key, `merge keys ("<<") are not taken; repeat the fields`)
		return nil
	}
	fields := md.Fields()
	if fd := fields.ByJSONName(key.Value); fd != nil {
		return fd
	}
	if fd := fields.ByTextName(key.Value); fd != nil {
		return fd
	}
	var names []string
	for i := range fields.Len() {
		names = append(names, fields.Get(i).JSONName())
	}
	where := at.json
	if where == "" {
		where = "the document"
	}
	w.wrong(key, "unknown field %q in %s%s", key.Value, where, meant(key.Value, names))
	return nil
}

// repeats tells when a field is set twice, or together with another one of its oneof.
func (w *walker) repeats(key *yaml.Node, fd protoreflect.FieldDescriptor, seen map[protoreflect.FullName]string) bool {
	name := fd.FullName()
	if one := fd.ContainingOneof(); one != nil && !one.IsSynthetic() {
		name = one.FullName()
	}
	before, ok := seen[name]
	seen[name] = fd.JSONName()
	switch {
	case ok && before == fd.JSONName():
		w.wrong(key, "field %q is there twice", fd.JSONName())
	case ok:
		w.wrong(key, "%q and %q exclude each other", before, fd.JSONName())
	}
	return ok
}

// resourceName is the name, or the family, inside the document's resource.
func resourceName(doc Document) string {
	m := doc.Request.ProtoReflect()
	fd := m.Descriptor().Fields().ByJSONName(string(doc.Kind))
	resource := m.Get(fd).Message()
	fields := resource.Descriptor().Fields()
	for _, name := range []protoreflect.Name{"name", "family"} {
		if f := fields.ByName(name); f != nil {
			return resource.Get(f).String()
		}
	}
	return ""
}

func kindNames() string {
	var names []string
	for _, k := range Kinds() {
		names = append(names, string(k))
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
