package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	"github.com/slipway-deploy/slipway/platform/grpcserver"
	"github.com/slipway-deploy/slipway/platform/problem"
)

// fakeHooks keeps what it is told.
type fakeHooks struct {
	hookspb.UnimplementedHookServiceServer
	mu    sync.Mutex
	put   *hookspb.Hook
	asked *hookspb.ListInvocationsRequest
}

func startHooks(t *testing.T) (*fakeHooks, string) {
	t.Helper()
	f := &fakeHooks{}
	server, err := grpcserver.New(nil, grpcserver.Config{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	hookspb.RegisterHookServiceServer(server, f)
	server.Start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		server.Stop(ctx)
	})
	return f, server.Addr()
}

func (f *fakeHooks) RegisterHook(_ context.Context, r *hookspb.RegisterHookRequest) (*hookspb.RegisterHookResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.put = r.GetHook()
	shown := proto.CloneOf(r.GetHook())
	if to := shown.GetWebhook(); to != nil {
		to.SecretCount, to.Secrets = int32(len(to.GetSecrets())), nil
	}
	return &hookspb.RegisterHookResponse{Hook: shown}, nil
}

func (f *fakeHooks) last() *hookspb.Hook {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.put
}

func (f *fakeHooks) ListHooks(context.Context, *hookspb.ListHooksRequest) (*hookspb.ListHooksResponse, error) {
	thirty := durationpb.New(30 * time.Second)
	return &hookspb.ListHooksResponse{Hooks: []*hookspb.Hook{
		{
			Name: "a", CallTimeout: thirty, MaxAttempts: 5,
			Target: &hookspb.Hook_Webhook{Webhook: &hookspb.WebhookTarget{Url: "https://hooks.example.com/", SecretCount: 2}},
		},
		{Name: "b", CallTimeout: thirty, MaxAttempts: 5, Target: &hookspb.Hook_Grpc{Grpc: &hookspb.GrpcTarget{Address: "localhost:9000", Tls: true}}},
		{Name: "c", CallTimeout: thirty, MaxAttempts: 5, Target: &hookspb.Hook_Lambda{Lambda: &hookspb.LambdaTarget{Function: "smoke", Qualifier: "live"}}},
		{Name: "d", CallTimeout: thirty, MaxAttempts: 1, Target: &hookspb.Hook_Exec{Exec: &hookspb.ExecTarget{Command: "/opt/smoke", Args: []string{"-x"}}}},
	}}, nil
}

func (f *fakeHooks) DeleteHook(_ context.Context, r *hookspb.DeleteHookRequest) (*hookspb.DeleteHookResponse, error) {
	if r.GetRequestId() == "" {
		return nil, problem.Invalid("request_id", "must be set")
	}
	return &hookspb.DeleteHookResponse{}, nil
}

func waiting() *hookspb.Invocation {
	return &hookspb.Invocation{
		Id: "d-7/POST_SCALE_UP/0/smoke", Hook: "smoke", Service: "default/web", Deployment: "d-7", LifecycleStage: "POST_SCALE_UP",
		Contract: hookspb.Contract_CONTRACT_ECS, State: hookspb.Invocation_STATE_IN_PROGRESS, Attempt: 2,
		Reason: "attempt 2 answered IN_PROGRESS; called again after 30s", CreateTime: at(0), NextAttemptTime: at(60), DeadlineTime: at(600),
	}
}

func (f *fakeHooks) ListInvocations(_ context.Context, r *hookspb.ListInvocationsRequest) (*hookspb.ListInvocationsResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = r
	return &hookspb.ListInvocationsResponse{Invocations: []*hookspb.Invocation{waiting()}}, nil
}

func (f *fakeHooks) GetInvocation(context.Context, *hookspb.GetInvocationRequest) (*hookspb.GetInvocationResponse, error) {
	return &hookspb.GetInvocationResponse{Invocation: waiting(), Attempts: []*hookspb.Attempt{
		{Attempt: 1, Request: `{"executionId":"x"}`, Error: "answered HTTP status 503", Response: "warming\x1b[2J up", StartTime: at(1), EndTime: at(2), Duration: durationpb.New(time.Second)},
		{Attempt: 2, Request: `{"executionId":"x"}`, HookStatus: "IN_PROGRESS", Response: `{"hookStatus":"IN_PROGRESS"}`, StartTime: at(5), EndTime: at(6), Duration: durationpb.New(40 * time.Millisecond)},
		{Attempt: 1, HookStatus: "SUCCEEDED", Error: "attempt 1 is not the current one, 2", StartTime: at(7), EndTime: at(7), Ignored: true},
		{Attempt: 3, StartTime: at(8)},
	}}, nil
}

func TestHooksAreListed(t *testing.T) {
	_, address := startHooks(t)
	s := slipway(t, address, "hooks")
	s.want(t, 0, "HOOK", "a     webhook  https://hooks.example.com/  yes (2)  30s", "b     gRPC     localhost:9000 (TLS)",
		"c     Lambda   smoke:live", "d     exec     /opt/smoke -x")
	slipway(t, address, "hooks", "list", "-o", "json").want(t, 0, `"secretCount": 2`)
	slipway(t, address, "hooks", "delete", "a").want(t, 0, "hook a is deleted")
}

