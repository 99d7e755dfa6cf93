package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	"github.com/slipway-deploy/slipway/services/hooks/app"
)

func respond(s hookspb.HookStatus) handlerFunc {
	return func(int, *hookspb.HandleHookRequest) (*hookspb.HandleHookResponse, error) {
		return &hookspb.HandleHookResponse{HookStatus: s, Reason: "checked"}, nil
	}
}

func details(t *testing.T, d map[string]any) *structpb.Struct {
	t.Helper()
	s, err := structpb.NewStruct(d)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAGRPCHandlerThatSucceeds(t *testing.T) {
	s := startNew(t)
	h := newGRPCHandler(t, respond(hookspb.HookStatus_HOOK_STATUS_SUCCEEDED))
	s.register(t, grpcHook(h.address))
	begun := s.invoke(t, invocation(id))
	if begun.GetState() == hookspb.Invocation_STATE_UNSPECIFIED || begun.GetDeadlineTime().AsTime().Sub(begun.GetCreateTime().AsTime()) != time.Minute {
		t.Errorf("begun as %v", begun)
	}
	i := s.wantSucceeded(t, id)
	if i.GetAttempt() != 1 || i.GetReason() != "attempt 1 answered SUCCEEDED: checked" || i.GetNextAttemptTime() != nil {
		t.Errorf("ended as %v", i)
	}
	attempts := s.attempts(t, id)
	if len(attempts) != 1 || attempts[0].GetHookStatus() != "SUCCEEDED" || attempts[0].GetEndTime() == nil || attempts[0].GetDuration().AsDuration() <= 0 ||
		!strings.Contains(attempts[0].GetResponse(), "checked") || !strings.Contains(attempts[0].GetRequest(), `"executionId":"d-1/POST_SCALE_UP/0/smoke"`) {
		t.Errorf("recorded %v", attempts)
	}
	if calls := h.calls(); len(calls) != 1 || calls[0].GetExecutionId() != id || calls[0].GetAttempt() != 1 {
		t.Errorf("called with %v", calls)
	}
}

func TestAGRPCHandlerThatFails(t *testing.T) {
	s := startNew(t)
	h := newGRPCHandler(t, respond(hookspb.HookStatus_HOOK_STATUS_FAILED))
	s.register(t, grpcHook(h.address))
	s.invoke(t, invocation(id))
	if i := s.wantFailed(t, id); i.GetReason() != "attempt 1 answered FAILED: checked" {
		t.Errorf("reason %q", i.GetReason())
	}
}

func TestAGRPCHandlerInProgressCarriesDetails(t *testing.T) {
	s := startNew(t)
	h := newGRPCHandler(t, func(n int, r *hookspb.HandleHookRequest) (*hookspb.HandleHookResponse, error) {
		if n == 3 {
			return respond(hookspb.HookStatus_HOOK_STATUS_SUCCEEDED)(n, r)
		}
		returned, err := structpb.NewStruct(map[string]any{"run": 17, fmt.Sprint("step", n): true})
		return &hookspb.HandleHookResponse{
			HookStatus: hookspb.HookStatus_HOOK_STATUS_IN_PROGRESS, CallBackDelay: durationpb.New(100 * time.Millisecond), HookDetails: returned,
		}, err
	})
	s.register(t, grpcHook(h.address))
	i := invocation(id)
	i.HookDetails = details(t, map[string]any{"run": 0, "suite": "smoke"})
	s.invoke(t, i)
	ended := s.wantSucceeded(t, id)
	calls := h.calls()
	want := []map[string]any{
		{"run": 0.0, "suite": "smoke"},
		{"run": 17.0, "suite": "smoke", "step1": true},
		{"run": 17.0, "suite": "smoke", "step1": true, "step2": true},
	}
	if len(calls) != len(want) {
		t.Fatalf("called %d times, want %d", len(calls), len(want))
	}
	for n, call := range calls {
		if int(call.GetAttempt()) != n+1 || !reflect.DeepEqual(call.GetHookDetails().AsMap(), want[n]) {
			t.Errorf("call %d: attempt %d with %v, want %v", n+1, call.GetAttempt(), call.GetHookDetails(), want[n])
		}
	}
	if !reflect.DeepEqual(ended.GetHookDetails().AsMap(), want[2]) {
		t.Errorf("ended with %v", ended.GetHookDetails())
	}
}

func TestAWebhookInProgressCarriesDetails(t *testing.T) {
	s := startNew(t)
	h := newWebhook(t, says(
		`{"hookStatus":"IN_PROGRESS","callBackDelay":0.1,"hookDetails":{"run":17}}`,
		`{"hookStatus":"IN_PROGRESS","callBackDelay":0.1,"hookDetails":{"half":"<yes>"}}`,
		`{"hookStatus":"SUCCEEDED"}`))
	s.register(t, webhookHook(h.url))
	s.invoke(t, invocation(id))
	s.wantSucceeded(t, id)
	want := []any{nil, map[string]any{"run": 17.0}, map[string]any{"run": 17.0, "half": "<yes>"}}
	calls := h.calls()
	if len(calls) != len(want) {
		t.Fatalf("called %d times, want %d", len(calls), len(want))
	}
	for n, call := range calls {
		var body map[string]any
		if err := json.Unmarshal([]byte(call.body), &body); err != nil {
			t.Fatal(err)
		}
		if call.id != id || call.attempt != fmt.Sprint(n+1) || !reflect.DeepEqual(body["hookDetails"], want[n]) {
			t.Errorf("call %d: %+v, want the details %v", n+1, call, want[n])
		}
	}
}

func TestADeadlineRollsBackOrGoesOn(t *testing.T) {
	s := startNew(t)
	h := newWebhook(t, says(`{"hookStatus":"IN_PROGRESS"}`)) // asked again after 30 s, beyond the deadline
	s.register(t, webhookHook(h.url))
	rollback, goOn := invocation("d-1/a"), invocation("d-1/b")
	rollback.Timeout, goOn.Timeout = durationpb.New(time.Second), durationpb.New(time.Second)
	goOn.TimeoutAction = hookspb.Invocation_TIMEOUT_ACTION_CONTINUE
	s.invoke(t, rollback)
	s.invoke(t, goOn)
	s.wantEnd(t, "d-1/a", hookspb.Invocation_STATE_TIMED_OUT, hookspb.Invocation_OUTCOME_ROLLBACK)
	i := s.wantEnd(t, "d-1/b", hookspb.Invocation_STATE_TIMED_OUT, hookspb.Invocation_OUTCOME_CONTINUE)
	if late := i.GetEndTime().AsTime().Sub(i.GetDeadlineTime().AsTime()); late < 0 || late > 3*time.Second {
		t.Errorf("ended %s after its deadline", late)
	}
}

// The call is bounded by what is left until the deadline, not by its own time-out alone.
func TestADeadlineEndsACallUnderWay(t *testing.T) {
	s := startNew(t)
	h := newWebhook(t, silent(t))
	s.register(t, webhookHook(h.url))
	i := invocation(id)
	i.Timeout = durationpb.New(time.Second)
	s.invoke(t, i)
	s.wantEnd(t, id, hookspb.Invocation_STATE_TIMED_OUT, hookspb.Invocation_OUTCOME_ROLLBACK)
	if attempts := s.attempts(t, id); len(attempts) != 1 || attempts[0].GetEndTime() == nil {
		t.Errorf("recorded %v", attempts)
	}
}

// Deadlines hold also while every worker is busy.
func TestADeadlineHoldsWithoutAFreeWorker(t *testing.T) {
	s := startNew(t, func(c *app.Config) { c.Workers = 1 })
	h := newWebhook(t, silent(t))
	s.register(t, webhookHook(h.url))
	s.invoke(t, invocation("d-1/busy"))
	s.await(t, "d-1/busy", func(i *hookspb.Invocation) bool { return i.GetAttempt() == 1 })
	i := invocation("d-1/waiting")
	i.Timeout = durationpb.New(time.Second)
	s.invoke(t, i)
	s.wantEnd(t, "d-1/waiting", hookspb.Invocation_STATE_TIMED_OUT, hookspb.Invocation_OUTCOME_ROLLBACK)
	if n := len(s.attempts(t, "d-1/waiting")); n != 0 {
		t.Errorf("%d attempts without a worker", n)
	}
}

func TestA500IsTriedAgain(t *testing.T) {
	s := startNew(t)
	h := newWebhook(t, func(n int, w http.ResponseWriter, r *http.Request) {
		if n == 1 {
			http.Error(w, "not yet", http.StatusInternalServerError)
			return
		}
		says(`{"hookStatus":"SUCCEEDED"}`)(n, w, r)
	})
	s.register(t, webhookHook(h.url))
	s.invoke(t, invocation(id))
	s.wantSucceeded(t, id)
	attempts := s.attempts(t, id)
	if len(attempts) != 2 || !strings.Contains(attempts[0].GetError(), "500") || !strings.Contains(attempts[0].GetResponse(), "not yet") {
		t.Errorf("recorded %v", attempts)
	}
	if gap := attempts[1].GetStartTime().AsTime().Sub(attempts[0].GetEndTime().AsTime()); gap < 500*time.Millisecond {
		t.Errorf("tried again after %s, want a back-off of at least 500ms", gap)
	}
}

func TestAGRPCHandlerThatIsUnavailableIsTriedAgainAndThenFails(t *testing.T) {
	s := startNew(t)
	h := newGRPCHandler(t, func(int, *hookspb.HandleHookRequest) (*hookspb.HandleHookResponse, error) {
		return nil, status.Error(codes.Unavailable, "starting")
	})
	hook := grpcHook(h.address)
	hook.MaxAttempts = 2
	s.register(t, hook)
	s.invoke(t, invocation(id))
	if i := s.wantFailed(t, id); i.GetAttempt() != 2 || i.GetReason() != "attempt 2 got no answer, as 2 in a row: Unavailable: starting" {
		t.Errorf("%d attempts, %q", i.GetAttempt(), i.GetReason())
	}
}

func TestAnswersThatFailAtOnce(t *testing.T) {
	tests := map[string]struct {
		answer func(int, http.ResponseWriter, *http.Request)
		reason string
	}{
		"unknown status": {says(`{"hookStatus":"DONE"}`), `hookStatus "DONE"; SUCCEEDED, FAILED or IN_PROGRESS is expected`},
		"no status":      {says(`{"status":"SUCCEEDED"}`), "without a hookStatus"},
		"not JSON":       {says(`<html>hello</html>`), "not a JSON object: <html>hello</html>"},
		"huge body":      {says(strings.Repeat(" ", 70_000) + `{"hookStatus":"SUCCEEDED"}`), "more than 65536 bytes"},
		"404":            {func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }, "404 Not Found"},
		"NUL and not UTF-8": {
			func(_ int, w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte{0, 0xff, 0xfe}) }, "not a JSON object",
		},
	}
	s := startNew(t)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newWebhook(t, tt.answer)
			hook := webhookHook(h.url)
			hook.Name = strings.ReplaceAll(name, " ", "-")
			s.register(t, hook)
			i := invocation(hook.GetName())
			i.Hook = hook.GetName()
			s.invoke(t, i)
			if ended := s.wantFailed(t, i.GetId()); !strings.Contains(ended.GetReason(), tt.reason) || ended.GetAttempt() != 1 {
				t.Errorf("%d attempts, %q, want %q", ended.GetAttempt(), ended.GetReason(), tt.reason)
			}
			if attempts := s.attempts(t, i.GetId()); len(attempts) != 1 || len(attempts[0].GetResponse()) > 64<<10 {
				t.Errorf("%d attempts recorded", len(attempts))
			}
		})
	}
}

