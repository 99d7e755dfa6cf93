package edge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

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
	err := b.conn.Invoke(outgoing(ctx, req.Header()), b.procedure, &req.Msg.bytes, &answer.bytes,
		grpc.ForceCodecV2(rawCodec{}), grpc.Header(&header), grpc.Trailer(&trailer))
	if err != nil {
		return nil, connectError(err, trailer)
	}
	resp := connect.NewResponse(answer)
	toHTTP(resp.Header(), header)
	toHTTP(resp.Trailer(), trailer)
	return resp, nil
}

func (b *bridge) stream(ctx context.Context, req *connect.Request[frame], out *connect.ServerStream[frame]) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	in, err := b.conn.NewStream(outgoing(ctx, req.Header()), &grpc.StreamDesc{ServerStreams: true}, b.procedure, grpc.ForceCodecV2(rawCodec{}))
	if err != nil {
		return connectError(err, nil)
	}
	if err := in.SendMsg(&req.Msg.bytes); err != nil && !errors.Is(err, io.EOF) { // with EOF, RecvMsg has the reason
		return connectError(err, nil)
	}
	if err := in.CloseSend(); err != nil {
		return connectError(err, nil)
	}
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

// private are headers of HTTP and of the protocols themselves: they say nothing to a method.
func private(name string) bool {
	for _, prefix := range []string{"connect-", "grpc-", "content-", "accept", "sec-", "access-control-", "proxy-", "x-grpc-web"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	switch name {
	case "connection", "host", "keep-alive", "origin", "referer", "te", "trailer", "transfer-encoding", "upgrade", "user-agent", "x-user-agent", "cookie":
		return true
	}
	return false
}

// outgoing is the context of a call with the client's headers as its metadata.
func outgoing(ctx context.Context, header http.Header) context.Context {
	md := metadata.MD{}
	for name, values := range header {
		name = strings.ToLower(name)
		if private(name) {
			continue
		}
		for _, value := range values {
			if strings.HasSuffix(name, "-bin") {
				decoded, err := connect.DecodeBinaryHeader(value)
				if err != nil {
					continue
				}
				value = string(decoded)
			}
			md.Append(name, value)
		}
	}
	return metadata.NewOutgoingContext(ctx, md)
}

// toHTTP copies what the method said beside its answer.
func toHTTP(to http.Header, md metadata.MD) {
	for name, values := range md {
		if private(name) || strings.HasPrefix(name, ":") {
			continue
		}
		for _, value := range values {
			if strings.HasSuffix(name, "-bin") {
				value = connect.EncodeBinaryHeader([]byte(value))
			}
			to.Add(name, value)
		}
	}
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
