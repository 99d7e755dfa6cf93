package pattern

import (
	"bytes"
	"encoding/json"
	"fmt"
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

var errDepth = fmt.Errorf("it nests deeper than %d", maxDepth)

// value is a JSON value. Members keep their order and their repetitions.
type value struct {
	kind    kind
	text    string // of a string, and the literal of a number or boolean
	items   []*value
	members []member
	byName  map[string]*value // of an event's object with many members
}

type member struct {
	name  string
	value *value
}

// parse reads one JSON value and nothing after it.
func parse(b []byte) (*value, error) {
	var whole json.RawMessage
	if err := json.Unmarshal(b, &whole); err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(whole))
	d.UseNumber()
	return read(d, 0)
}

func read(d *json.Decoder, depth int) (*value, error) {
	if depth > maxDepth {
		return nil, errDepth
	}
	token, err := d.Token()
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

// member is the value of a key; nil when there is none.
func (v *value) member(name string) *value {
	if v.byName != nil {
		return v.byName[name]
	}
	for _, m := range v.members {
		if m.name == name {
			return m.value
		}
	}
	return nil
}
