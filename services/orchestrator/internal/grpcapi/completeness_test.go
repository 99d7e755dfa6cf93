package grpcapi_test

import (
	"reflect"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// unset is the fields of a message's type, and of the types of its fields, that none of the messages sets.
func unset(messages ...proto.Message) []string {
	set, all := map[protoreflect.FullName]bool{}, map[protoreflect.FullName]bool{}
	var know func(protoreflect.MessageDescriptor)
	know = func(d protoreflect.MessageDescriptor) {
		for i := range d.Fields().Len() {
			f := d.Fields().Get(i)
			if all[f.FullName()] {
				continue
			}
			all[f.FullName()] = true
			if ours(f.Message()) && !f.IsMap() {
				know(f.Message())
			}
		}
	}
	var see func(protoreflect.Message)
	see = func(m protoreflect.Message) {
		m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			set[f.FullName()] = true
			switch {
			case !ours(f.Message()):
			case f.IsList():
				for i := range v.List().Len() {
					see(v.List().Get(i).Message())
				}
			case !f.IsMap():
				see(v.Message())
			}
			return true
		})
	}
	for _, m := range messages {
		know(m.ProtoReflect().Descriptor())
		see(m.ProtoReflect())
	}
	var missing []string
	for name := range all {
		if !set[name] {
			missing = append(missing, strings.TrimPrefix(string(name), "slipway.orchestrator.v1."))
		}
	}
	slices.Sort(missing)
	return missing
}

// zeroes is the fields of a Go type, and of the types in it, that are the zero value in all of the values.
func zeroes(values ...any) []string {
	set, all := map[string]bool{}, map[string]bool{}
	var see func(reflect.Value)
	see = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Pointer:
			if !v.IsNil() {
				see(v.Elem())
			}
		case reflect.Slice:
			for i := range v.Len() {
				see(v.Index(i))
			}
		case reflect.Struct:
			if v.Type() == reflect.TypeFor[time.Time]() {
				return
			}
			for i := range v.NumField() {
				name := v.Type().String() + "." + v.Type().Field(i).Name
				all[name] = true
				set[name] = set[name] || !v.Field(i).IsZero()
				see(v.Field(i))
			}
		}
	}
	for _, v := range values {
		see(reflect.ValueOf(v))
	}
	var missing []string
	for name := range all {
		if !set[name] {
			missing = append(missing, name)
		}
	}
	slices.Sort(missing)
	return missing
}
