package probe

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/slipway-deploy/slipway/services/healthcheck/internal/verdict"
)

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// closed is an address that nobody listens on.
func closed(t *testing.T) string {
	t.Helper()
	l := listen(t)
	_ = l.Close()
	return l.Addr().String()
}

func grpcServer(t *testing.T, options ...grpc.ServerOption) (*health.Server, string) {
	t.Helper()
	l, h := listen(t), health.NewServer()
	s := grpc.NewServer(options...)
	grpc_health_v1.RegisterHealthServer(s, h)
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	return h, l.Addr().String()
}

func run(t *testing.T, c verdict.Check, address string) verdict.Result {
	t.Helper()
	p := New()
	defer p.Close()
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Second
	}
	c.Interval = c.Timeout
	c = c.WithDefaults()
	if v := c.Validate(); len(v) > 0 {
		t.Fatal(v)
	}
	return p.Probe(t.Context(), c, address)
}

func TestAGRPCTargetThatIsNotThereFailsWhateverTheMatcher(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"", "/web.Web/Ping"} {
		r := run(t, verdict.Check{Type: verdict.GRPC, Path: path, Matcher: "0-99"}, closed(t))
		if r.OK || r.Reason != verdict.FailedHealthChecks {
			t.Errorf("closed port, path %q: %+v", path, r)
		}
	}
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	if r := run(t, verdict.Check{Type: verdict.GRPC, Matcher: "0-99"}, web.Listener.Addr().String()); r.OK {
		t.Errorf("a server without gRPC: %+v", r)
	}
}

func TestAGRPCTargetIsJudgedByTheCodeItAnswers(t *testing.T) {
	t.Parallel()
	h, address := grpcServer(t)
	if r := run(t, verdict.Check{Type: verdict.GRPC}, address); !r.OK {
		t.Errorf("serving: %+v", r)
	}
	if r := run(t, verdict.Check{Type: verdict.GRPC, Path: "/web.Web/Ping"}, address); !r.OK {
		t.Errorf("UNIMPLEMENTED is a success by default with another path: %+v", r)
	}
	h.SetServingStatus("", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	if r := run(t, verdict.Check{Type: verdict.GRPC}, address); r.OK || !strings.Contains(r.Description, "NOT_SERVING") {
		t.Errorf("not serving: %+v", r)
	}
	_, broken := grpcServer(t, grpc.UnaryInterceptor(func(context.Context, any, *grpc.UnaryServerInfo, grpc.UnaryHandler) (any, error) {
		return nil, status.Error(codes.Unavailable, "later")
	}))
	if r := run(t, verdict.Check{Type: verdict.GRPC, Matcher: "0-99"}, broken); !r.OK {
		t.Errorf("UNAVAILABLE of the server itself matches 0-99: %+v", r)
	}
	if r := run(t, verdict.Check{Type: verdict.GRPC}, broken); r.OK || r.Description != "Health checks failed with these codes: [14]" {
		t.Errorf("UNAVAILABLE: %+v", r)
	}
}

func TestAnHTTPTargetIsJudgedByItsStatus(t *testing.T) {
	t.Parallel()
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, "/", http.StatusFound)
		case "/hangs":
			<-r.Context().Done()
		case "/bad":
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	plain, secure := httptest.NewServer(handler), httptest.NewTLSServer(handler)
	defer plain.Close()
	defer secure.Close()
	p, s := plain.Listener.Addr().String(), secure.Listener.Addr().String()
	for name, c := range map[string]struct {
		check   verdict.Check
		address string
		want    verdict.Result
	}{
		"ok":                           {verdict.Check{}, p, verdict.Result{OK: true}},
		"kept connection":              {verdict.Check{KeepAlive: true}, p, verdict.Result{OK: true}},
		"TLS, its certificate unknown": {verdict.Check{Type: verdict.HTTPS}, s, verdict.Result{OK: true}},
		"other port":                   {verdict.Check{Port: secure.Listener.Addr().(*net.TCPAddr).Port, Type: verdict.HTTPS}, p, verdict.Result{OK: true}},
		"TCP":                          {verdict.Check{Type: verdict.TCP}, p, verdict.Result{OK: true}},
		"moved, not followed": {
			verdict.Check{Path: "/moved"},
			p,
			verdict.Result{Reason: verdict.ResponseCodeMismatch, Description: "Health checks failed with these codes: [302]"},
		},
		"bad": {
			verdict.Check{Path: "/bad"},
			p,
			verdict.Result{Reason: verdict.ResponseCodeMismatch, Description: "Health checks failed with these codes: [500]"},
		},
		"hangs": {
			verdict.Check{Path: "/hangs", Timeout: 50 * time.Millisecond},
			p,
			verdict.Result{Reason: verdict.Timeout, Description: "Request timed out"},
		},
		"closed": {
			verdict.Check{},
			closed(t),
			verdict.Result{Reason: verdict.FailedHealthChecks, Description: "Health checks failed: connect: connection refused"},
		},
		"TCP closed": {
			verdict.Check{Type: verdict.TCP},
			closed(t),
			verdict.Result{Reason: verdict.FailedHealthChecks, Description: "Health checks failed: connect: connection refused"},
		},
	} {
		if got := run(t, c.check, c.address); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestWhatThisMachineLacksIsNotTheTargetsFault(t *testing.T) {
	t.Parallel()
	v4, v6 := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, &net.TCPAddr{IP: net.IPv6loopback}
	for _, c := range []struct {
		err  error
		want bool
	}{
		{&net.OpError{Op: "dial", Addr: v4, Err: syscall.EMFILE}, true},
		{&net.OpError{Op: "dial", Addr: v4, Err: syscall.EADDRNOTAVAIL}, true},
		{&net.OpError{Op: "dial", Addr: v6, Err: syscall.EADDRNOTAVAIL}, false},
		{&net.OpError{Op: "dial", Addr: v4, Err: syscall.ECONNREFUSED}, false},
	} {
		if got := unreachable(c.err); got.Inconclusive != c.want || got.OK {
			t.Errorf("%v: %+v", c.err, got)
		}
	}
}

func TestDescriptionsAreTextThatCanBeKept(t *testing.T) {
	t.Parallel()
	got := failed("", "%s", "a\x00b\xff"+strings.Repeat("é", maxDescription)).Description
	if strings.ContainsRune(got, 0) || !utf8.ValidString(got) || len(got) > maxDescription || !strings.HasPrefix(got, "abé") {
		t.Errorf("%q", got)
	}
}
