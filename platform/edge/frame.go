package edge

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"
)

// frame is a message as its bytes, which pass through unread unless a client speaks JSON.
type frame struct {
	descriptor protoreflect.MessageDescriptor
	bytes      []byte
}

// message is an empty message of the frame's type.
func (f *frame) message() proto.Message {
	if t, err := protoregistry.GlobalTypes.FindMessageByName(f.descriptor.FullName()); err == nil {
		return t.New().Interface()
	}
	return dynamicpb.NewMessage(f.descriptor)
}

// protoCodec passes frames through. Connect encodes its own google.rpc.Status with it, too.
type protoCodec struct{}

func (protoCodec) Name() string { return "proto" }

func (protoCodec) Marshal(v any) ([]byte, error) {
	switch m := v.(type) {
	case *frame:
		return m.bytes, nil
	case proto.Message:
		return proto.Marshal(m)
	}
	return nil, fmt.Errorf("%T is no message", v)
}

func (protoCodec) Unmarshal(data []byte, v any) error {
	switch m := v.(type) {
	case *frame:
		m.bytes = append([]byte(nil), data...)
		return nil
	case proto.Message:
		return proto.Unmarshal(data, m)
	}
	return fmt.Errorf("%T is no message", v)
}

// jsonCodec translates frames from and to protojson. A field that the message does not have is an error.
type jsonCodec struct{ name string }

func (c jsonCodec) Name() string { return c.name }

func (jsonCodec) Marshal(v any) ([]byte, error) {
	switch m := v.(type) {
	case *frame:
		message := m.message()
		if err := proto.Unmarshal(m.bytes, message); err != nil {
			return nil, err
		}
		return protojson.Marshal(message)
	case proto.Message:
		return protojson.Marshal(m)
	}
	return nil, fmt.Errorf("%T is no message", v)
}

func (jsonCodec) Unmarshal(data []byte, v any) error {
	switch m := v.(type) {
	case *frame:
		if len(data) == 0 {
			return fmt.Errorf("an empty body is no JSON: send {} for an empty message")
		}
		message := m.message()
		if err := protojson.Unmarshal(data, message); err != nil {
			return err
		}
		var err error
		m.bytes, err = proto.Marshal(message)
		return err
	case proto.Message:
		return protojson.Unmarshal(data, m)
	}
	return fmt.Errorf("%T is no message", v)
}
