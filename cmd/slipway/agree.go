package main

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// agrees reports whether all that want sets is the same in have, which may have defaults filled in besides.
func agrees(want, have proto.Message) bool {
	return agreesMessage(want.ProtoReflect(), have.ProtoReflect())
}

func agreesMessage(want, have protoreflect.Message) bool {
	ok := true
	want.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.IsList() && fd.Message() != nil:
			ok = agreesList(v.List(), have.Get(fd).List())
		case fd.IsList() || fd.IsMap() || fd.Message() == nil:
			ok = v.Equal(have.Get(fd))
		default:
			ok = have.Has(fd) && agreesMessage(v.Message(), have.Get(fd).Message())
		}
		return ok
	})
	return ok
}

func agreesList(want, have protoreflect.List) bool {
	if want.Len() != have.Len() {
		return false
	}
	for i := range want.Len() {
		if !agreesMessage(want.Get(i).Message(), have.Get(i).Message()) {
			return false
		}
	}
	return true
}