func TestAResultCanBeReportedFromOutside(t *testing.T) {
	s := startNew(t)
	h := newWebhook(t, func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) })
	s.register(t, webhookHook(h.url))
	s.invoke(t, invocation(id))
	i := s.await(t, id, func(i *hookspb.Invocation) bool { return strings.Contains(i.GetReason(), "accepted") })
	if i.GetNextAttemptTime() != nil || i.GetAttempt() != 1 || i.GetState() != hookspb.Invocation_STATE_IN_PROGRESS {
		t.Errorf("after 202 it is %v", i)
	}
	report := func(attempt int32, status hookspb.HookStatus) error {
		_, err := s.ReportHookResult(t.Context(), &hookspb.ReportHookResultRequest{Id: id, Attempt: attempt, HookStatus: status, Reason: "by hand"})
		return err
	}
	wantProblem(t, report(2, hookspb.HookStatus_HOOK_STATUS_SUCCEEDED), codes.FailedPrecondition, "ATTEMPT_NOT_CURRENT")
	if err := report(1, hookspb.HookStatus_HOOK_STATUS_SUCCEEDED); err != nil {
		t.Fatal(err)
	}
	if i := s.wantSucceeded(t, id); i.GetReason() != "attempt 1 answered SUCCEEDED: by hand" {
		t.Errorf("reason %q", i.GetReason())
	}
	wantProblem(t, report(1, hookspb.HookStatus_HOOK_STATUS_FAILED), codes.FailedPrecondition, "ATTEMPT_NOT_CURRENT")
	s.wantSucceeded(t, id)
	ignored := map[string]bool{}
	for _, a := range s.attempts(t, id) {
		if a.GetIgnored() {
			ignored[fmt.Sprint(a.GetAttempt(), " ", a.GetHookStatus())] = true
		}
	}
	if !ignored["2 SUCCEEDED"] || !ignored["1 FAILED"] || len(ignored) != 2 {
		t.Errorf("recorded as ignored: %v", ignored)
	}
}

