package app_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
)

func TestHooksAreRegisteredListedAndDeleted(t *testing.T) {
	s := startNew(t)
	for _, name := range []string{"c", "a", "b"} {
		hook := webhookHook("https://hooks.example.com/" + name)
		hook.Name = name
		s.register(t, hook)
	}
	var names []string
	for token := ""; ; {
		page, err := s.ListHooks(t.Context(), &hookspb.ListHooksRequest{PageSize: 2, PageToken: token})
		if err != nil {
			t.Fatal(err)
		}
		for _, hook := range page.GetHooks() {
			names = append(names, hook.GetName())
		}
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	if !slices.Equal(names, []string{"a", "b", "c"}) {
		t.Errorf("listed %v", names)
	}
	got, err := s.GetHook(t.Context(), &hookspb.GetHookRequest{Name: "b"})
	if err != nil || got.GetHook().GetCallTimeout().AsDuration() != 30*time.Second || got.GetHook().GetMaxAttempts() != 5 ||
		got.GetHook().GetWebhook().GetUrl() != "https://hooks.example.com/b" || got.GetHook().GetEtag() == "" {
		t.Errorf("%v, %v", got, err)
	}
	for range 2 { // the same request_id is the same answer
		if _, err := s.DeleteHook(t.Context(), &hookspb.DeleteHookRequest{Name: "b", RequestId: "r-1"}); err != nil {
			t.Error(err)
		}
	}
	_, err = s.DeleteHook(t.Context(), &hookspb.DeleteHookRequest{Name: "a", RequestId: "r-1"})
	wantProblem(t, err, codes.FailedPrecondition, "REQUEST_ID_REUSED")
	_, err = s.DeleteHook(t.Context(), &hookspb.DeleteHookRequest{Name: "b"})
	wantProblem(t, err, codes.NotFound, "HOOK_NOT_FOUND")
	_, err = s.ListHooks(t.Context(), &hookspb.ListHooksRequest{PageToken: "nonsense"})
	wantProblem(t, err, codes.InvalidArgument, "INVALID_FIELD")
}

func TestAStaleEtagIsRefused(t *testing.T) {
	s := startNew(t)
	put := func(attempts int32, etag string) (*hookspb.Hook, error) {
		hook := grpcHook("localhost:9000")
		hook.Name, hook.MaxAttempts, hook.Etag = "smoke", attempts, etag
		resp, err := s.RegisterHook(t.Context(), &hookspb.RegisterHookRequest{Hook: hook})
		return resp.GetHook(), err
	}
	first, err := put(2, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := put(3, first.GetEtag()); err != nil {
		t.Error(err)
	}
	_, err = put(4, first.GetEtag())
	wantProblem(t, err, codes.Aborted, "STALE_ETAG")
}

func TestBadInputNamesTheFieldAndTheRule(t *testing.T) {
	s := startNew(t)
	s.register(t, grpcHook("localhost:9000"))
	hook := func(change func(*hookspb.Hook)) func() error {
		h := webhookHook("https://hooks.example.com/")
		h.Name = "h"
		change(h)
		return func() error {
			_, err := s.RegisterHook(t.Context(), &hookspb.RegisterHookRequest{Hook: h})
			return err
		}
	}
	invoke := func(change func(*hookspb.Invocation)) func() error {
		i := invocation(id)
		change(i)
		return func() error {
			_, err := s.InvokeHook(t.Context(), &hookspb.InvokeHookRequest{Generation: 1, Invocation: i})
			return err
		}
	}
	tests := map[string]struct {
		call  func() error
		field string
	}{
		"http to elsewhere":       {hook(func(h *hookspb.Hook) { h.GetWebhook().Url = "http://hooks.example.com/" }), "hook.webhook.url"},
		"a name with spaces":      {hook(func(h *hookspb.Hook) { h.Name = "a b" }), "hook.name"},
		"secrets of another kind": {hook(func(h *hookspb.Hook) { h.GetWebhook().Secrets = []string{"whsec_c2hvcnQ="} }), "hook.webhook.secrets[0]"},
		"three secrets": {
			hook(func(h *hookspb.Hook) { h.GetWebhook().Secrets = []string{hookSecret, otherHookSecret, hookSecret} }), "hook.webhook.secrets",
		},
		"secrets and unsigned": {
			hook(func(h *hookspb.Hook) { h.GetWebhook().Secrets, h.GetWebhook().Unsigned = []string{hookSecret}, true }), "hook.webhook.unsigned",
		},
		"a function with spaces": {
			hook(func(h *hookspb.Hook) { h.Target = lambdaTarget("smoke test", "") }), "hook.lambda.function",
		},
		"a strange qualifier": {hook(func(h *hookspb.Hook) { h.Target = lambdaTarget("smoke", "a b") }), "hook.lambda.qualifier"},
		"a command that is not allowed": {
			hook(func(h *hookspb.Hook) { h.Target = execTarget("/bin/sh") }), "hook.exec.command",
		},
		"no target":         {hook(func(h *hookspb.Hook) { h.Target = nil }), "hook.target"},
		"a long call":       {hook(func(h *hookspb.Hook) { h.CallTimeout = durationOf(time.Hour) }), "hook.call_timeout"},
		"no deployment":     {invoke(func(i *hookspb.Invocation) { i.Deployment = "" }), "invocation.deployment"},
		"an id with spaces": {invoke(func(i *hookspb.Invocation) { i.Id = "a b" }), "invocation.id"},
		"a short timeout":   {invoke(func(i *hookspb.Invocation) { i.Timeout = durationOf(time.Millisecond) }), "invocation.timeout"},
		"no timeout at all": {invoke(func(i *hookspb.Invocation) { i.Timeout = durationOf(0) }), "invocation.timeout"},
		"weights over 100": {
			invoke(func(i *hookspb.Invocation) {
				i.ExecutionDetails.ProductionTrafficWeights = map[string]float64{"r": 101}
			}),
			"invocation.execution_details.production_traffic_weights",
		},
	}
	for name, tt := range tests {
		err := tt.call()
		wantProblem(t, err, codes.InvalidArgument, "INVALID_FIELD")
		if p := problem.As(err); p == nil || len(p.Violations) != 1 || p.Violations[0].Field != tt.field || p.Violations[0].Rule == "" {
			t.Errorf("%s: %+v, want a violation of %s", name, p, tt.field)
		}
	}
	_, err := s.InvokeHook(t.Context(), &hookspb.InvokeHookRequest{Generation: 1, Invocation: &hookspb.Invocation{
		Id: id, Hook: "nobody", Service: "default/web", Deployment: "d-1", LifecycleStage: "POST_SCALE_UP",
	}})
	wantProblem(t, err, codes.NotFound, "HOOK_NOT_FOUND")
	_, err = s.GetInvocation(t.Context(), &hookspb.GetInvocationRequest{Id: id})
	wantProblem(t, err, codes.NotFound, "INVOCATION_NOT_FOUND")
}

func TestInvokingTwiceCallsOnce(t *testing.T) {
	s := startNew(t)
	h := newWebhook(t, says(`{"hookStatus":"SUCCEEDED"}`))
	s.register(t, webhookHook(h.url))
	first := s.invoke(t, invocation(id))
	s.wantSucceeded(t, id)
	if _, err := s.DeleteHook(t.Context(), &hookspb.DeleteHookRequest{Name: "smoke"}); err != nil {
		t.Fatal(err)
	}
	again := s.invoke(t, invocation(id)) // also without the hook: the invocation has its definition
	if again.GetState() != hookspb.Invocation_STATE_SUCCEEDED || !again.GetCreateTime().AsTime().Equal(first.GetCreateTime().AsTime()) {
		t.Errorf("invoked again: %v", again)
	}
	other := invocation(id)
	other.Deployment = "d-2"
	_, err := s.InvokeHook(t.Context(), &hookspb.InvokeHookRequest{Generation: 1, Invocation: other})
	wantProblem(t, err, codes.FailedPrecondition, "REQUEST_ID_REUSED")
	if n := len(h.calls()); n != 1 {
		t.Errorf("called %d times", n)
	}
}

func TestInvocationsAreListedNewestFirst(t *testing.T) {
	s := startNew(t)
	h := newWebhook(t, says(`{"hookStatus":"SUCCEEDED"}`))
	s.register(t, webhookHook(h.url))
	for n := range 5 {
		i := invocation(fmt.Sprint("i-", n))
		i.Deployment = fmt.Sprint("d-", n%2)
		s.invoke(t, i)
	}
	var ids []string
	for token := ""; ; {
		page, err := s.ListInvocations(t.Context(), &hookspb.ListInvocationsRequest{Deployment: "d-0", Hook: "smoke", PageSize: 2, PageToken: token})
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range page.GetInvocations() {
			ids = append(ids, i.GetId())
		}
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	if !slices.Equal(ids, []string{"i-4", "i-2", "i-0"}) {
		t.Errorf("listed %v", ids)
	}
}

func TestAWatchBeginsWithASnapshotAndShowsTheChangesOfEveryReplica(t *testing.T) {
	one := startNew(t)
	other := start(t, one.url)
	release := make(chan struct{})
	h := newGRPCHandler(t, func(n int, r *hookspb.HandleHookRequest) (*hookspb.HandleHookResponse, error) {
		if r.GetExecutionId() == "d-1/slow" {
			<-release
		}
		return respond(hookspb.HookStatus_HOOK_STATUS_SUCCEEDED)(n, r)
	})
	one.register(t, grpcHook(h.address))
	one.invoke(t, invocation("d-1/ended"))
	one.wantSucceeded(t, "d-1/ended")
	one.invoke(t, invocation("d-1/slow"))
	foreign := invocation("d-2/x")
	foreign.Deployment = "d-2"
	one.invoke(t, foreign)
	other.wantSucceeded(t, "d-2/x") // what other watchers see is there

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stream, err := other.WatchInvocations(ctx, &hookspb.WatchInvocationsRequest{Deployment: "d-1"})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	states := map[string]hookspb.Invocation_State{}
	for _, i := range resp.GetInvocations() {
		states[i.GetId()] = i.GetState()
	}
	if !resp.GetSnapshot() || len(states) != 2 || states["d-1/ended"] != hookspb.Invocation_STATE_SUCCEEDED || states["d-1/slow"].Number() > 2 {
		t.Fatalf("the first response: %v", resp)
	}
	close(release)
	for states["d-1/slow"] != hookspb.Invocation_STATE_SUCCEEDED {
		resp, err := stream.Recv()
		if err != nil || resp.GetSnapshot() {
			t.Fatalf("%v, %v", resp, err)
		}
		for _, i := range resp.GetInvocations() {
			if i.GetDeployment() != "d-1" {
				t.Errorf("a change of another deployment: %v", i)
			}
			states[i.GetId()] = i.GetState()
		}
	}
}

func TestAWatchOfNothingBeginsWithAnEmptySnapshot(t *testing.T) {
	s := startNew(t)
	stream, err := s.WatchInvocations(t.Context(), &hookspb.WatchInvocationsRequest{Deployment: "d-9"})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := stream.Recv()
	if err != nil || !resp.GetSnapshot() || len(resp.GetInvocations()) != 0 {
		t.Errorf("%v, %v", resp, err)
	}
}
