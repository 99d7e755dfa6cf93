package client_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/slipway-deploy/slipway/client"
	errorspb "github.com/slipway-deploy/slipway/gen/go/slipway/errors/v1"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/grpcserver"
	"github.com/slipway-deploy/slipway/platform/problem"
)

// fakeOrchestrator answers over a real network, as each test says.
type fakeOrchestrator struct {
	orchestratorpb.UnimplementedDeploymentServiceServer
	mu      sync.Mutex
	created []string // request ids
	asked   []int64  // after_sequence of each stream
	create  func(attempt int) error
	watch   func(stream int, s grpc.ServerStreamingServer[orchestratorpb.WatchDeploymentResponse]) error
}

func (f *fakeOrchestrator) CreateDeployment(
	_ context.Context, req *orchestratorpb.CreateDeploymentRequest,
) (*orchestratorpb.CreateDeploymentResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.created = append(f.created, req.GetRequestId())
	if err := f.create(len(f.created)); err != nil {
		return nil, err
	}
	return &orchestratorpb.CreateDeploymentResponse{Deployment: &orchestratorpb.Deployment{Id: "d-1", Service: req.GetService()}}, nil
}

func (f *fakeOrchestrator) GetDeployment(
	_ context.Context, req *orchestratorpb.GetDeploymentRequest,
) (*orchestratorpb.GetDeploymentResponse, error) {
	return nil, problem.New(problem.NotFound, "DEPLOYMENT_NOT_FOUND", "no deployment %s", req.GetDeployment()).With("deployment", req.GetDeployment())
}

func (f *fakeOrchestrator) WatchDeployment(
	req *orchestratorpb.WatchDeploymentRequest, s grpc.ServerStreamingServer[orchestratorpb.WatchDeploymentResponse],
) error {
	f.mu.Lock()
	f.asked = append(f.asked, req.GetAfterSequence())
	n := len(f.asked)
	f.mu.Unlock()
	return f.watch(n, s)
}

func serve(t *testing.T, f *fakeOrchestrator, cfg grpcserver.Config) string {
	t.Helper()
	cfg.Addr = "127.0.0.1:0"
	s, err := grpcserver.New(nil, cfg)
	if err != nil {
		t.Fatal(err)
	}
	orchestratorpb.RegisterDeploymentServiceServer(s, f)
	s.Start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Second)
		defer cancel()
		s.Stop(ctx)
	})
	return s.Addr()
}