func TestCallBackDelayIs30SecondsByDefault(t *testing.T) {
	s := startNew(t)
	s.register(t, webhookHook(newWebhook(t, says(`{"hookStatus":"IN_PROGRESS"}`)).url))
	s.invoke(t, invocation(id))
	i := s.await(t, id, func(i *hookspb.Invocation) bool { return i.GetNextAttemptTime() != nil && i.GetAttempt() == 1 })
	if wait := i.GetNextAttemptTime().AsTime().Sub(i.GetCreateTime().AsTime()); wait < 29*time.Second || wait > 40*time.Second {
		t.Errorf("asked again after %s, want ECS's 30 s", wait)
	}
}

func TestReportingTheSameRequestIDTwiceGivesTheSameAnswer(t *testing.T) {
	s := startNew(t)
	h := newWebhook(t, func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) })
	s.register(t, webhookHook(h.url))
	s.invoke(t, invocation(id))
	s.await(t, id, func(i *hookspb.Invocation) bool { return i.GetAttempt() == 1 })
	for range 2 {
		resp, err := s.ReportHookResult(t.Context(), &hookspb.ReportHookResultRequest{
			RequestId: "r-1", Id: id, Attempt: 1, HookStatus: hookspb.HookStatus_HOOK_STATUS_SUCCEEDED,
		})
		if err != nil || resp.GetInvocation().GetState() != hookspb.Invocation_STATE_SUCCEEDED {
			t.Errorf("%v, %v", resp, err)
		}
	}
}

