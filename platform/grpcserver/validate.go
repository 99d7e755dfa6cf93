package grpcserver

import (
	"context"
	"errors"
	"fmt"

	"buf.build/go/protovalidate"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

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

func ruleOf(v *protovalidate.Violation) string {
	if message := v.Proto.GetMessage(); message != "" {
		return message
	}
	return "breaks the rule " + v.Proto.GetRuleId()
}
