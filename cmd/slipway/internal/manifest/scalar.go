package manifest

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// scalar makes what protojson takes for the field of a node, or says what is wrong with it.
func scalar(n *yaml.Node, fd protoreflect.FieldDescriptor) (value any, wrong string) {
	switch fd.Kind() {
	case protoreflect.StringKind, protoreflect.BytesKind:
		if n.Tag != "!!str" {
			return nil, fmt.Sprintf("must be a string, not %s; put it in quotes: %q", describe(n), n.Value)
		}
		return n.Value, ""
	case protoreflect.BoolKind:
		if n.Tag != "!!bool" {
			return nil, "must be true or false, not " + describe(n)
		}
		return strings.EqualFold(n.Value, "true"), ""
	case protoreflect.EnumKind:
		return enum(n, fd.Enum())
	case protoreflect.DoubleKind, protoreflect.FloatKind:
		return float(n)
	}
	return whole(n, fd)
}

// whole is a whole number that fits the field. As in protojson it may stand in quotes.
func whole(n *yaml.Node, fd protoreflect.FieldDescriptor) (any, string) {
	bits, unsigned := 64, false
	switch fd.Kind() {
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		bits = 32
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		bits, unsigned = 32, true
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		unsigned = true
	}
	if n.Tag != "!!int" && n.Tag != "!!str" && n.Tag != "!!float" {
		return nil, "must be a whole number, not " + describe(n)
	}
	if unsigned {
		v, err := strconv.ParseUint(n.Value, base(n), bits)
		if err != nil {
			return nil, fmt.Sprintf("must be a whole number from 0 to %d, not %s", uint64(math.MaxUint64)>>(64-bits), describe(n))
		}
		return json.Number(strconv.FormatUint(v, 10)), ""
	}
	v, err := strconv.ParseInt(n.Value, base(n), bits)
	if err != nil {
		limit := int64(math.MaxInt64) >> (64 - bits)
		return nil, fmt.Sprintf("must be a whole number from %d to %d, not %s", -limit-1, limit, describe(n))
	}
	return json.Number(strconv.FormatInt(v, 10)), ""
}

// base is that of a number's text: any in plain YAML, ten in quotes.
func base(n *yaml.Node) int {
	if n.Tag == "!!int" {
		return 0
	}
	return 10
}

func float(n *yaml.Node) (any, string) {
	if v, err := strconv.ParseInt(n.Value, 0, 64); err == nil && n.Tag == "!!int" {
		return v, ""
	}
	if n.Tag == "!!int" || n.Tag == "!!float" || n.Tag == "!!str" {
		if v, err := strconv.ParseFloat(n.Value, 64); err == nil && !math.IsNaN(v) && !math.IsInf(v, 0) {
			return v, ""
		}
	}
	return nil, "must be a number, not " + describe(n)
}

// enum is the name of an enum's value, with its prefix or without.
func enum(n *yaml.Node, ed protoreflect.EnumDescriptor) (any, string) {
	values := ed.Values()
	prefix := strings.TrimSuffix(string(values.Get(0).Name()), "UNSPECIFIED")
	if n.Tag == "!!int" {
		if number, err := strconv.ParseInt(n.Value, 10, 32); err == nil && values.ByNumber(protoreflect.EnumNumber(number)) != nil {
			return number, ""
		}
	}
	for _, name := range []string{n.Value, prefix + n.Value} {
		if n.Tag == "!!str" && values.ByName(protoreflect.Name(name)) != nil {
			return name, ""
		}
	}
	var names []string
	for i := 1; i < values.Len(); i++ {
		names = append(names, strings.TrimPrefix(string(values.Get(i).Name()), prefix))
	}
	word := strings.TrimPrefix(strings.ToUpper(n.Value), prefix)
	return nil, fmt.Sprintf("has no value %q%s", n.Value, meant(word, names))
}

// wanted says what a field takes, for a message.
func wanted(fd protoreflect.FieldDescriptor) string {
	switch fd.Kind() {
	case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.EnumKind:
		return "a string"
	case protoreflect.BoolKind:
		return "true or false"
	case protoreflect.DoubleKind, protoreflect.FloatKind:
		return "a number"
	}
	return "a whole number"
}

// describe says what a node is, for a message.
func describe(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "an object"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Tag == "!!null":
		return "null"
	case n.Tag == "!!str":
		return "the string " + strconv.Quote(n.Value)
	}
	return n.Value
}