func TestACanceledInvocationIsNotCalledAgain(t *testing.T) {
	s := startNew(t)
	answered, release := make(chan struct{}), make(chan struct{})
	h := newWebhook(t, func(n int, w http.ResponseWriter, r *http.Request) {
		close(answered)
		<-release
		says(`{"hookStatus":"SUCCEEDED"}`)(n, w, r)
	})
	s.register(t, webhookHook(h.url))
	s.invoke(t, invocation(id))
	wait(t, "the call", answered)
	resp, err := s.CancelInvocation(t.Context(), &hookspb.CancelInvocationRequest{Generation: 2, Id: id})
	if err != nil || resp.GetInvocation().GetState() != hookspb.Invocation_STATE_CANCELED {
		t.Fatalf("%v, %v", resp, err)
	}
	close(release)
	late := eventually(t, "the late answer", func() *hookspb.Attempt {
		for _, a := range s.attempts(t, id) {
			if a.GetIgnored() {
				return a
			}
		}
		return nil
	})
	if late.GetHookStatus() != "SUCCEEDED" || !strings.Contains(late.GetError(), "CANCELED") {
		t.Errorf("the late answer is recorded as %v", late)
	}
	s.wantEnd(t, id, hookspb.Invocation_STATE_CANCELED, hookspb.Invocation_OUTCOME_ROLLBACK)
	_, err = s.InvokeHook(t.Context(), &hookspb.InvokeHookRequest{Generation: 1, Invocation: invocation("d-1/other")})
	wantProblem(t, err, codes.Aborted, "STALE_GENERATION")
	again, err := s.InvokeHook(t.Context(), &hookspb.InvokeHookRequest{Generation: 3, Invocation: invocation(id)})
	if err != nil || again.GetInvocation().GetState() != hookspb.Invocation_STATE_CANCELED {
		t.Errorf("invoked again: %v, %v", again, err)
	}
	if n := len(h.calls()); n != 1 {
		t.Errorf("called %d times", n)
	}
}

// A dead endpoint costs its invocations no attempts while its circuit is open, and its state is to be seen.
func TestAnOpenCircuitPostponesAttempts(t *testing.T) {
	s := startNew(t, func(c *app.Config) { c.Failures, c.Open = 2, 300*time.Millisecond })
	healthy := make(chan struct{})
	h := newWebhook(t, func(n int, w http.ResponseWriter, r *http.Request) {
		select {
		case <-healthy:
			says(`{"hookStatus":"SUCCEEDED"}`)(n, w, r)
		default:
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	hook := webhookHook(h.url)
	hook.MaxAttempts = 50
	s.register(t, hook)
	const all = 6
	for n := range all {
		s.invoke(t, invocation(fmt.Sprint("d-1/", n)))
	}
	seen := s.awaitAny(t, func(i *hookspb.Invocation) bool { return strings.Contains(i.GetReason(), "circuit of WEBHOOK "+h.url) })
	if seen.GetState() != hookspb.Invocation_STATE_IN_PROGRESS || seen.GetNextAttemptTime() == nil {
		t.Errorf("postponed as %v", seen)
	}
	close(healthy)
	for n := range all {
		s.wantSucceeded(t, fmt.Sprint("d-1/", n))
	}
	for n := range all {
		for k, a := range s.attempts(t, fmt.Sprint("d-1/", n)) {
			if int(a.GetAttempt()) != k+1 || a.GetIgnored() {
				t.Errorf("attempt %d of %d: %v", k+1, n, a)
			}
		}
	}
}

func (s *service) awaitAny(t *testing.T, wanted func(*hookspb.Invocation) bool) *hookspb.Invocation {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stream, err := s.WatchInvocations(ctx, &hookspb.WatchInvocationsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for {
		resp, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range resp.GetInvocations() {
			if wanted(i) {
				return i
			}
		}
	}
}
