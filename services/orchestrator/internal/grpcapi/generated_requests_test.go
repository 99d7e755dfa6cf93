package grpcapi_test

import (
	"fmt"
	"math"
	"strings"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

func newMessage(d protoreflect.MessageDescriptor) protoreflect.Message {
	return dynamicpb.NewMessage(d)
}

func ours(d protoreflect.MessageDescriptor) bool {
	return d != nil && strings.HasPrefix(string(d.FullName()), "slipway.")
}

func rulesOf(f protoreflect.FieldDescriptor) *validate.FieldRules {
	rules, _ := proto.GetExtension(f.Options(), validate.E_Field).(*validate.FieldRules)
	return rules
}

// fill sets every field of a message to something that keeps its rules.
func fill(m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		switch {
		case f.IsMap():
		case f.IsList():
			list := m.Mutable(f).List()
			for k := range max(int(rulesOf(f).GetRepeated().GetMinItems()), 1) {
				appendGood(list, f, k)
			}
		case ours(f.Message()):
			fill(m.Mutable(f).Message())
		case f.Message() != nil:
			m.Mutable(f)
		default:
			m.Set(f, good(f, rulesOf(f), 0))
		}
	}
}

func appendGood(list protoreflect.List, f protoreflect.FieldDescriptor, n int) {
	switch {
	case ours(f.Message()):
		fill(list.AppendMutable().Message())
	case f.Message() != nil:
		list.AppendMutable()
	default:
		list.Append(good(f, rulesOf(f).GetRepeated().GetItems(), n))
	}
}

// good is a value that keeps the rules; n makes the items of a list differ.
func good(f protoreflect.FieldDescriptor, rules *validate.FieldRules, n int) protoreflect.Value {
	switch f.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(fmt.Sprintf("a%02d", n))
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(max(rules.GetInt32().GetGte(), 1))
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(1)
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(1)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(n + 1))
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte("a"))
	}
	panic("a kind that the contract did not have: " + f.Kind().String())
}

// breakRules breaks one rule of the message after the other, calls f with the field and a word of the rule while it is
// broken, and mends it.
func breakRules(m protoreflect.Message, in string, f func(field, word string)) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		field, at := fields.Get(i), in+string(fields.Get(i).Name())
		rules := rulesOf(field)
		if rules.GetIgnore() == validate.Ignore_IGNORE_ALWAYS {
			continue
		}
		before := m.Get(field)
		if field.IsList() {
			breakList(m, field, rules.GetRepeated(), at, f)
			if ours(field.Message()) {
				breakRules(m.Get(field).List().Get(0).Message(), at+"[0].", f)
			}
			continue
		}
		for _, bad := range bads(rules) {
			m.Set(field, bad.value)
			f(at, bad.word)
			m.Set(field, before)
		}
		if rules.GetRequired() {
			m.Clear(field)
			f(at, "required")
			m.Set(field, before)
		}
		if ours(field.Message()) {
			breakRules(m.Mutable(field).Message(), at+".", f)
		}
	}
}

func breakList(m protoreflect.Message, field protoreflect.FieldDescriptor, rules *validate.RepeatedRules, at string, f func(field, word string)) {
	list := m.Mutable(field).List()
	size := list.Len()
	if least := rules.GetMinItems(); least > 0 {
		if least == 1 {
			m.Clear(field)
		} else {
			list.Truncate(int(least) - 1)
		}
		f(at, fmt.Sprint(least))
		list = m.Mutable(field).List()
		for list.Len() < size {
			appendGood(list, field, list.Len())
		}
	}
	if rules.HasMaxItems() {
		for list.Len() <= int(rules.GetMaxItems()) {
			appendGood(list, field, list.Len())
		}
		f(at, fmt.Sprint(rules.GetMaxItems()))
		list.Truncate(size)
	}
	if rules.GetUnique() {
		list.Append(list.Get(0))
		f(at, "unique")
		list.Truncate(size)
	}
	for _, bad := range bads(rules.GetItems()) {
		before := list.Get(0)
		list.Set(0, bad.value)
		f(at+"[0]", bad.word)
		list.Set(0, before)
	}
}

type bad struct {
	value protoreflect.Value
	word  string
}

// bads is the values that each break one of the rules of a field.
func bads(rules *validate.FieldRules) []bad {
	var list []bad
	add := func(v protoreflect.Value, word any) { list = append(list, bad{v, fmt.Sprint(word)}) }
	if s := rules.GetString(); s != nil {
		if s.HasMaxLen() {
			add(protoreflect.ValueOfString(strings.Repeat("x", int(s.GetMaxLen())+1)), s.GetMaxLen())
		}
		if s.GetMinLen() > 0 {
			add(protoreflect.ValueOfString(strings.Repeat("x", int(s.GetMinLen())-1)), s.GetMinLen())
		}
		if s.HasPattern() {
			for _, text := range []string{"-", "a b", "a/b", strings.Repeat("x", 256)} {
				add(protoreflect.ValueOfString(text), s.GetPattern())
			}
		}
	}
	if i := rules.GetInt32(); i != nil {
		if i.HasGte() {
			add(protoreflect.ValueOfInt32(i.GetGte()-1), i.GetGte())
		}
		if i.HasLte() {
			add(protoreflect.ValueOfInt32(i.GetLte()+1), i.GetLte())
		}
	}
	if i := rules.GetInt64(); i != nil && i.HasGte() {
		add(protoreflect.ValueOfInt64(i.GetGte()-1), i.GetGte())
	}
	if d := rules.GetDouble(); d != nil {
		add(protoreflect.ValueOfFloat64(-0.1), 0)
		add(protoreflect.ValueOfFloat64(math.NaN()), d.GetLte())
		add(protoreflect.ValueOfFloat64(d.GetLte()+0.1), d.GetLte())
		if d.HasGt() {
			add(protoreflect.ValueOfFloat64(d.GetGt()), "greater")
		}
	}
	if en := rules.GetEnum(); en != nil {
		if en.GetDefinedOnly() {
			add(protoreflect.ValueOfEnum(99), "defined")
		}
		for _, not := range en.GetNotIn() {
			add(protoreflect.ValueOfEnum(protoreflect.EnumNumber(not)), "not be in")
		}
	}
	return list
}
