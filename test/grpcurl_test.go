package test

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/slipway-deploy/slipway/internal/stack"
)

// example is a grpcurl line in a comment of the contract.
type example struct{ body, port, service, method string }

var (
	comment = regexp.MustCompile(`(?m)^\s*//\s?`)
	command = regexp.MustCompile(`(?s)grpcurl -plaintext(?: -d '(.*?)')?\s+127\.0\.0\.1:(\d+)\s+([\w.]+)/(\w+)`)
)

func examples(t *testing.T) []example {
	t.Helper()
	var list []example
	err := filepath.WalkDir("../proto", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, "_service.proto") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range command.FindAllStringSubmatch(comment.ReplaceAllString(string(text), ""), -1) {
			list = append(list, example{strings.ReplaceAll(m[1], "\n", " "), m[2], m[3], m[4]})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// Every RPC's comment shows a grpcurl line, and every line is taken by the service it names: it may find nothing of that name,
// but it is not malformed.
func TestEveryGrpcurlLineOfTheContractIsTaken(t *testing.T) {
	s := startStack(t, stack.Config{})
	addresses := map[string]string{
		"7001": s.Addresses.Orchestrator, "7002": s.Addresses.Hooks, "7003": s.Addresses.Healthcheck, "7004": s.Addresses.Alarms, "7005": s.Addresses.Proxy,
	}
	shown := map[string]bool{}
	for _, e := range examples(t) {
		shown[e.service+"/"+e.method] = true
		address, ours := addresses[e.port]
		if !ours {
			continue // a handler of the user's
		}
		t.Run(e.method, func(t *testing.T) {
			err := invoke(t, address, e)
			refused := []codes.Code{codes.InvalidArgument, codes.Unimplemented, codes.Internal, codes.Unknown}
			if slices.Contains(refused, status.Code(err)) {
				t.Errorf("%s %s: %v", e.method, e.body, err)
			}
		})
	}
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			if !strings.HasPrefix(string(service.FullName()), "slipway.") {
				continue
			}
			for j := range service.Methods().Len() {
				if name := string(service.FullName()) + "/" + string(service.Methods().Get(j).Name()); !shown[name] {
					t.Errorf("%s has no grpcurl line", name)
				}
			}
		}
		return true
	})
}

// invoke makes the call as grpcurl does: by the method's descriptor, unknown fields refused. Of a stream the first answer is enough.
func invoke(t *testing.T, address string, e example) error {
	t.Helper()
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(e.service + "." + e.method))
	if err != nil {
		t.Fatal(err)
	}
	method, ok := found.(protoreflect.MethodDescriptor)
	if !ok {
		t.Fatalf("%s is no method", e.method)
	}
	in, out := dynamicpb.NewMessage(method.Input()), dynamicpb.NewMessage(method.Output())
	if e.body != "" {
		if err := protojson.Unmarshal([]byte(e.body), in); err != nil {
			t.Fatalf("%s: %v", e.body, err)
		}
	}
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	path := "/" + e.service + "/" + e.method
	if !method.IsStreamingServer() {
		return conn.Invoke(ctx, path, in, out)
	}
	ctx, cancelStream := context.WithTimeout(ctx, 500*time.Millisecond) // a stream may have nothing to say
	defer cancelStream()
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, path)
	if err != nil {
		return err
	}
	if err := stream.SendMsg(in); err != nil {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	return stream.RecvMsg(out)
}
