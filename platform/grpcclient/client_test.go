package grpcclient_test

import (
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	trafficpb "github.com/slipway-deploy/slipway/gen/go/slipway/traffic/v1"
	"github.com/slipway-deploy/slipway/platform/grpcclient"
	"github.com/slipway-deploy/slipway/platform/grpcserver"
	"github.com/slipway-deploy/slipway/platform/internal/rpcstatus"
	"github.com/slipway-deploy/slipway/platform/problem"
)

func TestEveryKindOfProblemComesBackAsItIs(t *testing.T) {
	for _, kind := range problem.Kinds() {
		sent := &problem.Error{
			Kind: kind, Reason: "SOME_REASON", Message: "no task web-3-7",
			Metadata:   map[string]string{"task": "web-3-7"},
			Violations: []problem.Violation{{Field: "a.b[0]", Rule: "must be set"}, {Field: "c", Rule: "must be odd"}},
			Cause:      errors.New("secret"),
		}
		c := connect(t, failing(sent))
		for call, err := range map[string]error{"unary": c.apply(t.Context()), "stream": c.watchOnce(t.Context())} {
			got := problem.As(err)
			if got == nil || !errors.Is(err, kind) {
				t.Errorf("%s of %v: %v", call, kind, err)
				continue
			}
			delete(got.Metadata, "id") // the server adds one to Internal
			if got.Reason != sent.Reason || got.Message != sent.Message || !reflect.DeepEqual(got.Metadata, sent.Metadata) ||
				!reflect.DeepEqual(got.Violations, sent.Violations) {
				t.Errorf("%s of %v: got %+v", call, kind, got)
			}
			if status.Code(err) != rpcstatus.Code(kind) {
				t.Errorf("%s of %v: status code %v", call, kind, status.Code(err))
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("%s of %v: the cause travels: %v", call, kind, err)
			}
		}
	}
}

func TestAnErrorOfAnotherServiceCanBePassedOn(t *testing.T) {
	inner := connect(t, failing(problem.New(problem.NotFound, "TASK_NOT_FOUND", "no task").With("task", "a")))
	outer := connect(t, &traffic{apply: func(ctx context.Context) (*trafficpb.ApplyRoutesResponse, error) {
		return nil, inner.apply(ctx)
	}})
	err := outer.apply(t.Context())
	if p := problem.As(err); !errors.Is(err, problem.NotFound) || p.Reason != "TASK_NOT_FOUND" || p.Metadata["task"] != "a" || p.Message != "no task" {
		t.Errorf("through two services: %+v", p)
	}
}

func TestAMethodThatTheServerLacksIsNoRetry(t *testing.T) {
	c := connect(t, &traffic{})
	_, err := c.DeleteRoutes(t.Context(), &trafficpb.DeleteRoutesRequest{Generation: 1, Service: "a/b"})
	if !errors.Is(err, problem.FailedPrecondition) || status.Code(err) != codes.Unimplemented {
		t.Errorf("error is %v (%v)", err, status.Code(err))
	}
}

func TestAStreamsEndStaysEOF(t *testing.T) {
	c := connect(t, failing(nil))
	if err := c.watchOnce(t.Context()); err != io.EOF { //nolint:errorlint // callers compare
		t.Errorf("the end is %v, want io.EOF", err)
	}
}

func TestAUnaryCallHasADeadline(t *testing.T) {
	var left time.Duration
	c := connect(t, &traffic{apply: func(ctx context.Context) (*trafficpb.ApplyRoutesResponse, error) {
		deadline, ok := ctx.Deadline()
		if !ok {
			t.Error("no deadline")
		}
		left = time.Until(deadline)
		return &trafficpb.ApplyRoutesResponse{}, nil
	}})
	if err := c.apply(t.Context()); err != nil || left > 5*time.Second || left < 4*time.Second {
		t.Errorf("%v left, %v; want 5 s", left, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := c.apply(ctx); err != nil || left < 50*time.Second {
		t.Errorf("%v left, %v; want the caller's minute", left, err)
	}
}

func TestAServiceThatIsDownIsNamed(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	c := dial(t, grpcclient.Config{Target: listener.Addr().String(), Name: "healthcheck"})
	for call, err := range map[string]error{"unary": c.apply(t.Context()), "stream": c.watchOnce(t.Context())} {
		p := problem.As(err)
		if p == nil || p.Kind != problem.Unavailable || p.Reason != "SERVICE_UNAVAILABLE" || p.Metadata["service"] != "healthcheck" ||
			!strings.HasPrefix(p.Message, "healthcheck cannot be reached: ") {
			t.Errorf("%s: %+v", call, p)
		}
	}
}

func TestALargeMessagePasses(t *testing.T) {
	large := strings.Repeat("x", 16<<20)
	c := connect(t, &traffic{watch: func(s grpc.ServerStreamingServer[trafficpb.WatchRoutesResponse]) error {
		return s.Send(&trafficpb.WatchRoutesResponse{RemovedServices: []string{large}})
	}})
	stream, err := c.WatchRoutes(t.Context(), &trafficpb.WatchRoutesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := stream.Recv(); err != nil || len(got.GetRemovedServices()[0]) != len(large) {
		t.Errorf("16 MB: %v", err)
	}
}

func TestTLSAndTokenTogether(t *testing.T) {
	cert, key := certificate(t, t.TempDir())
	s := serve(t, &traffic{}, grpcserver.Config{TLSCert: cert, TLSKey: key, Token: "open-sesame"})
	good := grpcclient.Config{Target: s.Addr(), CACert: cert, Token: "open-sesame"}
	if err := dial(t, good).apply(t.Context()); err != nil {
		t.Errorf("with CA and token: %v", err)
	}
	wrongToken := good
	wrongToken.Token = "wrong"
	if err := dial(t, wrongToken).apply(t.Context()); !errors.Is(err, problem.Unauthenticated) || problem.ReasonOf(err) != "UNAUTHENTICATED" {
		t.Errorf("with a wrong token: %v", err)
	}
	other, _ := certificate(t, t.TempDir())
	wrongCA := good
	wrongCA.CACert = other
	if err := dial(t, wrongCA).apply(t.Context()); !errors.Is(err, problem.Unavailable) {
		t.Errorf("with another CA: %v", err)
	}
	plain := good
	plain.CACert = ""
	if err := dial(t, plain).apply(t.Context()); !errors.Is(err, problem.Unavailable) {
		t.Errorf("without TLS: %v", err)
	}
}

func TestATokenInPlainWorksOnLoopback(t *testing.T) {
	s := serve(t, &traffic{}, grpcserver.Config{Token: "open-sesame"})
	if err := dial(t, grpcclient.Config{Target: s.Addr(), Token: "open-sesame"}).apply(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestDialRefusesABadConfiguration(t *testing.T) {
	for field, cfg := range map[string]grpcclient.Config{
		"target":   {},
		"insecure": {Target: "h:1", Insecure: true, CACert: "x"},
	} {
		_, err := grpcclient.Dial(cfg)
		if p := problem.As(err); p == nil || p.Violations[0].Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	missing := filepath.Join(t.TempDir(), "none.pem")
	if _, err := grpcclient.Dial(grpcclient.Config{Target: "h:1", CACert: missing}); err == nil || !strings.Contains(err.Error(), missing) {
		t.Errorf("missing CA: %v", err)
	}
}
