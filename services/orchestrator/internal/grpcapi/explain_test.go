package grpcapi_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
)

// slowHooks is a hooks service whose hooks never end.
type slowHooks struct{ hooks }

func (*slowHooks) InvokeHook(_ context.Context, req *hookspb.InvokeHookRequest, _ ...grpc.CallOption) (*hookspb.InvokeHookResponse, error) {
	call := proto.CloneOf(req.GetInvocation())
	call.State, call.Attempt, call.Reason = hookspb.Invocation_STATE_IN_PROGRESS, 3, "answered IN_PROGRESS"
	call.CreateTime = timestamppb.New(epoch)
	return &hookspb.InvokeHookResponse{Invocation: call}, nil
}

func (*slowHooks) CancelInvocation(context.Context, *hookspb.CancelInvocationRequest, ...grpc.CallOption) (*hookspb.CancelInvocationResponse, error) {
	return &hookspb.CancelInvocationResponse{}, nil
}

// oneAlarm is an alarms service with one alarm, whose state a test sets.
type oneAlarm struct {
	alarmspb.AlarmServiceClient
	said chan *alarmspb.WatchAlarmsResponse
}

func (a *oneAlarm) WatchAlarms(
	ctx context.Context, _ *alarmspb.WatchAlarmsRequest, _ ...grpc.CallOption,
) (grpc.ServerStreamingClient[alarmspb.WatchAlarmsResponse], error) {
	return &stream[alarmspb.WatchAlarmsResponse]{ctx: ctx, messages: a.said}, nil
}

func (a *oneAlarm) is(state alarmspb.MetricAlarm_State, reason string) {
	a.said <- &alarmspb.WatchAlarmsResponse{Snapshot: true, Alarms: []*alarmspb.MetricAlarm{
		{Name: "web-5xx", State: state, StateReason: reason, StateUpdateTime: timestamppb.New(epoch)},
	}}
}

// explaining is a service with revision 1 live, at work, and an alarm that is OK.
func explaining(t *testing.T, desired int32) (*env, *oneAlarm) {
	t.Helper()
	alarm := &oneAlarm{said: make(chan *alarmspb.WatchAlarmsResponse, 10)}
	e := serveWith(t, &slowHooks{}, alarm)
	service := e.web()
	service.DesiredCount = desired
	service.LoadBalancer.DeregistrationDelay = seconds(0)
	e.work()
	alarm.is(alarmspb.MetricAlarm_STATE_OK, "it is quiet")
	e.follow(e.create(service).GetDeployment().GetId())
	e.register("web")
	return e, alarm
}

func (e *env) deployWeb2(c *config) string {
	e.t.Helper()
	return must[*orchestratorpb.CreateDeploymentResponse](e.t)(e.Deployments.CreateDeployment(e.ctx(), &orchestratorpb.CreateDeploymentRequest{
		Service: "web", TaskDefinition: "web:2", DeploymentConfiguration: c,
	})).GetDeployment().GetId()
}

type explanation = orchestratorpb.ExplainDeploymentResponse

func (e *env) explain(id string) *explanation {
	e.t.Helper()
	return must[*explanation](e.t)(e.Deployments.ExplainDeployment(e.ctx(), &orchestratorpb.ExplainDeploymentRequest{Deployment: id}))
}

// waitsFor returns the explanation of the wait once the deployment waits so.
func (e *env) waitsFor(id string, kind orchestratorpb.Condition_Type, holds func(*orchestratorpb.ExplainedWait) bool) *orchestratorpb.ExplainedWait {
	e.t.Helper()
	var found *orchestratorpb.ExplainedWait
	var last *explanation
	defer func() {
		if found == nil {
			e.t.Logf("it is explained so: %v", last)
		}
	}()
	eventually(e.t, "it waits for "+kind.String(), func() bool {
		last = e.explain(id)
		for _, w := range last.GetWaits() {
			if w.GetCondition().GetType() == kind && holds(w) {
				found = w
			}
		}
		return found != nil
	})
	if found.GetWho() == "" || len(last.GetServing()) == 0 || len(last.GetActions()) == 0 || !strings.Contains(last.GetSummary(), id) {
		e.t.Errorf("%v", last)
	}
	return found
}

func always(*orchestratorpb.ExplainedWait) bool { return true }

