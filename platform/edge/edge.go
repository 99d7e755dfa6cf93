// Package edge serves the methods of a gRPC server to clients that do not speak gRPC: Connect, gRPC-Web and JSON over HTTP, as
// browsers and curl do. It is made from the descriptors of what is registered, and forwards to the server itself, so that
// validation, errors, tokens, logs and metrics are the same whatever a client speaks. It knows no service.
package edge

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// Config is how a Handler answers.
type Config struct {
	// AllowedOrigins are the origins whose pages may call, such as https://console.example; "*" is every one. A request of any
	// other page is refused.
	AllowedOrigins []string
	// MaxBytes bounds a request's message.
	MaxBytes int
	// Serving reports whether the server is up to work, for GET /healthz.
	Serving func() bool
}

// Handler serves the unary and server-streaming methods of the services through conn.
func Handler(services map[string]grpc.ServiceInfo, conn grpc.ClientConnInterface, cfg Config) (http.Handler, error) {
	mux := http.NewServeMux()
	options := []connect.HandlerOption{
		connect.WithCodec(protoCodec{}), connect.WithCodec(jsonCodec{name: "json"}), connect.WithCodec(jsonCodec{name: "json; charset=utf-8"}),
		connect.WithReadMaxBytes(cfg.MaxBytes), connect.WithRequestInitializer(initialize),
	}
	for name, info := range services {
		found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
		if err != nil {
			return nil, fmt.Errorf("serve %s over HTTP: %w", name, err)
		}
		service, ok := found.(protoreflect.ServiceDescriptor)
		if !ok {
			return nil, fmt.Errorf("serve %s over HTTP: it is no service", name)
		}
		for _, m := range info.Methods {
			method := service.Methods().ByName(protoreflect.Name(m.Name))
			if method == nil || m.IsClientStream { // browsers cannot stream to a server
				continue
			}
			b := &bridge{conn: conn, procedure: "/" + name + "/" + m.Name, method: method}
			with := append(slices.Clip(options), connect.WithSchema(method))
			if m.IsServerStream {
				mux.Handle(b.procedure, connect.NewServerStreamHandler(b.procedure, b.stream, with...))
			} else {
				mux.Handle(b.procedure, connect.NewUnaryHandler(b.procedure, b.unary, with...))
			}
		}
	}
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { health(w, cfg.Serving()) })
	mux.HandleFunc("/", unknown)
	return guard(cfg.AllowedOrigins, mux), nil
}

// initialize tells a request's frame which message it holds.
func initialize(spec connect.Spec, message any) error {
	if f, ok := message.(*frame); ok {
		if method, ok := spec.Schema.(protoreflect.MethodDescriptor); ok {
			f.descriptor = method.Input()
		}
	}
	return nil
}

func health(w http.ResponseWriter, serving bool) {
	w.Header().Set("Content-Type", "application/json")
	if !serving {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte(`{"status":"NOT_SERVING"}` + "\n"))
		return
	}
	_, _ = w.Write([]byte(`{"status":"SERVING"}` + "\n"))
}

func unknown(w http.ResponseWriter, r *http.Request) {
	http.Error(w, fmt.Sprintf("There is nothing at %s. This is a Slipway service: POST JSON to /package.Service/Method with the header "+
		"Content-Type: application/json, or speak gRPC, e.g. grpcurl -plaintext %s list.", strings.ToValidUTF8(r.URL.Path, ""), r.Host), http.StatusNotFound)
}
