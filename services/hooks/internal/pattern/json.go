package pattern

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// kind is the kind of a JSON value.
type kind int

const (
	null kind = iota
	boolean
	number
	text
	array
	object
)

// maxDepth bounds how deep a pattern or an event may nest.
const maxDepth = 1000

// value is a JSON value. Members keep their order and their repetitions.
type value struct {
	kind    kind
	text    string // of a string, and the literal of a number or boolean
	items   []*value
	members []member
}

type member struct {
	name  string
	value *value
}

// parse reads one JSON value and nothing after it.
func parse(b []byte) (*value, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	v, err := read(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows its end")
	}
	return v, nil
}

func read(d *json.Decoder, depth int) (*value, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("it nests deeper than %d", maxDepth)
	}
	token, err := d.Token()
	if errors.Is(err, io.EOF) {
		return nil, io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case json.Delim:
		if t == '[' {
			return readArray(d, depth)
		}
		return readObject(d, depth)
	case string:
		return &value{kind: text, text: t}, nil
	case json.Number:
		return &value{kind: number, text: t.String()}, nil
	case bool:
		return &value{kind: boolean, text: fmt.Sprint(t)}, nil
	default:
		return &value{kind: null, text: "null"}, nil
	}
}

func readArray(d *json.Decoder, depth int) (*value, error) {
	v := &value{kind: array}
	for d.More() {
		item, err := read(d, depth+1)
		if err != nil {
			return nil, err
		}
		v.items = append(v.items, item)
	}
	return v, end(d)
}

// end reads the delimiter that ends an array or an object.
func end(d *json.Decoder) error {
	_, err := d.Token()
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func readObject(d *json.Decoder, depth int) (*value, error) {
	v := &value{kind: object}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		val, err := read(d, depth+1)
		if err != nil {
			return nil, err
		}
		v.members = append(v.members, member{fmt.Sprint(name), val})
	}
	return v, end(d)
}

// undotted gives each key its own object: {"a.b": 1} becomes {"a": {"b": 1}}, as in a pattern. Of a key that is there twice the
// last one counts; objects that meet at a key because of dots are joined.
func undotted(v *value) *value {
	out := &value{kind: v.kind, text: v.text}
	for _, item := range v.items {
		out.items = append(out.items, undotted(item))
	}
	for _, m := range v.members {
		out.set(m.name, undotted(m.value))
	}
	return out
}

// set puts a value at a path of keys with dots between them.
func (v *value) set(path string, to *value) {
	name, rest, dotted := strings.Cut(path, ".")
	if dotted {
		inner := &value{kind: object}
		inner.set(rest, to)
		to = inner
	}
	for i := range v.members {
		m := &v.members[i]
		if m.name != name {
			continue
		}
		if m.value.kind == object && to.kind == object {
			joined := &value{kind: object, members: append([]member{}, m.value.members...)}
			for _, more := range to.members {
				joined.set(more.name, more.value)
			}
			to = joined
		} else if dotted {
			to = &value{kind: array, items: []*value{m.value, to}}
		}
		m.value = to
		return
	}
	v.members = append(v.members, member{name, to})
}

func (v *value) member(name string) *value {
	for _, m := range v.members {
		if m.name == name {
			return m.value
		}
	}
	return nil
}