// has reports whether one of the pieces of evidence has the kind, subject and state, and the text in it.
func has(list []*orchestratorpb.Evidence, kind orchestratorpb.Evidence_Kind, subject, state, text string) bool {
	return slices.ContainsFunc(list, func(f *orchestratorpb.Evidence) bool {
		return f.GetKind() == kind && strings.Contains(f.GetSubject(), subject) && f.GetState() == state && strings.Contains(f.GetText(), text)
	})
}

func offers(list []*orchestratorpb.ExplainedAction, command, grpcurl string) bool {
	return slices.ContainsFunc(list, func(a *orchestratorpb.ExplainedAction) bool {
		return a.GetCommand() == command && strings.Contains(a.GetGrpcurl(), grpcurl)
	})
}

const (
	aTask  = orchestratorpb.Evidence_KIND_TASK
	aHook  = orchestratorpb.Evidence_KIND_HOOK
	aPause = orchestratorpb.Evidence_KIND_PAUSE
	aAlarm = orchestratorpb.Evidence_KIND_ALARM
	aLimit = orchestratorpb.Evidence_KIND_LIMIT
)

func TestItIsExplainedWhichTasksFail(t *testing.T) {
	t.Parallel()
	e, _ := explaining(t, 1)
	e.health.hold()
	id := e.deployWeb2(&config{DeploymentCircuitBreaker: &orchestratorpb.DeploymentCircuitBreaker{Enable: true}})
	w := e.waitsFor(id, orchestratorpb.Condition_TYPE_TASKS_HEALTHY, func(w *orchestratorpb.ExplainedWait) bool {
		return has(w.GetEvidence(), aTask, "web-2-2", "RUNNING", "not registered in target group web-a")
	})
	if !offers(w.GetActions(), "slipway logs web-2-2", "TaskService/GetLogs") {
		t.Errorf("%v", w.GetActions())
	}
	e.runtime.Exit("web-2-2", 3)
	eventually(t, "the failed task is told", func() bool {
		x := e.explain(id)
		for _, w := range x.GetWaits() {
			if has(w.GetEvidence(), aTask, "web-2-2", "FAILED", "3") && has(w.GetEvidence(), aLimit, "task failures", "1/3", "fail the deployment") {
				return true
			}
		}
		return false
	})
}

func TestItIsExplainedWhoCanAnswerAPause(t *testing.T) {
	t.Parallel()
	e, _ := explaining(t, 1)
	c := &config{LifecycleHooks: []*orchestratorpb.LifecycleHook{{
		Pause: true, LifecycleStages: []orchestratorpb.LifecycleStage{preScaleUp}, Timeout: seconds(600), Quorum: 2,
	}}}
	blueGreen(c)
	id := e.deployWeb2(c)
	w := e.waitsFor(id, orchestratorpb.Condition_TYPE_CONTINUE, always)
	if !has(w.GetEvidence(), aPause, id, "AWAITING_ACTION", "0 of 2 people") || w.GetCondition().GetThen() != "the deployment is rolled back" {
		t.Errorf("%v", w)
	}
	call := " " + e.conn.Target() + " slipway.orchestrator.v1.DeploymentService/ContinueDeployment"
	if !offers(w.GetActions(), "slipway continue "+id, `"hookId":"`+id+`/PRE_SCALE_UP/0/pause-1"}'`+call) ||
		!offers(w.GetActions(), "slipway continue "+id+" --rollback", call) {
		t.Errorf("called at %s, offered %v", e.conn.Target(), w.GetActions())
	}
}

