package grpcclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/sony/gobreaker/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/slipway-deploy/slipway/platform/internal/rpcstatus"
	"github.com/slipway-deploy/slipway/platform/problem"
)

const reasonServiceUnavailable = "SERVICE_UNAVAILABLE"

// client is what the interceptors of one connection share.
type client struct {
	name    string
	breaker *breaker
}

func (c *client) problemUnary(
	ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption,
) error {
	if _, has := ctx.Deadline(); !has {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, unaryDeadline)
		defer cancel()
	}
	return c.toProblem(method, invoker(ctx, method, req, reply, cc, opts...))
}

func (c *client) breakerUnary(
	ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption,
) error {
	_, err := c.breaker.Execute(func() (struct{}, error) {
		return struct{}{}, invoker(ctx, method, req, reply, cc, opts...)
	})
	return c.refused(err)
}

// stream opens no stream while the breaker is open. What counts for the breaker is a stream's first message or
// its failure before that: a stream that worked and ends, however, says nothing about new calls.
func (c *client) stream(
	ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption,
) (grpc.ClientStream, error) {
	if c.breaker.State() == gobreaker.StateOpen {
		return nil, c.refused(gobreaker.ErrOpenState)
	}
	inner, err := streamer(ctx, desc, cc, method, opts...)
	if err != nil {
		c.count(err)
		return nil, c.toProblem(method, err)
	}
	return &clientStream{ClientStream: inner, client: c, method: method}, nil
}

// count tells the breaker how a stream began. It takes no part in who may probe a half-open breaker.
func (c *client) count(err error) {
	_, _ = c.breaker.Execute(func() (struct{}, error) { return struct{}{}, err })
}

type clientStream struct {
	grpc.ClientStream
	client  *client
	method  string
	counted atomic.Bool
}

// RecvMsg is the inner RecvMsg with problems for errors; io.EOF stays what it is.
func (s *clientStream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	if s.counted.CompareAndSwap(false, true) {
		if errors.Is(err, io.EOF) {
			s.client.count(nil)
		} else {
			s.client.count(err)
		}
	}
	return s.client.toProblem(s.method, err)
}

// SendMsg is the inner SendMsg with problems for errors; on io.EOF the reason is RecvMsg's to tell.
func (s *clientStream) SendMsg(m any) error {
	return s.client.toProblem(s.method, s.ClientStream.SendMsg(m))
}

// CloseSend is the inner CloseSend with problems for errors.
func (s *clientStream) CloseSend() error {
	return s.client.toProblem(s.method, s.ClientStream.CloseSend())
}

// toProblem turns a status into the problem it carries.
func (c *client) toProblem(method string, err error) error {
	if err == nil || errors.Is(err, io.EOF) || problem.As(err) != nil {
		return err
	}
	st := rpcstatus.In(err)
	if st == nil {
		st = status.FromContextError(err)
	}
	p := rpcstatus.ToProblem(st)
	if p.Kind == problem.Unavailable && p.Reason == "" {
		p.Reason = reasonServiceUnavailable
		p.Message = fmt.Sprintf("%s cannot be reached: %s", c.name, p.Message)
		p = p.With("service", c.name)
	}
	return p.Wrap(&statusError{method: method, status: st})
}

// statusError is the cause of a problem that came over the network: it names the method, and keeps the status
// for status.FromError.
type statusError struct {
	method string
	status *status.Status
}

func (e *statusError) Error() string { return fmt.Sprintf("%s: %s", e.method, e.status.Code()) }

// GRPCStatus returns the status as it came.
func (e *statusError) GRPCStatus() *status.Status { return e.status }
