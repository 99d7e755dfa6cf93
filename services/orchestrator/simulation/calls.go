package simulation

import (
	"context"
	"io"
	"slices"

	"google.golang.org/grpc"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	"github.com/slipway-deploy/slipway/drivers/traffic"
	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/store"
)

// storage is the database as a process sees it.
type storage process

func (s *storage) ServicesActive(ctx context.Context, wanted func(store.Key) bool) (list []rollout.State, err error) {
	p := (*process)(s)
	err = p.call(ctx, "read services", errDatabase, false, func() error {
		list = p.w.database.active(wanted)
		return nil
	})
	return list, err
}

func (s *storage) ServiceGet(ctx context.Context, cluster, name string) (a store.Aggregate, err error) {
	p := (*process)(s)
	err = p.call(ctx, "read service", errDatabase, false, func() error {
		a, err = p.w.database.get(store.Key{Cluster: cluster, Name: name})
		return err
	})
	return a, err
}

func (s *storage) Save(ctx context.Context, changes []store.Change) (saved map[store.Key]bool, err error) {
	p := (*process)(s)
	var result map[store.Key]bool
	err = p.call(ctx, "save", errDatabase, false, func() error {
		result = p.w.database.save(p.replica, changes)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return result, nil
}

// runtimeOf is the runtime as a process sees it.
type runtimeOf process

func (r *runtimeOf) EnsureTaskSet(ctx context.Context, generation int64, set runtime.TaskSet) error {
	p := (*process)(r)
	p.w.database.wantsTasks(p.replica, generation, set.Service, set.ID, set.Tasks)
	return p.call(ctx, "runs "+set.ID, errUnreachable, true, func() error { return p.w.ensureTaskSet(p.replica, generation, set) })
}

func (r *runtimeOf) DeleteTaskSet(ctx context.Context, generation int64, service, id string) error {
	p := (*process)(r)
	p.w.database.wantsTasks(p.replica, generation, service, id, nil)
	return p.call(ctx, "deletes "+id, errUnreachable, true, func() error { return p.w.deleteTaskSet(p.replica, generation, service, id) })
}

func (r *runtimeOf) Watch(ctx context.Context, f func(runtime.Update)) error {
	return watch(ctx, (*process)(r), "tasks", f, (*process)(r).w.runtime.Watch)
}

func (r *runtimeOf) Logs(context.Context, string, runtime.LogOptions, io.Writer) error {
	return errUnreachable
}

// trafficOf is the data plane as a process sees it.
type trafficOf process

func (t *trafficOf) Apply(ctx context.Context, generation int64, routes traffic.Routes) error {
	p := (*process)(t)
	p.w.database.wantsRoutes(p.replica, generation, routes)
	return p.call(ctx, "routes", errUnreachable, true, func() error {
		if p.w.cutOff() {
			return errUnreachable
		}
		return p.w.apply(p.replica, generation, routes)
	})
}

func (t *trafficOf) Delete(ctx context.Context, generation int64, service string) error {
	p := (*process)(t)
	return p.call(ctx, "delete routes", errUnreachable, true, func() error { return p.w.plane().Delete(context.Background(), generation, service) })
}

func (t *trafficOf) Watch(ctx context.Context, f func(traffic.Update)) error {
	return watch(ctx, (*process)(t), "routes in force", f, (*process)(t).w.plane().Watch)
}

// watch is a driver's watch, whose updates arrive as the process's fate has it.
func watch[U any](ctx context.Context, p *process, what string, f func(U), open func(context.Context, func(U)) error) error {
	if err := p.gate(ctx); err != nil {
		return err
	}
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	broken := error(nil)
	err := open(inner, func(u U) {
		if broken != nil {
			return
		}
		twice, err := p.arrives(inner, what)
		if err != nil {
			broken = err
			cancel()
			return
		}
		f(u)
		if twice {
			f(u)
		}
	})
	if broken != nil {
		return broken
	}
	return err
}

// healthOf is the healthcheck service as a process sees it.
type healthOf struct {
	healthcheckpb.TargetGroupServiceClient // what the engine does not call
	*process
}

func (h healthOf) RegisterTargets(
	ctx context.Context, req *healthcheckpb.RegisterTargetsRequest, _ ...grpc.CallOption,
) (*healthcheckpb.RegisterTargetsResponse, error) {
	h.w.database.wantsTargets(h.replica, req)
	err := h.call(ctx, "register targets", errUnreachable, true, func() error {
		return h.w.wrote(h.replica, "health", req, func() error { return h.w.health.Register(req) })
	})
	return &healthcheckpb.RegisterTargetsResponse{}, err
}

func (h healthOf) DeregisterTargets(
	ctx context.Context, req *healthcheckpb.DeregisterTargetsRequest, _ ...grpc.CallOption,
) (*healthcheckpb.DeregisterTargetsResponse, error) {
	err := h.call(ctx, "deregister targets", errUnreachable, true, func() error {
		return h.w.wrote(h.replica, "health", req, func() error { return h.w.health.Deregister(req) })
	})
	return &healthcheckpb.DeregisterTargetsResponse{}, err
}

func (h healthOf) WatchTargetHealth(
	ctx context.Context, _ *healthcheckpb.WatchTargetHealthRequest, _ ...grpc.CallOption,
) (grpc.ServerStreamingClient[healthcheckpb.WatchTargetHealthResponse], error) {
	if err := h.gate(ctx); err != nil {
		return nil, err
	}
	var s *stream[healthcheckpb.WatchTargetHealthResponse]
	h.w.health.Read(func(all []*healthcheckpb.TargetHealth) {
		s = h.w.healthFeed.open(ctx, h.process, "health", &healthcheckpb.WatchTargetHealthResponse{Snapshot: true, Targets: all})
	})
	return s, nil
}

// hooksOf is the hooks service as a process sees it.
type hooksOf struct {
	hookspb.HookServiceClient
	*process
}

func (h hooksOf) InvokeHook(ctx context.Context, req *hookspb.InvokeHookRequest, _ ...grpc.CallOption) (*hookspb.InvokeHookResponse, error) {
	h.w.database.wantsHook(h.replica, req)
	var answer *hookspb.Invocation
	err := h.call(ctx, "invoke "+req.GetInvocation().GetId(), errUnreachable, true, func() (err error) {
		h.w.outside.Lock()
		defer h.w.outside.Unlock()
		answer, err = h.w.hooks.Invoke(req.GetGeneration(), req.GetInvocation())
		return h.w.wroteOf(h.replica, "hooks", req.GetInvocation().GetService(), req.GetGeneration(), "invokes "+req.GetInvocation().GetId(), err)
	})
	return &hookspb.InvokeHookResponse{Invocation: answer}, err
}

func (h hooksOf) CancelInvocation(
	ctx context.Context, req *hookspb.CancelInvocationRequest, _ ...grpc.CallOption,
) (*hookspb.CancelInvocationResponse, error) {
	var answer *hookspb.Invocation
	err := h.call(ctx, "cancel "+req.GetId(), errUnreachable, true, func() (err error) {
		h.w.outside.Lock()
		defer h.w.outside.Unlock()
		answer, err = h.w.hooks.Cancel(req.GetGeneration(), req.GetId())
		return h.w.wroteOf(h.replica, "hooks", serviceName, req.GetGeneration(), "cancels "+req.GetId(), err)
	})
	return &hookspb.CancelInvocationResponse{Invocation: answer}, err
}

func (h hooksOf) WatchInvocations(
	ctx context.Context, _ *hookspb.WatchInvocationsRequest, _ ...grpc.CallOption,
) (grpc.ServerStreamingClient[hookspb.WatchInvocationsResponse], error) {
	if err := h.gate(ctx); err != nil {
		return nil, err
	}
	var s *stream[hookspb.WatchInvocationsResponse]
	h.w.hooks.Read(func(all []*hookspb.Invocation) {
		s = h.w.hookFeed.open(ctx, h.process, "invocations", &hookspb.WatchInvocationsResponse{Snapshot: true, Invocations: slices.Clone(all)})
	})
	return s, nil
}

// alarmsOf is the alarms service as a process sees it.
type alarmsOf struct {
	alarmspb.AlarmServiceClient
	*process
}

func (a alarmsOf) WatchAlarms(
	ctx context.Context, _ *alarmspb.WatchAlarmsRequest, _ ...grpc.CallOption,
) (grpc.ServerStreamingClient[alarmspb.WatchAlarmsResponse], error) {
	if err := a.gate(ctx); err != nil {
		return nil, err
	}
	var s *stream[alarmspb.WatchAlarmsResponse]
	a.w.alarm.Read(func(all []*alarmspb.MetricAlarm) {
		s = a.w.alarmFeed.open(ctx, a.process, "alarms", &alarmspb.WatchAlarmsResponse{Snapshot: true, Alarms: all})
	})
	return s, nil
}
