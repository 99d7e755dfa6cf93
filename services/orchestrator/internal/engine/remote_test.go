package engine_test

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	runtimefake "github.com/slipway-deploy/slipway/drivers/runtime/fake"
	"github.com/slipway-deploy/slipway/drivers/traffic"
	trafficfake "github.com/slipway-deploy/slipway/drivers/traffic/fake"
	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
)

// tasks is the fake runtime at the end of a wire.
type tasks struct {
	*runtimefake.Runtime
	wire      *wire
	noDeletes atomic.Pointer[problem.Error] // not nil: task sets are not deleted
}

type order = runtimefake.Order

func (r *tasks) EnsureTaskSet(ctx context.Context, generation int64, set runtime.TaskSet) error {
	if err := r.wire.arrive(ctx, set.Service, generation); err != nil {
		return err
	}
	return r.wire.answer(r.Runtime.EnsureTaskSet(ctx, generation, set))
}

func (r *tasks) refuseDeletes(err *problem.Error) { r.noDeletes.Store(err) }

func (r *tasks) DeleteTaskSet(ctx context.Context, generation int64, service, id string) error {
	if err := r.wire.arrive(ctx, service, generation); err != nil {
		return err
	}
	if refused := r.noDeletes.Load(); refused != nil {
		return refused
	}
	return r.wire.answer(r.Runtime.DeleteTaskSet(ctx, generation, service, id))
}

func (r *tasks) Watch(ctx context.Context, f func(runtime.Update)) error {
	if err := r.wire.open(); err != nil {
		return err
	}
	return r.Runtime.Watch(ctx, f)
}

func (r *tasks) cut() {
	r.wire.cut()
	r.BreakWatches(errUnreachable)
}

// dataPlane is the fake data plane at the end of a wire.
type dataPlane struct {
	*trafficfake.Fake
	wire *wire
}

func (p *dataPlane) Apply(ctx context.Context, generation int64, routes traffic.Routes) error {
	if err := p.wire.arrive(ctx, routes.Service, generation); err != nil {
		return err
	}
	return p.wire.answer(p.Fake.Apply(ctx, generation, routes))
}

func (p *dataPlane) Delete(ctx context.Context, generation int64, service string) error {
	if err := p.wire.arrive(ctx, service, generation); err != nil {
		return err
	}
	return p.wire.answer(p.Fake.Delete(ctx, generation, service))
}

func (p *dataPlane) Watch(ctx context.Context, f func(traffic.Update)) error {
	if err := p.wire.open(); err != nil {
		return err
	}
	return p.Fake.Watch(ctx, f)
}

func (p *dataPlane) cut() {
	p.wire.cut()
	p.BreakWatches(errUnreachable)
}

// targetGroups is a healthcheck service. A target is healthy as soon as it is registered.
type targetGroups struct {
	healthcheckpb.TargetGroupServiceClient // what the engine does not call
	wire                                   *wire
	feed                                   feed[healthcheckpb.WatchTargetHealthResponse]

	mu     sync.Mutex
	groups map[string]map[string]*healthcheckpb.TargetHealth
}

func (h *targetGroups) WatchTargetHealth(
	ctx context.Context, _ *healthcheckpb.WatchTargetHealthRequest, _ ...grpc.CallOption,
) (grpc.ServerStreamingClient[healthcheckpb.WatchTargetHealthResponse], error) {
	if err := h.wire.open(); err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []*healthcheckpb.TargetHealth
	for _, targets := range h.groups {
		all = slices.AppendSeq(all, maps.Values(targets))
	}
	return h.feed.open(ctx, &healthcheckpb.WatchTargetHealthResponse{Snapshot: true, Targets: all}), nil
}

func (h *targetGroups) RegisterTargets(
	ctx context.Context, req *healthcheckpb.RegisterTargetsRequest, _ ...grpc.CallOption,
) (*healthcheckpb.RegisterTargetsResponse, error) {
	if err := h.wire.fenced(ctx, req.GetService(), req.GetGeneration()); err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	group := h.groups[req.GetTargetGroup()]
	if group == nil {
		return nil, problem.New(problem.NotFound, "TARGET_GROUP_NOT_FOUND", "there is no target group %s", req.GetTargetGroup())
	}
	changed := &healthcheckpb.WatchTargetHealthResponse{}
	for _, t := range req.GetTargets() {
		group[t.GetId()] = &healthcheckpb.TargetHealth{
			TargetGroup: req.GetTargetGroup(), Target: t, Service: req.GetService(), State: healthcheckpb.TargetHealth_STATE_HEALTHY,
		}
		changed.Targets = append(changed.Targets, group[t.GetId()])
	}
	h.feed.say(changed)
	return &healthcheckpb.RegisterTargetsResponse{}, h.wire.answer(nil)
}

func (h *targetGroups) DeregisterTargets(
	ctx context.Context, req *healthcheckpb.DeregisterTargetsRequest, _ ...grpc.CallOption,
) (*healthcheckpb.DeregisterTargetsResponse, error) {
	if err := h.wire.fenced(ctx, req.GetService(), req.GetGeneration()); err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range req.GetTargetIds() {
		delete(h.groups[req.GetTargetGroup()], id)
		h.removed(req.GetTargetGroup(), id)
	}
	return &healthcheckpb.DeregisterTargetsResponse{}, h.wire.answer(nil)
}

func (h *targetGroups) removed(group, id string) {
	h.feed.say(&healthcheckpb.WatchTargetHealthResponse{RemovedTargets: []*healthcheckpb.TargetRef{{TargetGroup: group, TargetId: id}}})
}

