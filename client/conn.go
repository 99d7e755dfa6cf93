package client

import (
	"context"

	"google.golang.org/grpc"
)

// conn is a connection whose errors are *Error.
type conn struct{ inner grpc.ClientConnInterface }

var _ grpc.ClientConnInterface = conn{}

// Invoke is the inner Invoke.
func (c conn) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	return toError(c.inner.Invoke(ctx, method, args, reply, opts...))
}

// NewStream is the inner NewStream.
func (c conn) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	s, err := c.inner.NewStream(ctx, desc, method, opts...)
	if err != nil {
		return nil, toError(err)
	}
	return stream{s}, nil
}

// stream is a stream whose errors are *Error; its end stays io.EOF.
type stream struct{ grpc.ClientStream }

// RecvMsg is the inner RecvMsg.
func (s stream) RecvMsg(m any) error { return toError(s.ClientStream.RecvMsg(m)) }

// SendMsg is the inner SendMsg.
func (s stream) SendMsg(m any) error { return toError(s.ClientStream.SendMsg(m)) }

// CloseSend is the inner CloseSend.
func (s stream) CloseSend() error { return toError(s.ClientStream.CloseSend()) }