func dial(t *testing.T, cfg client.Config) *client.Client {
	t.Helper()
	c, err := client.Dial(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func get(ctx context.Context, c *client.Client) error {
	_, err := c.Deployments.GetDeployment(ctx, &orchestratorpb.GetDeploymentRequest{Deployment: "d-9"})
	return err
}

func TestDeployOverABadNetwork(t *testing.T) {
	t.Parallel()
	away := problem.New(problem.Unavailable, "DATABASE_UNAVAILABLE", "the database cannot be reached")
	news := func(s grpc.ServerStreamingServer[orchestratorpb.WatchDeploymentResponse], state orchestratorpb.Deployment_State, sequences ...int64) error {
		r := &orchestratorpb.WatchDeploymentResponse{Deployment: &orchestratorpb.Deployment{Id: "d-1", State: state, EventSequence: 4}}
		for _, n := range sequences {
			r.Events = append(r.Events, &orchestratorpb.Event{Sequence: n})
		}
		return s.Send(r)
	}
	f := &fakeOrchestrator{}
	f.create = func(attempt int) error {
		if attempt <= 5 { // more than the connection retries by itself
			return away
		}
		return nil
	}
	f.watch = func(n int, s grpc.ServerStreamingServer[orchestratorpb.WatchDeploymentResponse]) error {
		switch n {
		case 1:
			return errors.Join(news(s, orchestratorpb.Deployment_STATE_IN_PROGRESS, 1, 2), away)
		case 2: // the end of the stream of a deployment that goes on
			return news(s, orchestratorpb.Deployment_STATE_IN_PROGRESS, 2, 3)
		}
		return news(s, orchestratorpb.Deployment_STATE_SUCCESSFUL, 3, 4)
	}
	c := dial(t, client.Config{Orchestrator: serve(t, f, grpcserver.Config{})})
	var sequences []int64
	d, err := c.Deploy(t.Context(), client.DeployRequest{Service: "web"},
		client.OnEvent(func(e *orchestratorpb.Event) { sequences = append(sequences, e.GetSequence()) }))
	if err != nil || d.GetState() != orchestratorpb.Deployment_STATE_SUCCESSFUL {
		t.Fatalf("%v, %v", d, err)
	}
	if want := []int64{1, 2, 3, 4}; !slices.Equal(sequences, want) {
		t.Errorf("the events %v came, want %v", sequences, want)
	}
	if want := []int64{0, 2, 3}; !slices.Equal(f.asked, want) {
		t.Errorf("asked after %v, want %v", f.asked, want)
	}
	if ids := slices.Compact(slices.Clone(f.created)); len(f.created) != 6 || len(ids) != 1 || ids[0] == "" {
		t.Errorf("created with the request ids %q, want one, 6 times", f.created)
	}
}

func TestErrorsOfCallsAreTyped(t *testing.T) {
	t.Parallel()
	f := &fakeOrchestrator{
		create: func(int) error {
			return problem.Violated(problem.Violation{Field: "service", Rule: "must be set"}, problem.Violation{Field: "task_definition", Rule: "must be known"})
		},
		watch: func(int, grpc.ServerStreamingServer[orchestratorpb.WatchDeploymentResponse]) error {
			return problem.New(problem.NotFound, "DEPLOYMENT_NOT_FOUND", "no deployment d-9")
		},
	}
	c := dial(t, client.Config{Orchestrator: serve(t, f, grpcserver.Config{})})
	err := get(t.Context(), c)
	e, ok := errors.AsType[*client.Error](err)
	if !ok || !errors.Is(err, client.NotFound) || errors.Is(err, client.Internal) || e.Reason != "DEPLOYMENT_NOT_FOUND" ||
		e.Metadata["deployment"] != "d-9" || e.Message != "no deployment d-9" || err.Error() != e.Message {
		t.Errorf("%+v (%v)", e, err)
	}
	if client.ReasonOf(err) != errorspb.Reason_REASON_DEPLOYMENT_NOT_FOUND || status.Code(err) != codes.NotFound {
		t.Errorf("reason %s, code %s", client.ReasonOf(err), status.Code(err))
	}
	_, err = c.Deploy(t.Context(), client.DeployRequest{Service: "web"})
	if e, ok = errors.AsType[*client.Error](err); !ok || !errors.Is(err, client.InvalidArgument) || len(e.Violations) != 2 ||
		e.Violations[1] != (client.Violation{Field: "task_definition", Rule: "must be known"}) {
		t.Errorf("%+v (%v)", e, err)
	}
	if !strings.HasSuffix(err.Error(), "service: must be set; task_definition: must be known") {
		t.Errorf("%q does not tell every violation", err)
	}
	stream, err := c.Deployments.WatchDeployment(t.Context(), &orchestratorpb.WatchDeploymentRequest{Deployment: "d-9"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = stream.Recv(); !errors.Is(err, client.NotFound) {
		t.Errorf("a stream ends with %v", err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := get(t.Context(), c); !errors.Is(err, client.Canceled) {
		t.Errorf("a call on a closed client: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
}

func TestTLSAndToken(t *testing.T) {
	t.Parallel()
	cert, key := certificate(t)
	good := client.Config{CACert: cert, Token: "open-sesame"}
	good.Orchestrator = serve(t, &fakeOrchestrator{}, grpcserver.Config{TLSCert: cert, TLSKey: key, Token: "open-sesame"})
	if err := get(t.Context(), dial(t, good)); !errors.Is(err, client.NotFound) {
		t.Errorf("with CA and token: %v, want the service's own answer", err)
	}
	wrong := good
	wrong.Token = "wrong"
	if err := get(t.Context(), dial(t, wrong)); !errors.Is(err, client.Unauthenticated) || client.ReasonOf(err) != errorspb.Reason_REASON_UNAUTHENTICATED {
		t.Errorf("with a wrong token: %v", err)
	}
	other, _ := certificate(t)
	wrong = good
	wrong.CACert = other
	if err := get(t.Context(), dial(t, wrong)); !errors.Is(err, client.Unavailable) {
		t.Errorf("with another CA: %v", err)
	}
}

func TestAServiceThatIsDownIsNamed(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	err = get(t.Context(), dial(t, client.Config{Orchestrator: l.Addr().String()}))
	if !errors.Is(err, client.Unavailable) || !strings.HasPrefix(err.Error(), "orchestrator cannot be reached: ") {
		t.Errorf("got %v", err)
	}
}

func TestDialRefusesABadConfig(t *testing.T) {
	t.Parallel()
	_, err := client.Dial(client.Config{Insecure: true, CACert: "x", Patience: -1})
	e, ok := errors.AsType[*client.Error](err)
	if !ok || !errors.Is(err, client.InvalidArgument) || len(e.Violations) != 2 || e.Violations[0].Field != "Insecure" || e.Violations[1].Field != "Patience" {
		t.Errorf("%+v (%v)", e, err)
	}
	missing := filepath.Join(t.TempDir(), "none.pem")
	if _, err := client.Dial(client.Config{CACert: missing}); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), missing) {
		t.Errorf("missing CA: %v", err)
	}
}

func TestFromEnv(t *testing.T) {
	want := client.Config{Orchestrator: "o:1", Hooks: "h:2", Healthcheck: "c:3", Alarms: "a:4", CACert: "ca.pem", Token: "t", Insecure: true}
	for name, value := range map[string]string{
		"SLIPWAY_ORCHESTRATOR": want.Orchestrator, "SLIPWAY_HOOKS": want.Hooks, "SLIPWAY_HEALTHCHECK": want.Healthcheck,
		"SLIPWAY_ALARMS": want.Alarms, "SLIPWAY_TLS_CA": want.CACert, "SLIPWAY_TOKEN": want.Token, "SLIPWAY_INSECURE": "true",
	} {
		t.Setenv(name, value)
	}
	if got, err := client.FromEnv(); err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	t.Setenv("SLIPWAY_INSECURE", "perhaps")
	_, err := client.DialEnv()
	if e, ok := errors.AsType[*client.Error](err); !ok || e.Violations[0].Field != "SLIPWAY_INSECURE" {
		t.Errorf("got %v", err)
	}
}