// create makes target groups.
func (h *targetGroups) create(names ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, name := range names {
		h.groups[name] = map[string]*healthcheckpb.TargetHealth{}
	}
}

// vanish takes a target group away with its targets.
func (h *targetGroups) vanish(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id := range h.groups[name] {
		h.removed(name, id)
	}
	delete(h.groups, name)
}

// fail makes every target of the group fail its checks.
func (h *targetGroups) fail(group string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, t := range h.groups[group] {
		failing := proto.CloneOf(t)
		failing.State, failing.Description = healthcheckpb.TargetHealth_STATE_UNHEALTHY, "Health checks failed with these codes: [500]"
		h.groups[group][id] = failing
		h.feed.say(&healthcheckpb.WatchTargetHealthResponse{Targets: []*healthcheckpb.TargetHealth{failing}})
	}
}

func (h *targetGroups) targets(group string) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Sorted(maps.Keys(h.groups[group]))
}

// hookService answers every invocation with state, or leaves it in progress until end is called.
type hookService struct {
	hookspb.HookServiceClient
	wire *wire
	feed feed[hookspb.WatchInvocationsResponse]

	mu          sync.Mutex
	state       hookspb.Invocation_State
	invocations map[string]*hookspb.Invocation
	requests    []*hookspb.Invocation // every call that was carried out
}

func (h *hookService) WatchInvocations(
	ctx context.Context, _ *hookspb.WatchInvocationsRequest, _ ...grpc.CallOption,
) (grpc.ServerStreamingClient[hookspb.WatchInvocationsResponse], error) {
	if err := h.wire.open(); err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.feed.open(ctx, &hookspb.WatchInvocationsResponse{Snapshot: true, Invocations: slices.Collect(maps.Values(h.invocations))}), nil
}

func (h *hookService) InvokeHook(
	ctx context.Context, req *hookspb.InvokeHookRequest, _ ...grpc.CallOption,
) (*hookspb.InvokeHookResponse, error) {
	asked := req.GetInvocation()
	if err := h.wire.fenced(ctx, asked.GetService(), req.GetGeneration()); err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.requests = append(h.requests, asked)
	if h.invocations[asked.GetId()] == nil {
		begun := proto.CloneOf(asked)
		begun.State = h.state
		if h.state == hookspb.Invocation_STATE_SUCCEEDED {
			begun.Outcome = hookspb.Invocation_OUTCOME_CONTINUE
		}
		h.invocations[asked.GetId()] = begun
	}
	if err := h.wire.answer(nil); err != nil {
		return nil, err // and nothing is said on the stream, so that only a repeat brings it to light
	}
	return &hookspb.InvokeHookResponse{Invocation: h.invocations[asked.GetId()]}, nil
}

func (h *hookService) CancelInvocation(
	ctx context.Context, req *hookspb.CancelInvocationRequest, _ ...grpc.CallOption,
) (*hookspb.CancelInvocationResponse, error) {
	h.mu.Lock()
	call := h.invocations[req.GetId()]
	h.mu.Unlock()
	if err := h.wire.fenced(ctx, call.GetService(), req.GetGeneration()); err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	ended := proto.CloneOf(h.invocations[req.GetId()])
	ended.State, ended.Outcome = hookspb.Invocation_STATE_CANCELED, hookspb.Invocation_OUTCOME_ROLLBACK
	h.invocations[req.GetId()] = ended
	h.feed.say(&hookspb.WatchInvocationsResponse{Invocations: []*hookspb.Invocation{ended}})
	return &hookspb.CancelInvocationResponse{Invocation: ended}, h.wire.answer(nil)
}

func (h *hookService) stateOf(id string) hookspb.Invocation_State {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.invocations[id].GetState()
}

// end makes every invocation succeed.
func (h *hookService) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, call := range h.invocations {
		ended := proto.CloneOf(call)
		ended.State, ended.Outcome = hookspb.Invocation_STATE_SUCCEEDED, hookspb.Invocation_OUTCOME_CONTINUE
		h.invocations[id] = ended
		h.feed.say(&hookspb.WatchInvocationsResponse{Invocations: []*hookspb.Invocation{ended}})
	}
}

// forget loses every invocation and says nothing of it.
func (h *hookService) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	clear(h.invocations)
}

func (h *hookService) known() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.invocations)
}

func (h *hookService) asked() []*hookspb.Invocation {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.requests)
}

// alarmService has the alarms that a test sets.
type alarmService struct {
	alarmspb.AlarmServiceClient
	wire *wire
	feed feed[alarmspb.WatchAlarmsResponse]

	mu     sync.Mutex
	alarms map[string]*alarmspb.MetricAlarm
}

func (a *alarmService) WatchAlarms(
	ctx context.Context, _ *alarmspb.WatchAlarmsRequest, _ ...grpc.CallOption,
) (grpc.ServerStreamingClient[alarmspb.WatchAlarmsResponse], error) {
	if err := a.wire.open(); err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.feed.open(ctx, &alarmspb.WatchAlarmsResponse{Snapshot: true, Alarms: slices.Collect(maps.Values(a.alarms))}), nil
}

func (a *alarmService) set(name string, state alarmspb.MetricAlarm_State) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.alarms[name] = &alarmspb.MetricAlarm{Name: name, State: state}
	a.feed.say(&alarmspb.WatchAlarmsResponse{Alarms: []*alarmspb.MetricAlarm{a.alarms[name]}})
}

// forget loses every alarm and says nothing of it.
func (a *alarmService) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.alarms)
}
