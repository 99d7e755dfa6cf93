package invocation

import (
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// Every pair of states is tried: enter takes what the table has and panics at the rest.
func TestEnterFollowsTheTable(t *testing.T) {
	for _, from := range States() {
		for _, to := range States() {
			if got := enters(from, to); got != allowed(from, to) {
				t.Errorf("%s -> %s: entered %t", from, to, got)
			}
		}
	}
}

func enters(from, to State) (ok bool) {
	defer func() { ok = recover() == nil }()
	i := Invocation{State: from}
	i.enter(to, "", epoch)
	return true
}

func TestTerminalStatesHaveAFailClosedOutcome(t *testing.T) {
	want := map[State]map[TimeoutAction]Outcome{
		Pending:    {OnTimeoutRollback: NoOutcome, OnTimeoutContinue: NoOutcome},
		InProgress: {OnTimeoutRollback: NoOutcome, OnTimeoutContinue: NoOutcome},
		Succeeded:  {OnTimeoutRollback: Continue, OnTimeoutContinue: Continue},
		Failed:     {OnTimeoutRollback: Rollback, OnTimeoutContinue: Rollback},
		TimedOut:   {OnTimeoutRollback: Rollback, OnTimeoutContinue: Continue},
		Canceled:   {OnTimeoutRollback: Rollback, OnTimeoutContinue: Rollback},
	}
	for _, s := range States() {
		for _, a := range TimeoutActions() {
			if got := s.outcome(a); got != want[s][a] {
				t.Errorf("%s with %s: %q, want %q", s, a, got, want[s][a])
			}
		}
	}
}

func TestRetryDelaysGrowAreBoundedAndTheSameTwice(t *testing.T) {
	spread := map[time.Duration]bool{}
	for failures := 1; failures <= MaxMaxAttempts; failures++ {
		whole := min(firstRetry<<min(failures-1, 10), maxRetry)
		delay := retryDelay("d-1/POST_SCALE_UP/0/smoke", failures, failures)
		if delay < whole/2 || delay > whole {
			t.Errorf("after %d failures %s, want %s to %s", failures, delay, whole/2, whole)
		}
		if again := retryDelay("d-1/POST_SCALE_UP/0/smoke", failures, failures); again != delay {
			t.Errorf("after %d failures %s, then %s", failures, delay, again)
		}
		spread[delay] = true
	}
	if len(spread) < MaxMaxAttempts/2 {
		t.Errorf("%d attempts share %d delays: no jitter", MaxMaxAttempts, len(spread))
	}
}

func TestMergeLaysReturnedKeysOverAndLeavesItsArgumentsAlone(t *testing.T) {
	carried := Details{"a": 1.0, "b": map[string]any{"x": 1.0}}
	merged, err := carried.Merge(Details{"b": "new", "c": true})
	if err != nil {
		t.Fatal(err)
	}
	if want := (Details{"a": 1.0, "b": "new", "c": true}); !reflect.DeepEqual(merged, want) {
		t.Errorf("merged %v, want %v", merged, want)
	}
	if want := (Details{"a": 1.0, "b": map[string]any{"x": 1.0}}); !reflect.DeepEqual(carried, want) {
		t.Errorf("the carried details were changed to %v", carried)
	}
}

func TestDetailsThatGrowBeyondTheBoundFailTheInvocation(t *testing.T) {
	i := begun(t, Spec{Details: Details{"a": strings.Repeat("x", MaxDetails/2)}})
	i = Decide(i, Due{}, epoch).Next
	d := Decide(i, Answered{Attempt: 1, Answer: Answer{Status: AnswerInProgress, Details: Details{"b": strings.Repeat("y", MaxDetails/2)}}}, epoch)
	if d.Next.State != Failed || !strings.Contains(d.Next.Reason, "more than 65536") {
		t.Errorf("%s: %s", d.Next.State, d.Next.Reason)
	}
}

func TestReasonsAreBounded(t *testing.T) {
	i := Decide(begun(t, Spec{}), Due{}, epoch).Next
	d := Decide(i, Answered{Attempt: 1, Answer: Answer{Status: strings.Repeat("é", 4000)}}, epoch)
	if len(d.Next.Reason) > maxReason || strings.ToValidUTF8(d.Next.Reason, "?") != d.Next.Reason {
		t.Errorf("a reason of %d bytes: %s", len(d.Next.Reason), d.Next.Reason)
	}
}

func TestNewNamesEveryBrokenField(t *testing.T) {
	_, err := New(Spec{
		ID: "with space", Step: -1, Timeout: time.Millisecond, TimeoutAction: "MAYBE",
		Execution: Execution{TestTrafficWeights: map[string]float64{"r": math.NaN()}, ProductionTrafficWeights: map[string]float64{"r": 100.5}},
		Details:   Details{"f": math.Inf(1)},
	}, Hook{}, epoch)
	var invalid *InvalidError
	if !errors.As(err, &invalid) {
		t.Fatalf("%v", err)
	}
	var fields []string
	for _, v := range invalid.Violations {
		fields = append(fields, strings.TrimPrefix(v.Field, "invocation."))
	}
	want := []string{
		"id", "service", "deployment", "lifecycle_stage", "step", "timeout", "timeout_action",
		"execution_details.test_traffic_weights", "execution_details.production_traffic_weights", "hook_details",
	}
	if !slices.Equal(fields, want) {
		t.Errorf("violations of %v, want %v", fields, want)
	}
}

func TestHookTargetsAreChecked(t *testing.T) {
	tests := []struct {
		target    Target
		allowHTTP bool
		field     string // "" when fine
	}{
		{Target{Kind: GRPC, Address: "handler.internal:9000"}, false, ""},
		{Target{Kind: GRPC, Address: "[::1]:9000"}, false, ""},
		{Target{Kind: GRPC, Address: "::1:9000"}, false, "grpc.address"},
		{Target{Kind: GRPC, Address: "handler"}, false, "grpc.address"},
		{Target{Kind: GRPC, Address: ":9000"}, false, "grpc.address"},
		{Target{Kind: GRPC, Address: "handler:0"}, false, "grpc.address"},
		{Target{Kind: GRPC, Address: "handler:70000"}, false, "grpc.address"},
		{Target{Kind: GRPC, Address: "dns:///handler:9000"}, false, "grpc.address"},
		{Target{Kind: Webhook, Address: "https://hooks.example.com/x?y=z"}, false, ""},
		{Target{Kind: Webhook, Address: "http://127.0.0.1:9000/hook"}, false, ""},
		{Target{Kind: Webhook, Address: "http://[::1]:9000/hook"}, false, ""},
		{Target{Kind: Webhook, Address: "http://localhost/hook"}, false, ""},
		{Target{Kind: Webhook, Address: "http://hooks.example.com/"}, true, ""},
		{Target{Kind: Webhook, Address: "http://hooks.example.com/"}, false, "webhook.url"},
		{Target{Kind: Webhook, Address: "http://localhost.example.com/"}, false, "webhook.url"},
		{Target{Kind: Webhook, Address: "http://10.0.0.1/"}, false, "webhook.url"},
		{Target{Kind: Webhook, Address: "ftp://127.0.0.1/hook"}, true, "webhook.url"},
		{Target{Kind: Webhook, Address: "https://user:secret@example.com/"}, false, "webhook.url"},
		{Target{Kind: Webhook, Address: "https:///hook"}, false, "webhook.url"},
		{Target{Kind: Webhook, Address: "https://example.com/#x"}, false, "webhook.url"},
		{Target{Kind: Webhook, Address: "://"}, false, "webhook.url"},
		{Target{}, false, "target"},
	}
	for _, tt := range tests {
		_, err := NewHook(Hook{Name: "smoke", Target: tt.target}, Rules{AllowHTTP: tt.allowHTTP})
		var invalid *InvalidError
		switch {
		case tt.field == "" && err != nil:
			t.Errorf("%+v: %v", tt.target, err)
		case tt.field != "" && (!errors.As(err, &invalid) || invalid.Violations[0].Field != tt.field):
			t.Errorf("%+v: %v, want a violation of %s", tt.target, err, tt.field)
		}
	}
}

func begun(t *testing.T, spec Spec) Invocation {
	t.Helper()
	spec.ID, spec.Service, spec.Deployment, spec.Stage = "d-1/POST_SCALE_UP/0/smoke", "default/web", "d-1", "POST_SCALE_UP"
	hook, err := NewHook(Hook{Name: "smoke", Target: Target{Kind: GRPC, Address: "localhost:1"}}, Rules{})
	if err != nil {
		t.Fatal(err)
	}
	i, err := New(spec, hook, epoch)
	if err != nil {
		t.Fatal(err)
	}
	return i
}
