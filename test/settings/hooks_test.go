package settings

import (
	"context"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

// handler is a hook of the test: it answers as the test says and remembers what it was asked.
type handler struct {
	hookspb.UnimplementedHookHandlerServiceServer
	name   string
	answer func(n int, req *hookspb.HandleHookRequest) *hookspb.HandleHookResponse

	mu    sync.Mutex
	calls []*hookspb.HandleHookRequest
}

func (h *handler) HandleHook(_ context.Context, req *hookspb.HandleHookRequest) (*hookspb.HandleHookResponse, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, req)
	return h.answer(len(h.calls), req), nil
}

func (h *handler) asked() []*hookspb.HandleHookRequest {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clip(h.calls)
}

// newHandler serves a hook and registers it.
func newHandler(t *testing.T, name string, answer func(n int, req *hookspb.HandleHookRequest) *hookspb.HandleHookResponse) *handler {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &handler{name: name, answer: answer}
	server := grpc.NewServer()
	hookspb.RegisterHookHandlerServiceServer(server, h)
	go func() { _ = server.Serve(listener) }() // ends with Stop
	t.Cleanup(server.Stop)
	_, err = system.Hooks.RegisterHook(t.Context(), &hookspb.RegisterHookRequest{Hook: &hookspb.Hook{
		Name: name, Target: &hookspb.Hook_Grpc{Grpc: &hookspb.GrpcTarget{Address: listener.Addr().String()}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func says(status hookspb.HookStatus) func(int, *hookspb.HandleHookRequest) *hookspb.HandleHookResponse {
	return func(int, *hookspb.HandleHookRequest) *hookspb.HandleHookResponse {
		return &hookspb.HandleHookResponse{HookStatus: status}
	}
}

const (
	succeeded  = hookspb.HookStatus_HOOK_STATUS_SUCCEEDED
	failed     = hookspb.HookStatus_HOOK_STATUS_FAILED
	goesOn     = hookspb.HookStatus_HOOK_STATUS_IN_PROGRESS
	rollsBack  = orchestratorpb.LifecycleHook_TIMEOUT_ACTION_ROLLBACK
	continues  = orchestratorpb.LifecycleHook_TIMEOUT_ACTION_CONTINUE
	postScale  = orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_POST_SCALE_UP
	preShift   = orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_PRE_PRODUCTION_TRAFFIC_SHIFT
	shift      = orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_PRODUCTION_TRAFFIC_SHIFT
	testShift  = orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_TEST_TRAFFIC_SHIFT
	postShift  = orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_POST_PRODUCTION_TRAFFIC_SHIFT
	preScaleUp = orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_PRE_SCALE_UP
)

func at(h *handler, stages ...orchestratorpb.LifecycleStage) *orchestratorpb.LifecycleHook {
	return &orchestratorpb.LifecycleHook{Hook: h.name, LifecycleStages: stages}
}

func pauseAt(stages ...orchestratorpb.LifecycleStage) *orchestratorpb.LifecycleHook {
	return &orchestratorpb.LifecycleHook{Pause: true, LifecycleStages: stages}
}

func with(strategy orchestratorpb.DeploymentConfiguration_Strategy, hooks ...*orchestratorpb.LifecycleHook) *config {
	return &config{Strategy: strategy, LifecycleHooks: hooks}
}

// A hook that answers IN_PROGRESS is called again after callBackDelay, or after 30 s.
func TestCallBackDelay(t *testing.T) {
	t.Parallel()
	s := begin(t, setup{desired: 1, balanced: true})
	h := newHandler(t, s.name, func(n int, _ *hookspb.HandleHookRequest) *hookspb.HandleHookResponse {
		switch n {
		case 1:
			return &hookspb.HandleHookResponse{HookStatus: goesOn, CallBackDelay: seconds(0.2)}
		case 2:
			return &hookspb.HandleHookResponse{HookStatus: goesOn}
		}
		return &hookspb.HandleHookResponse{HookStatus: succeeded}
	})
	id := s.deploy(s.good(), with(blueGreen, at(h, postScale)))
	var next time.Time
	var last *hookspb.Attempt
	eventually(t, "the second answer", func() (bool, any) {
		listed, err := system.Hooks.ListInvocations(t.Context(), &hookspb.ListInvocationsRequest{Deployment: id})
		if err != nil || len(listed.GetInvocations()) == 0 || listed.GetInvocations()[0].GetNextAttemptTime() == nil {
			return false, err
		}
		got, err := system.Hooks.GetInvocation(t.Context(), &hookspb.GetInvocationRequest{Id: listed.GetInvocations()[0].GetId()})
		if err != nil || len(got.GetAttempts()) < 2 || got.GetAttempts()[len(got.GetAttempts())-1].GetEndTime() == nil {
			return false, got
		}
		last, next = got.GetAttempts()[len(got.GetAttempts())-1], got.GetInvocation().GetNextAttemptTime().AsTime()
		return got.GetInvocation().GetAttempt() == 2, got
	})
	if delay := next.Sub(last.GetEndTime().AsTime()).Round(time.Second); delay != 30*time.Second {
		t.Errorf("is called again after %s, want 30 s", delay)
	}
	s.stop(id, orchestratorpb.StopDeploymentRequest_STOP_TYPE_ROLLBACK)
	s.ends(id, rollbackSuccessful)
}

// FAILED, no status and one that does not exist roll back.
func TestAnswersThatRollBack(t *testing.T) {
	t.Parallel()
	for name, status := range map[string]hookspb.HookStatus{"failed": failed, "none": 0, "unknown": 77} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := begin(t, setup{desired: 1, balanced: true})
			h := newHandler(t, s.name, says(status))
			if d := s.ends(s.deploy(s.good(), with(blueGreen, at(h, postScale))), rollbackSuccessful); d.GetErrorCode() != "HOOK_EXECUTION_FAILURE" {
				t.Errorf("error code %s", d.GetErrorCode())
			}
		})
	}
}

// timeout with both actions, of a hook and of a pause.
func TestTimeoutAction(t *testing.T) {
	t.Parallel()
	for _, pause := range []bool{false, true} {
		for name, c := range map[string]struct {
			action orchestratorpb.LifecycleHook_TimeoutAction
			want   orchestratorpb.Deployment_State
		}{"rollback": {rollsBack, rollbackSuccessful}, "continue": {continues, successful}, "unset": {0, rollbackSuccessful}} {
			t.Run(map[bool]string{false: "hook ", true: "pause "}[pause]+name, func(t *testing.T) {
				t.Parallel()
				s := begin(t, setup{desired: 1, balanced: true})
				h := pauseAt(postScale)
				if !pause {
					h = at(newHandler(t, s.name, says(goesOn)), postScale)
				}
				h.Timeout, h.TimeoutAction = seconds(1), c.action
				s.ends(s.deploy(s.good(), with(blueGreen, h)), c.want)
			})
		}
	}
}

// Hooks and pauses time out after 24 h, reports after 1 h, unless they say otherwise.
func TestTimeoutDefaults(t *testing.T) {
	t.Parallel()
	s := begin(t, setup{desired: 1, balanced: true})
	h := newHandler(t, s.name, says(goesOn))
	report := at(h, postScale)
	report.ReportBack = true
	plan, err := system.Deployments.PlanDeployment(t.Context(), &orchestratorpb.PlanDeploymentRequest{
		Service: s.name, DeploymentConfiguration: with(blueGreen, at(h, postScale), pauseAt(postScale), report),
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []time.Duration{24 * time.Hour, 24 * time.Hour, time.Hour} {
		if got := plan.GetDeploymentConfiguration().GetLifecycleHooks()[i]; got.GetTimeout().AsDuration() != want || got.GetTimeoutAction() != rollsBack {
			t.Errorf("hook %d has the timeout %s and then %s", i, got.GetTimeout().AsDuration(), got.GetTimeoutAction())
		}
	}
	for field, change := range map[string]func(*orchestratorpb.LifecycleHook){
		"timeout": func(h *orchestratorpb.LifecycleHook) { h.Timeout = durationpb.New(24*time.Hour + time.Second) },
		"hook":    func(h *orchestratorpb.LifecycleHook) { h.Pause = true },
	} {
		wrong := at(h, postScale)
		change(wrong)
		_, err := s.try(s.good(), with(blueGreen, wrong))
		refused(t, err, "deployment_configuration.lifecycle_hooks[0]."+field)
	}
	long := pauseAt(postScale)
	long.Timeout = durationpb.New(14*24*time.Hour + time.Second)
	_, err = s.try(s.good(), with(blueGreen, long))
	refused(t, err, "deployment_configuration.lifecycle_hooks[0].timeout")
}

// A pause is refused where ECS refuses it, and so is any hook where ECS works itself, and every hook of a rolling deployment.
func TestPausesAreRefusedWhereECSRefusesThem(t *testing.T) {
	t.Parallel()
	s := begin(t, setup{desired: 1, balanced: true})
	h := newHandler(t, s.name, says(succeeded))
	const stages = "deployment_configuration.lifecycle_hooks[0].lifecycle_stages"
	for number := range orchestratorpb.LifecycleStage_name {
		stage := orchestratorpb.LifecycleStage(number)
		if stage == 0 {
			continue
		}
		works := stage == orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_SCALE_UP || stage == orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_BAKE_TIME ||
			stage == orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_CLEAN_UP
		for _, c := range []struct {
			hook    *orchestratorpb.LifecycleHook
			refused bool
		}{{at(h, stage), works}, {pauseAt(stage), works || stage == testShift || stage == shift}} {
			_, err := system.Deployments.PlanDeployment(t.Context(), &orchestratorpb.PlanDeploymentRequest{
				Service: s.name, DeploymentConfiguration: with(blueGreen, c.hook),
			})
			if c.refused {
				refused(t, err, stages)
			} else if err != nil {
				t.Errorf("%v: %v", c.hook, err)
			}
		}
	}
	_, err := s.try(s.good(), with(rolling, pauseAt(postScale)))
	refused(t, err, "deployment_configuration.lifecycle_hooks")
	var many []*orchestratorpb.LifecycleHook
	for range 11 {
		many = append(many, pauseAt(postScale))
	}
	_, err = s.try(s.good(), with(blueGreen, many...))
	refused(t, err, "deployment_configuration.lifecycle_hooks")
}

// A pause before each step has an id of its own for each, and hooks are called at each step unless they are first_step_only.
func TestEachStepHasItsOwnPauseAndCalls(t *testing.T) {
	t.Parallel()
	s := begin(t, setup{desired: 1, balanced: true})
	each, first := newHandler(t, s.name+"-each", says(succeeded)), newHandler(t, s.name+"-first", says(succeeded))
	once := at(first, preShift)
	once.FirstStepOnly = true
	c := with(steps, pauseAt(preShift), at(each, preShift, shift), once)
	c.StepsConfiguration = &orchestratorpb.StepsConfiguration{Steps: []*orchestratorpb.TrafficStep{{Percent: 10}, {Percent: 50}, {Percent: 100}}}
	id := s.deploy(s.good(), c)
	ids := map[string]bool{}
	for step := range int32(3) {
		d := s.until(id, "the step's pause", func(d *deployment) bool { return d.GetStep() == step+1 && hook(d, "") != nil })
		if got, want := s.weight(d), []float64{0, 10, 50}[step]; got != want {
			t.Errorf("before step %d it has %g %%, want %g", step+1, got, want)
		}
		ids[hook(d, "").GetHookId()] = true
		s.resume(id, hook(d, "").GetHookId(), 0)
	}
	s.ends(id, successful)
	if len(ids) != 3 || len(each.asked()) != 6 || len(first.asked()) != 1 {
		t.Errorf("%d pauses, %d calls at each step and %d at the first", len(ids), len(each.asked()), len(first.asked()))
	}
}

// hook finds a hook of the present stage; "" is the pause that waits.
func hook(d *deployment, name string) *orchestratorpb.LifecycleHookStatus {
	for _, h := range d.GetLifecycleHooks() {
		waits := h.GetStatus() == orchestratorpb.LifecycleHookStatus_STATUS_AWAITING_ACTION
		if h.GetHook() == name && (name != "" || waits) {
			return h
		}
	}
	return nil
}

// The request has ECS's content at each stage; in a rollback the target revision is the same and the weights are reversed.
func TestWeightsThatHooksAreTold(t *testing.T) {
	t.Parallel()
	s := begin(t, setup{desired: 1, balanced: true})
	h := newHandler(t, s.name, func(_ int, req *hookspb.HandleHookRequest) *hookspb.HandleHookResponse {
		if req.GetLifecycleStage() == "POST_PRODUCTION_TRAFFIC_SHIFT" {
			return &hookspb.HandleHookResponse{HookStatus: failed}
		}
		return &hookspb.HandleHookResponse{HookStatus: succeeded}
	})
	d := s.ends(s.deploy(s.good(), with(blueGreen, at(h, preScaleUp, testShift, preShift, shift, postShift))), rollbackSuccessful)
	blue, green := d.GetSourceServiceRevisions()[0].GetId(), d.GetTargetServiceRevision().GetId()
	type told struct {
		stage                         string
		greenTest, greenProd, blueAll float64 // -1: the map is empty
	}
	want := []told{
		{"PRE_SCALE_UP", -1, -1, -1},
		{"TEST_TRAFFIC_SHIFT", 100, -1, 0},
		{"PRE_PRODUCTION_TRAFFIC_SHIFT", -1, 0, 100},
		{"PRODUCTION_TRAFFIC_SHIFT", -1, 100, 0},
		{"POST_PRODUCTION_TRAFFIC_SHIFT", -1, -1, -1},
		{"PRODUCTION_TRAFFIC_SHIFT", -1, 0, 100},
		{"TEST_TRAFFIC_SHIFT", 0, -1, 100},
	}
	calls := h.asked()
	if len(calls) != len(want) {
		t.Fatalf("%d calls: %v", len(calls), calls)
	}
	of := func(m map[string]float64, revision string, otherwise float64) float64 {
		if len(m) == 0 {
			return otherwise
		}
		return m[revision]
	}
	for i, call := range calls {
		details := call.GetExecutionDetails()
		test, production := details.GetTestTrafficWeights(), details.GetProductionTrafficWeights()
		got := told{call.GetLifecycleStage(), of(test, green, -1), of(production, green, -1), of(test, blue, of(production, blue, -1))}
		if got != want[i] || details.GetTargetServiceRevisionArn() != green {
			t.Errorf("call %d: %+v of %s, want %+v of %s", i, got, details.GetTargetServiceRevisionArn(), want[i], green)
		}
	}
}

// What a hook returns as details comes back to the same hook at its next call, and not to others.
func TestHookDetailsAreMergedForEachHook(t *testing.T) {
	t.Parallel()
	s := begin(t, setup{desired: 1, balanced: true})
	remember := func(_ int, req *hookspb.HandleHookRequest) *hookspb.HandleHookResponse {
		return &hookspb.HandleHookResponse{HookStatus: succeeded, HookDetails: object("seen", req.GetLifecycleStage())}
	}
	a, b := newHandler(t, s.name+"-a", remember), newHandler(t, s.name+"-b", says(succeeded))
	first := at(a, preScaleUp, postScale)
	first.HookDetails = object("asked", "yes")
	s.ends(s.deploy(s.good(), with(blueGreen, first, at(b, postScale))), successful)
	calls := a.asked()
	if got := calls[1].GetHookDetails().AsMap(); len(calls) != 2 || got["seen"] != "PRE_SCALE_UP" || got["asked"] != "yes" {
		t.Errorf("the second call has the details %v", got)
	}
	if got := b.asked()[0].GetHookDetails().AsMap(); len(got) != 0 {
		t.Errorf("the other hook has the details %v", got)
	}
}

// A pause with a quorum needs as many people, each once.
func TestQuorum(t *testing.T) {
	t.Parallel()
	s := begin(t, setup{desired: 1, balanced: true})
	two := pauseAt(postScale)
	two.Quorum = 2
	id := s.deploy(s.good(), with(blueGreen, two))
	s.stands(id, orchestratorpb.Condition_TYPE_CONTINUE)
	answer := func(who string) error {
		_, err := system.Deployments.ContinueDeployment(t.Context(), &orchestratorpb.ContinueDeploymentRequest{Deployment: id, Approver: who})
		return err
	}
	refused(t, answer(""), "approver")
	for _, who := range []string{"ada", "ada"} {
		if err := answer(who); err != nil {
			t.Fatal(err)
		}
	}
	if h := hook(s.deployment(id), ""); h.GetQuorum() != 2 || len(h.GetApprovers()) != 1 {
		t.Errorf("after one person: %v", h)
	}
	if err := answer("bob"); err != nil {
		t.Fatal(err)
	}
	s.ends(id, successful)
}

// ContinueDeployment with ROLLBACK.
func TestContinueWithRollback(t *testing.T) {
	t.Parallel()
	s := begin(t, setup{desired: 1, balanced: true})
	id := s.deploy(s.good(), with(blueGreen, pauseAt(postShift)))
	s.stands(id, orchestratorpb.Condition_TYPE_CONTINUE)
	s.resume(id, "", orchestratorpb.ContinueDeploymentRequest_ACTION_ROLLBACK)
	if d := s.ends(id, rollbackSuccessful); d.GetRollback().GetTimeToSafe() == nil {
		t.Error("the time to safe is not told")
	}
}