func TestHooksArePut(t *testing.T) {
	f, address := startHooks(t)
	slipway(t, address, "hooks", "put", "smoke", "--grpc", "localhost:9000", "--tls", "--call-timeout", "5s").want(t, 0, "hook smoke calls gRPC localhost:9000 (TLS)")
	if h := f.last(); h.GetName() != "smoke" || !h.GetGrpc().GetTls() || h.GetCallTimeout().AsDuration() != 5*time.Second || h.GetMaxAttempts() != 5 {
		t.Errorf("put %v", h)
	}
	slipway(t, address, "hooks", "put", "smoke", "--lambda", "smoke", "--qualifier", "live").want(t, 0, "hook smoke calls Lambda smoke:live")
	if h := f.last(); h.GetLambda().GetQualifier() != "live" || h.GetCallTimeout() != nil {
		t.Errorf("put %v", h)
	}
	tt := terminal{env: map[string]string{"SLIPWAY_HOOKS": address}} // what is added to the arguments would follow --
	tt.slipway(t.Context(), "", "hooks", "put", "smoke", "--exec", "/opt/smoke", "--", "--suite", "short").
		want(t, 0, "hook smoke calls exec /opt/smoke --suite short")
	if args := f.last().GetExec().GetArgs(); len(args) != 2 || args[1] != "short" {
		t.Errorf("put %v", args)
	}
	s := slipway(t, address, "hooks", "put", "smoke", "--webhook", "https://hooks.example.com/", "--new-secret")
	made := f.last().GetWebhook().GetSecrets()
	if len(made) != 1 || !strings.HasPrefix(made[0], "whsec_") {
		t.Fatalf("put %v", made)
	}
	s.want(t, 0, "calls are signed with "+made[0])
	file := filepath.Join(t.TempDir(), "secrets")
	if err := os.WriteFile(file, []byte("whsec_one\nwhsec_two\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s = slipway(t, address, "hooks", "put", "smoke", "--webhook", "https://hooks.example.com/", "--secret-file", file)
	if given := f.last().GetWebhook().GetSecrets(); len(given) != 2 || given[1] != "whsec_two" || strings.Contains(s.out+s.err, "whsec_") {
		t.Errorf("put %v: %s%s", given, s.out, s.err)
	}
	slipway(t, address, "hooks", "put", "smoke", "--webhook", "https://hooks.example.com/", "--unsigned").want(t, 0)
	if !f.last().GetWebhook().GetUnsigned() {
		t.Errorf("put %v", f.last())
	}
}

func TestBadUsageOfHooksPutIsExplained(t *testing.T) {
	for want, args := range map[string][]string{
		"NAME is missing": {},
		"one of --webhook, --grpc, --lambda and --exec is needed":       {"x"},
		`"y" is one argument too many`:                                  {"x", "y", "--grpc", "a:1"},
		"--secret-file, --new-secret and --unsigned exclude each other": {"x", "--webhook", "https://a", "--new-secret", "--unsigned"},
		"--secret-file, --new-secret and --unsigned go with --webhook":  {"x", "--grpc", "a:1", "--new-secret"},
		"--tls goes with --grpc":                                        {"x", "--webhook", "https://a", "--tls"},
		"--qualifier goes with --lambda":                                {"x", "--webhook", "https://a", "--qualifier", "live"},
	} {
		slipway(t, "127.0.0.1:1", append([]string{"hooks", "put"}, args...)...).want(t, 2, want)
	}
}

func TestInvocationsAreListedAndShown(t *testing.T) {
	f, address := startHooks(t)
	slipway(t, address, "hooks", "invocations", "--service", "web", "--hook", "smoke").want(t, 0, "BEGAN", "d-7/POST_SCALE_UP/0/smoke  smoke  IN_PROGRESS  2")
	f.mu.Lock()
	if f.asked.GetService() != "default/web" || f.asked.GetHook() != "smoke" {
		t.Errorf("asked for %v", f.asked)
	}
	f.mu.Unlock()
	s := slipway(t, address, "hooks", "show", "d-7/POST_SCALE_UP/0/smoke")
	s.want(t, 0,
		"stage        POST_SCALE_UP, step 0", "contract     ECS", "called again 2026-01-31 12:01:00",
		"until        2026-01-31 12:10:00, then the deployment rolls back",
		"1        2026-01-31 12:00:01  1.0s  no answer            answered HTTP status 503: warming",
		`2        2026-01-31 12:00:05  40ms  IN_PROGRESS          {"hookStatus":"IN_PROGRESS"}`,
		"1        2026-01-31 12:00:07  -     SUCCEEDED (ignored)  attempt 1 is not the current one, 2",
		"3        2026-01-31 12:00:08  -     on its way           -")
	if strings.Contains(s.out, "\x1b") {
		t.Errorf("what came back drives the terminal: %q", s.out)
	}
	slipway(t, address, "hooks", "show", "x", "--full").want(t, 0, "attempt 1 at 2026-01-31 12:00:01: no answer", `  sent      {"executionId":"x"}`, "  received  warming")
	slipway(t, address, "hooks", "show", "x", "-o", "json").want(t, 0, `"ignored": true`)
}
