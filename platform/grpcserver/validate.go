package grpcserver

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"buf.build/go/protovalidate"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/slipway-deploy/slipway/platform/problem"
)

func (s *Server) validateUnary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if err := s.Check(req); err != nil {
		return nil, err
	}
	return handler(ctx, req)
}

func (s *Server) validateStream(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	return handler(srv, &validatedStream{ServerStream: stream, check: s.Check})
}

// validatedStream checks each message that the client sends.
type validatedStream struct {
	grpc.ServerStream
	check func(any) error
}

func (s *validatedStream) RecvMsg(m any) error {
	if err := s.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	return s.check(m)
}

// Check returns one Invalid problem that names every broken rule of the message. Requests are checked before a handler sees
// them; a handler that puts a message together from several checks the whole.
func (s *Server) Check(m any) error {
	msg, ok := m.(proto.Message)
	if !ok {
		return nil
	}
	var broken nuls
	if broken.message("", msg.ProtoReflect()); len(broken) > 0 {
		return problem.Violated(broken...)
	}
	err := s.validate.Validate(msg)
	if err == nil {
		return nil
	}
	var invalid *protovalidate.ValidationError
	if !errors.As(err, &invalid) {
		return fmt.Errorf("validate %s: %w", msg.ProtoReflect().Descriptor().FullName(), err)
	}
	violations := make([]problem.Violation, 0, len(invalid.Violations))
	for _, v := range invalid.Violations {
		violations = append(violations, problem.Violation{
			Field: protovalidate.FieldPathString(v.Proto.GetField()), Rule: ruleOf(v),
		})
	}
	return problem.Violated(violations...)
}

// nuls collects every text with a NUL in it: PostgreSQL takes none.
type nuls []problem.Violation

func (n *nuls) message(path string, m protoreflect.Message) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		at := path + string(f.Name())
		switch {
		case f.IsList():
			for i := range v.List().Len() {
				n.value(fmt.Sprintf("%s[%d]", at, i), f, v.List().Get(i))
			}
		case f.IsMap():
			v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
				n.text(at, k.String())
				n.value(fmt.Sprintf("%s[%q]", at, k.String()), f.MapValue(), v)
				return true
			})
		default:
			n.value(at, f, v)
		}
		return true
	})
}

func (n *nuls) value(path string, f protoreflect.FieldDescriptor, v protoreflect.Value) {
	switch f.Kind() {
	case protoreflect.StringKind:
		n.text(path, v.String())
	case protoreflect.MessageKind:
		n.message(path+".", v.Message())
	}
}

func (n *nuls) text(path, text string) {
	if strings.ContainsRune(text, 0) {
		*n = append(*n, problem.Violation{Field: path, Rule: "must not contain the character U+0000"})
	}
}

func ruleOf(v *protovalidate.Violation) string {
	if message := v.Proto.GetMessage(); message != "" {
		return message
	}
	return "breaks the rule " + v.Proto.GetRuleId()
}
