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

// compressFrom is how many bytes a message has to have before compressing it is worth the time.
const compressFrom = 1 << 10

// Handler serves the methods of the services through conn.
func Handler(services map[string]grpc.ServiceInfo, conn grpc.ClientConnInterface, cfg Config) (http.Handler, error) {
	mux := http.NewServeMux()
	options := []connect.HandlerOption{
		connect.WithCodec(protoCodec{}), connect.WithCodec(jsonCodec{name: "json"}), connect.WithCodec(jsonCodec{name: "json; charset=utf-8"}),
		connect.WithReadMaxBytes(cfg.MaxBytes), connect.WithCompressMinBytes(compressFrom), connect.WithRequestInitializer(initialize),
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
			if method == nil {
				return nil, fmt.Errorf("serve %s over HTTP: its descriptor has no method %s", name, m.Name)
			}
			b := &bridge{conn: conn, procedure: "/" + name + "/" + m.Name, method: method}
			with := append(slices.Clip(options), connect.WithSchema(method))
			var handler http.Handler
			switch {
			case m.IsClientStream:
				handler = connect.NewBidiStreamHandler(b.procedure, b.bidiStream, with...)
			case m.IsServerStream:
				handler = connect.NewServerStreamHandler(b.procedure, b.serverStream, with...)
			default:
				handler = connect.NewUnaryHandler(b.procedure, b.unary, with...)
			}
			mux.Handle(b.procedure, explain(m, handler))
		}
	}
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { health(w, cfg.Serving()) })
	mux.HandleFunc("/", unknown(services))
	return guard(cfg.AllowedOrigins, mux), nil
}

// explain says in words what Connect refuses with a bare status: what people try first with curl.
func explain(m grpc.MethodInfo, next http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
		switch {
		case r.Method != http.MethodPost:
			w.Header().Set("Allow", http.MethodPost)
			http.Error(w, m.Name+" is called with POST; the body is its request.", http.StatusMethodNotAllowed)
		case (m.IsServerStream || m.IsClientStream) && strings.EqualFold(strings.TrimSpace(kind), "application/json"):
			http.Error(w, m.Name+" is a stream: call it with a client of Connect (application/connect+json), gRPC-Web or gRPC.",
				http.StatusUnsupportedMediaType)
		default:
			next.ServeHTTP(w, r)
		}
	}
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

// unknown says what is here instead of what was asked for.
func unknown(services map[string]grpc.ServiceInfo) http.HandlerFunc {
	var own []string
	for name := range services {
		if !strings.HasPrefix(name, "grpc.") {
			own = append(own, name)
		}
	}
	slices.Sort(own)
	here := strings.Join(own, ", ")
	return func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, fmt.Sprintf("There is nothing at %s. Here is %s of Slipway: POST JSON to /package.Service/Method with the header "+
			"Content-Type: application/json, or speak gRPC; grpcurl <address> list names the services, with -plaintext where there is no TLS.",
			strings.ToValidUTF8(r.URL.Path, ""), here), http.StatusNotFound)
	}
}