func TestItIsExplainedWhichAlarmHoldsItUp(t *testing.T) {
	t.Parallel()
	e, alarm := explaining(t, 1)
	alarm.is(alarmspb.MetricAlarm_STATE_ALARM, "Threshold Crossed: 7 > 5")
	c := &config{Alarms: &orchestratorpb.DeploymentAlarms{AlarmNames: []string{"web-5xx"}, Enable: true, Rollback: true}}
	canary(c, 10, seconds(3600))
	id := e.deployWeb2(c)
	w := e.waitsFor(id, orchestratorpb.Condition_TYPE_ALARM, func(w *orchestratorpb.ExplainedWait) bool {
		return has(w.GetEvidence(), aAlarm, "web-5xx", "ALARM", "7 > 5")
	})
	if !offers(w.GetActions(), "slipway alarms history web-5xx", "") {
		t.Errorf("%v", w)
	}
	alarm.is(alarmspb.MetricAlarm_STATE_OK, "it is quiet")
	w = e.waitsFor(id, orchestratorpb.Condition_TYPE_BAKE_TIME, always)
	if !has(w.GetEvidence(), aAlarm, "web-5xx", "OK", "quiet") || w.GetCondition().GetUntilTime() == nil {
		t.Errorf("%v", w)
	}
	alarm.is(alarmspb.MetricAlarm_STATE_ALARM, "Threshold Crossed: 9 > 5")
	e.follow(id)
	x := e.explain(id)
	if x.GetState() != orchestratorpb.Deployment_STATE_ROLLBACK_SUCCESSFUL || x.GetRollbackServiceRevision() != "default/web/1" || x.GetTimeToSafe() == nil {
		t.Errorf("%v", x)
	}
	if !has(x.GetCauses(), aAlarm, "web-5xx", "ALARM", "9 > 5") || !has(x.GetCauses(), orchestratorpb.Evidence_KIND_DEPLOYMENT, id, "FAILED", "alarm in ALARM") {
		t.Errorf("%v", x.GetCauses())
	}
	if !has(x.GetServing(), orchestratorpb.Evidence_KIND_REVISION, "default/web/1", "HEALTHY", "100 % of production traffic") || len(x.GetWaits()) != 0 {
		t.Errorf("%v", x)
	}
}

func TestItIsExplainedThatTheEnvelopeAllowsNothing(t *testing.T) {
	t.Parallel()
	e, _ := explaining(t, 3)
	id := e.deployWeb2(&config{MaximumPercent: proto.Int32(125)})
	w := e.waitsFor(id, orchestratorpb.Condition_TYPE_DEADLOCK, always)
	if !has(w.GetEvidence(), aLimit, "envelope", "3 to 3", "no task may stop or start") || !offers(w.GetActions(), "slipway stop "+id+" --abort", "STOP_TYPE_ABORT") {
		t.Errorf("%v", w)
	}
	must[*orchestratorpb.StopDeploymentResponse](t)(e.Deployments.StopDeployment(e.ctx(), &orchestratorpb.StopDeploymentRequest{
		Deployment: id, StopType: orchestratorpb.StopDeploymentRequest_STOP_TYPE_ABORT, Reason: "no room",
	}))
	eventually(t, "the deployment is stopped", func() bool { return e.deployment(id).GetState() == orchestratorpb.Deployment_STATE_STOPPED })
	byService := must[*explanation](t)(e.Deployments.ExplainDeployment(e.ctx(), &orchestratorpb.ExplainDeploymentRequest{Service: "web"}))
	if byService.GetDeployment() != id || byService.GetState() != orchestratorpb.Deployment_STATE_STOPPED || !strings.Contains(byService.GetSummary(), "no room") {
		t.Errorf("%v", byService)
	}
	if !offers(byService.GetActions(), "slipway deploy web --task-definition web:1", "CreateDeployment") {
		t.Errorf("%v", byService.GetActions())
	}
}

func TestItIsExplainedWhatAHookAnswered(t *testing.T) {
	t.Parallel()
	e, _ := explaining(t, 1)
	check := hook(preScaleUp)
	check.Timeout, check.ReportBack = seconds(600), true
	c := &config{LifecycleHooks: []*orchestratorpb.LifecycleHook{check}}
	blueGreen(c)
	id := e.deployWeb2(c)
	w := e.waitsFor(id, orchestratorpb.Condition_TYPE_HOOK, func(w *orchestratorpb.ExplainedWait) bool {
		return has(w.GetEvidence(), aHook, "check", "IN_PROGRESS", "attempt 3: answered IN_PROGRESS")
	})
	if !offers(w.GetActions(), "", "127.0.0.1:7002 slipway.hooks.v1.LifecycleEventService/PutLifecycleEventHookExecutionStatus") {
		t.Errorf("%v", w.GetActions())
	}
}

func TestWhatCannotBeExplained(t *testing.T) {
	t.Parallel()
	e := serve(t)
	ask := func(deployment, service string) error {
		_, err := e.Deployments.ExplainDeployment(e.ctx(), &orchestratorpb.ExplainDeploymentRequest{Deployment: deployment, Service: service})
		return err
	}
	names(t, "nothing named", ask("", ""), "deployment", "must be set")
	names(t, "both named", ask("d-1", "web"), "service", "must be empty")
	refused(t, "no deployment", ask("d-1", ""), problem.NotFound, "DEPLOYMENT_NOT_FOUND")
	refused(t, "no service", ask("", "web"), problem.NotFound, "SERVICE_NOT_FOUND")
}
