package app_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	"github.com/slipway-deploy/slipway/platform/grpcclient"
	"github.com/slipway-deploy/slipway/platform/postgres/postgrestest"
	"github.com/slipway-deploy/slipway/services/hooks/app"
)

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// service is a hooks service over real gRPC and real Postgres.
type service struct {
	hookspb.HookServiceClient
	app  *app.App
	url  string
	stop func()
}

func testConfig(url string) app.Config {
	cfg := app.Default()
	cfg.Listen.Addr = "127.0.0.1:0"
	cfg.DatabaseURL = url
	cfg.Grace = 0
	cfg.Events.Orchestrator.Target, cfg.Events.Alarms.Target = "", ""
	return cfg
}

func logger() *slog.Logger {
	if os.Getenv("SLIPWAY_TEST_LOG") != "" {
		return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return slog.New(slog.DiscardHandler)
}

func start(t *testing.T, url string, change ...func(*app.Config)) *service {
	t.Helper()
	cfg := testConfig(url)
	for _, f := range change {
		f(&cfg)
	}
	a, err := app.New(t.Context(), cfg, logger())
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	s := &service{HookServiceClient: dial(t, a.Addr()), app: a, url: url, stop: func() {
		once.Do(func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			a.Stop(ctx)
		})
	}}
	t.Cleanup(s.stop)
	return s
}

func dial(t *testing.T, address string) hookspb.HookServiceClient {
	t.Helper()
	conn, err := grpcclient.Dial(grpcclient.Config{Target: address})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return hookspb.NewHookServiceClient(conn)
}

func startNew(t *testing.T, change ...func(*app.Config)) *service {
	t.Helper()
	t.Parallel()
	return start(t, postgrestest.URL(t), change...)
}

func (s *service) register(t *testing.T, hook *hookspb.Hook) {
	t.Helper()
	if hook.GetName() == "" {
		hook.Name = "smoke"
	}
	if _, err := s.RegisterHook(t.Context(), &hookspb.RegisterHookRequest{Hook: hook}); err != nil {
		t.Fatal(err)
	}
}

func grpcHook(address string) *hookspb.Hook {
	return &hookspb.Hook{Target: &hookspb.Hook_Grpc{Grpc: &hookspb.GrpcTarget{Address: address}}}
}

func webhookHook(url string) *hookspb.Hook {
	return &hookspb.Hook{Target: &hookspb.Hook_Webhook{Webhook: &hookspb.WebhookTarget{Url: url}}}
}

const id = "d-1/POST_SCALE_UP/0/smoke"

func invocation(id string) *hookspb.Invocation {
	return &hookspb.Invocation{
		Id: id, Hook: "smoke", Service: "default/web", Deployment: "d-1", LifecycleStage: "POST_SCALE_UP",
		ExecutionDetails: &hookspb.ExecutionDetails{ServiceArn: "default/web", TargetServiceRevisionArn: "default/web/2"},
		Timeout:          durationpb.New(time.Minute),
	}
}

func (s *service) invoke(t *testing.T, i *hookspb.Invocation) *hookspb.Invocation {
	t.Helper()
	resp, err := s.InvokeHook(t.Context(), &hookspb.InvokeHookRequest{Generation: 1, Invocation: i})
	if err != nil {
		t.Fatal(err)
	}
	return resp.GetInvocation()
}

