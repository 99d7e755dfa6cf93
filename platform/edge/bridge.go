package edge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"connectrpc.com/connect"
	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// bridge forwards calls of one method.
type bridge struct {
	conn      grpc.ClientConnInterface
	procedure string
	method    protoreflect.MethodDescriptor
}

func (b *bridge) unary(ctx context.Context, req *connect.Request[frame]) (*connect.Response[frame], error) {
	var header, trailer metadata.MD
	answer := &frame{descriptor: b.method.Output()}
	err := b.conn.Invoke(outgoing(ctx, req.Header(), req.Peer()), b.procedure, &req.Msg.bytes, &answer.bytes,
		grpc.ForceCodecV2(rawCodec{}), grpc.Header(&header), grpc.Trailer(&trailer))
	if err != nil {
		return nil, connectError(err, trailer)
	}
	resp := connect.NewResponse(answer)
	toHTTP(resp.Header(), header)
	toHTTP(resp.Trailer(), trailer)
	return resp, nil
}

func (b *bridge) serverStream(ctx context.Context, req *connect.Request[frame], out *connect.ServerStream[frame]) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	in, err := b.open(ctx, req.Header(), req.Peer())
	if err != nil {
		return err
	}
	if err := in.SendMsg(&req.Msg.bytes); err != nil && !errors.Is(err, io.EOF) { // with EOF, RecvMsg has the reason
		return connectError(err, nil)
	}
	if err := in.CloseSend(); err != nil {
		return connectError(err, nil)
	}
	return b.answer(in, out)
}

// bidiStream is there for clients that speak gRPC over HTTP/2 and offer http/1.1 too; reflection is such a stream.
func (b *bridge) bidiStream(ctx context.Context, both *connect.BidiStream[frame, frame]) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	in, err := b.open(ctx, both.RequestHeader(), both.Peer())
	if err != nil {
		return err
	}
	go func() { // ends with the request's body, at the latest when this method has returned
		for {
			msg, err := both.Receive()
			if errors.Is(err, io.EOF) {
				_ = in.CloseSend()
				return
			}
			if err != nil {
				cancel()
				return
			}
			if in.SendMsg(&msg.bytes) != nil { // RecvMsg has the reason
				return
			}
		}
	}()
	return b.answer(in, both)
}

func (b *bridge) open(ctx context.Context, header http.Header, from connect.Peer) (grpc.ClientStream, error) {
	in, err := b.conn.NewStream(outgoing(ctx, header, from), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, b.procedure,
		grpc.ForceCodecV2(rawCodec{}))
	if err != nil {
		return nil, connectError(err, nil)
	}
	return in, nil
}

// answers is the way back of a stream.
type answers interface {
	ResponseHeader() http.Header
	ResponseTrailer() http.Header
	Send(*frame) error
}

func (b *bridge) answer(in grpc.ClientStream, out answers) error {
	header, err := in.Header()
	if err == nil {
		toHTTP(out.ResponseHeader(), header)
		if err := out.Send(nil); err != nil { // the header goes before the first message
			return err
		}
	}
	for {
		answer := &frame{descriptor: b.method.Output()}
		err := in.RecvMsg(&answer.bytes)
		if errors.Is(err, io.EOF) {
			toHTTP(out.ResponseTrailer(), in.Trailer())
			return nil
		}
		if err != nil {
			return connectError(err, in.Trailer())
		}
		if err := out.Send(answer); err != nil {
			return err
		}
	}
}

// rawCodec hands the bytes of messages to gRPC as they are.
type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	b, ok := v.(*[]byte)
	if !ok {
		return nil, fmt.Errorf("%T is no frame", v)
	}
	return mem.BufferSlice{mem.SliceBuffer(*b)}, nil
}

func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	b, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("%T is no frame", v)
	}
	*b = data.Materialize()
	return nil
}

// connectError is the method's error with its details.
func connectError(err error, trailer metadata.MD) error {
	st := status.Convert(err)
	out := connect.NewError(connect.Code(st.Code()), errors.New(st.Message()))
	for _, packed := range st.Proto().GetDetails() {
		if detail, err := connect.NewErrorDetail(packed); err == nil {
			out.AddDetail(detail)
		}
	}
	toHTTP(out.Meta(), trailer)
	return out
}
