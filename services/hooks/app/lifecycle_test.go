package app_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	"github.com/slipway-deploy/slipway/platform/grpcclient"
	"github.com/slipway-deploy/slipway/services/hooks/app"
)

func (s *service) lifecycle(t *testing.T) hookspb.LifecycleEventServiceClient {
	t.Helper()
	conn, err := grpcclient.Dial(grpcclient.Config{Target: s.app.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return hookspb.NewLifecycleEventServiceClient(conn)
}

func codeDeploy(id string) *hookspb.Invocation {
	i := invocation(id)
	i.Contract, i.Timeout = hookspb.Contract_CONTRACT_CODEDEPLOY, nil
	return i
}

const (
	succeeded = hookspb.LifecycleEventStatus_LIFECYCLE_EVENT_STATUS_SUCCEEDED
	failed    = hookspb.LifecycleEventStatus_LIFECYCLE_EVENT_STATUS_FAILED
)

func report(deployment, id string, status hookspb.LifecycleEventStatus) *hookspb.PutLifecycleEventHookExecutionStatusRequest {
	return &hookspb.PutLifecycleEventHookExecutionStatusRequest{DeploymentId: deployment, LifecycleEventHookExecutionId: id, Status: status}
}

// The handler is called once with two ids; what it answers does not count, its report does.
func TestAHookWithCodeDeploysContract(t *testing.T) {
	s := startNew(t)
	l := s.lifecycle(t)
	h := newWebhook(t, says(`{"hookStatus":"FAILED"}`))
	s.register(t, webhookHook(h.url))
	begun := s.invoke(t, codeDeploy(id))
	if allowed := begun.GetDeadlineTime().AsTime().Sub(begun.GetCreateTime().AsTime()); allowed != time.Hour {
		t.Errorf("a report has %s, want CodeDeploy's hour", allowed)
	}
	i := s.await(t, id, func(i *hookspb.Invocation) bool { return strings.Contains(i.GetReason(), "taken") })
	if i.GetNextAttemptTime() != nil || i.GetContract() != hookspb.Contract_CONTRACT_CODEDEPLOY {
		t.Errorf("after the call it is %v", i)
	}
	const want = `{"DeploymentId":"d-1","LifecycleEventHookExecutionId":"d-1/POST_SCALE_UP/0/smoke"}`
	if calls := h.calls(); len(calls) != 1 || calls[0].body != want {
		t.Errorf("called with %v", calls)
	}
	resp, err := l.PutLifecycleEventHookExecutionStatus(t.Context(), report("d-1", id, succeeded))
	if err != nil || resp.GetLifecycleEventHookExecutionId() != id {
		t.Fatalf("%v, %v", resp, err)
	}
	if i := s.wantSucceeded(t, id); i.GetReason() != "reported Succeeded" {
		t.Errorf("reason %q", i.GetReason())
	}
	s.invoke(t, codeDeploy("d-1/b"))
	s.await(t, "d-1/b", func(i *hookspb.Invocation) bool { return i.GetAttempt() == 1 })
	if _, err := l.PutLifecycleEventHookExecutionStatus(t.Context(), report("d-1", "d-1/b", failed)); err != nil {
		t.Error(err)
	}
	s.wantFailed(t, "d-1/b")
}

// Nobody hangs: without a report the hook has failed when its time is over.
func TestAHookThatIsNotReportedFails(t *testing.T) {
	s := startNew(t)
	h := newWebhook(t, func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	s.register(t, webhookHook(h.url))
	i := codeDeploy(id)
	i.Timeout = durationpb.New(time.Second)
	s.invoke(t, i)
	s.wantEnd(t, id, hookspb.Invocation_STATE_TIMED_OUT, hookspb.Invocation_OUTCOME_ROLLBACK)
	_, err := s.lifecycle(t).PutLifecycleEventHookExecutionStatus(t.Context(), report("d-1", id, succeeded))
	wantProblem(t, err, codes.FailedPrecondition, "LIFECYCLE_EVENT_ALREADY_COMPLETED")
	if n := len(h.calls()); n != 1 {
		t.Errorf("called %d times", n)
	}
}

// A report may come while the call is on its way; the call's answer then is not a late one.
func TestAReportMayBeFasterThanTheCall(t *testing.T) {
	s := startNew(t, func(c *app.Config) { c.Workers = 1 })
	l := s.lifecycle(t)
	h := newWebhook(t, func(n int, w http.ResponseWriter, r *http.Request) {
		if n > 1 {
			return
		}
		if _, err := l.PutLifecycleEventHookExecutionStatus(r.Context(), report("d-1", id, succeeded)); err != nil {
			w.WriteHeader(http.StatusNotFound)
		}
	})
	s.register(t, webhookHook(h.url))
	s.invoke(t, codeDeploy(id))
	s.wantSucceeded(t, id)
	s.invoke(t, codeDeploy("d-1/next")) // the one worker calls it when it is done with the first
	s.await(t, "d-1/next", func(i *hookspb.Invocation) bool { return i.GetAttempt() == 1 })
	s.wantIgnored(t, id)
}

func TestReportsThatAreRefused(t *testing.T) {
	s := startNew(t)
	l := s.lifecycle(t)
	h := newWebhook(t, func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) })
	s.register(t, webhookHook(h.url))
	s.invoke(t, codeDeploy(id))
	s.await(t, id, func(i *hookspb.Invocation) bool { return strings.Contains(i.GetReason(), "taken") })
	ecs, other := invocation("d-2/ecs"), codeDeploy("d-2/other")
	ecs.Deployment, other.Deployment = "d-2", "d-2"
	for _, i := range []*hookspb.Invocation{ecs, other} {
		s.invoke(t, i)
		s.await(t, i.GetId(), func(i *hookspb.Invocation) bool { return i.GetAttempt() == 1 })
	}
	const pending = hookspb.LifecycleEventStatus_LIFECYCLE_EVENT_STATUS_IN_PROGRESS
	for what, tt := range map[string]struct {
		report *hookspb.PutLifecycleEventHookExecutionStatusRequest
		code   codes.Code
		reason string
	}{
		"no deployment":         {report("", id, succeeded), codes.InvalidArgument, "DEPLOYMENT_ID_REQUIRED"},
		"a strange deployment":  {report("d 1", id, succeeded), codes.InvalidArgument, "INVALID_DEPLOYMENT_ID"},
		"an unknown deployment": {report("d-9", "d-9/x", succeeded), codes.NotFound, "DEPLOYMENT_DOES_NOT_EXIST"},
		"no execution":          {report("d-1", "", succeeded), codes.InvalidArgument, "INVALID_LIFECYCLE_EVENT_HOOK_EXECUTION_ID"},
		"an unknown execution":  {report("d-1", "d-1/x", succeeded), codes.InvalidArgument, "INVALID_LIFECYCLE_EVENT_HOOK_EXECUTION_ID"},
		"another's execution":   {report("d-2", id, succeeded), codes.InvalidArgument, "INVALID_LIFECYCLE_EVENT_HOOK_EXECUTION_ID"},
		"foreign to all":        {report("d-9", id, failed), codes.NotFound, "DEPLOYMENT_DOES_NOT_EXIST"},
		"a status that is none": {report("d-1", id, pending), codes.InvalidArgument, "INVALID_LIFECYCLE_EVENT_HOOK_EXECUTION_STATUS"},
		"no status":             {report("d-1", id, 0), codes.InvalidArgument, "INVALID_LIFECYCLE_EVENT_HOOK_EXECUTION_STATUS"},
		"a status nobody knows": {report("d-1", id, 77), codes.InvalidArgument, "INVALID_LIFECYCLE_EVENT_HOOK_EXECUTION_STATUS"},
		"a hook that answers":   {report("d-2", "d-2/ecs", succeeded), codes.FailedPrecondition, "UNSUPPORTED_ACTION_FOR_DEPLOYMENT_TYPE"},
	} {
		if _, err := l.PutLifecycleEventHookExecutionStatus(t.Context(), tt.report); err == nil {
			t.Errorf("%s: taken", what)
		} else {
			wantProblem(t, err, tt.code, tt.reason)
		}
	}
	_, err := s.ReportHookResult(t.Context(), &hookspb.ReportHookResultRequest{Id: id, Attempt: 1, HookStatus: hookspb.HookStatus_HOOK_STATUS_SUCCEEDED})
	wantProblem(t, err, codes.FailedPrecondition, "UNSUPPORTED_ACTION_FOR_DEPLOYMENT_TYPE")
	if _, err := l.PutLifecycleEventHookExecutionStatus(t.Context(), report("d-1", id, succeeded)); err != nil {
		t.Error(err)
	}
	for _, again := range []hookspb.LifecycleEventStatus{succeeded, failed} {
		_, err = l.PutLifecycleEventHookExecutionStatus(t.Context(), report("d-1", id, again))
		wantProblem(t, err, codes.FailedPrecondition, "LIFECYCLE_EVENT_ALREADY_COMPLETED")
	}
	s.wantSucceeded(t, id)
	s.wantIgnored(t, id, "reported for deployment d-2", "reported for deployment d-9", "a status that is no result", "a status that is no result",
		"a status that is no result", "PutLifecycleEventHookExecutionStatus only", "it is SUCCEEDED", "it is SUCCEEDED")
	s.wantIgnored(t, "d-2/ecs", "its result is what the call answers")
}

// wantIgnored checks that the answers which changed nothing are to be seen, each with its reason.
func (s *service) wantIgnored(t *testing.T, id string, reasons ...string) {
	t.Helper()
	var got []string
	for _, a := range s.attempts(t, id) {
		if a.GetIgnored() {
			got = append(got, a.GetError())
		}
	}
	if len(got) != len(reasons) {
		t.Errorf("%s: ignored %q, want %q", id, got, reasons)
	}
	for _, reason := range reasons {
		found := false
		for n, text := range got {
			if strings.Contains(text, reason) {
				got, found = append(got[:n:n], got[n+1:]...), true
				break
			}
		}
		if !found {
			t.Errorf("%s: no ignored answer says %q; left are %q", id, reason, got)
		}
	}
}