// await returns the invocation as soon as the watch shows it as wanted.
func (s *service) await(t *testing.T, id string, wanted func(*hookspb.Invocation) bool) *hookspb.Invocation {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stream, err := s.WatchInvocations(ctx, &hookspb.WatchInvocationsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var last *hookspb.Invocation
	for {
		resp, err := stream.Recv()
		if err != nil {
			t.Fatalf("waiting for %s, last seen as %v: %v", id, last, err)
		}
		for _, i := range resp.GetInvocations() {
			if i.GetId() != id {
				continue
			}
			if last = i; wanted(i) {
				return i
			}
		}
	}
}

func (s *service) end(t *testing.T, id string) *hookspb.Invocation {
	t.Helper()
	return s.await(t, id, func(i *hookspb.Invocation) bool { return i.GetEndTime() != nil })
}

func (s *service) attempts(t *testing.T, id string) []*hookspb.Attempt {
	t.Helper()
	resp, err := s.GetInvocation(t.Context(), &hookspb.GetInvocationRequest{Id: id})
	if err != nil {
		t.Fatal(err)
	}
	return resp.GetAttempts()
}

// wantEnd waits for the end and checks how it was.
func (s *service) wantEnd(t *testing.T, id string, state hookspb.Invocation_State, outcome hookspb.Invocation_Outcome) *hookspb.Invocation {
	t.Helper()
	i := s.end(t, id)
	if i.GetState() != state || i.GetOutcome() != outcome {
		t.Errorf("ended as %s, %s (%s), want %s, %s", i.GetState(), i.GetOutcome(), i.GetReason(), state, outcome)
	}
	return i
}

func (s *service) wantSucceeded(t *testing.T, id string) *hookspb.Invocation {
	t.Helper()
	return s.wantEnd(t, id, hookspb.Invocation_STATE_SUCCEEDED, hookspb.Invocation_OUTCOME_CONTINUE)
}

func (s *service) wantFailed(t *testing.T, id string) *hookspb.Invocation {
	t.Helper()
	return s.wantEnd(t, id, hookspb.Invocation_STATE_FAILED, hookspb.Invocation_OUTCOME_ROLLBACK)
}

// seen is what a handler received of one call.
type seen struct {
	id      string
	attempt string
	body    string
}

// webhook is a real HTTP server whose answers are scripted: answer is called with the count of the call, from 1.
type webhook struct {
	url string
	mu  sync.Mutex
	got []seen
}

func newWebhook(t *testing.T, answer func(n int, w http.ResponseWriter, r *http.Request)) *webhook {
	t.Helper()
	h := &webhook{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		h.mu.Lock()
		h.got = append(h.got, seen{id: r.Header.Get("Slipway-Invocation-Id"), attempt: r.Header.Get("Slipway-Attempt"), body: string(body)})
		n := len(h.got)
		h.mu.Unlock()
		answer(n, w, r)
	}))
	t.Cleanup(server.Close)
	h.url = server.URL
	return h
}

func (h *webhook) calls() []seen {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]seen(nil), h.got...)
}

// says answers each call with one of the bodies, the last one for ever.
func says(bodies ...string) func(int, http.ResponseWriter, *http.Request) {
	return func(n int, w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, bodies[min(n, len(bodies))-1]) }
}

// silent never answers. It ends with the test, or when its caller gives up.
func silent(t *testing.T) func(int, http.ResponseWriter, *http.Request) {
	t.Helper()
	return func(_ int, _ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-t.Context().Done():
		}
	}
}

type handlerFunc func(n int, r *hookspb.HandleHookRequest) (*hookspb.HandleHookResponse, error)

type grpcHandler struct {
	hookspb.UnimplementedHookHandlerServiceServer
	answer  handlerFunc
	mu      sync.Mutex
	got     []*hookspb.HandleHookRequest
	address string
}

func (h *grpcHandler) HandleHook(_ context.Context, r *hookspb.HandleHookRequest) (*hookspb.HandleHookResponse, error) {
	h.mu.Lock()
	h.got = append(h.got, r)
	n := len(h.got)
	h.mu.Unlock()
	return h.answer(n, r)
}

func (h *grpcHandler) calls() []*hookspb.HandleHookRequest {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]*hookspb.HandleHookRequest(nil), h.got...)
}

func newGRPCHandler(t *testing.T, answer handlerFunc) *grpcHandler {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &grpcHandler{answer: answer, address: l.Addr().String()}
	server := grpc.NewServer()
	hookspb.RegisterHookHandlerServiceServer(server, h)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	return h
}

func wait[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("%s did not come", what)
		panic("unreachable")
	}
}
