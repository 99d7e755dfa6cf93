package engine

import (
	"context"
	"time"

	"google.golang.org/grpc"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	"github.com/slipway-deploy/slipway/drivers/traffic"
	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
)

// source is a stream of facts that begins with a snapshot. watch returns when it breaks.
type source struct {
	name  string
	watch func(ctx context.Context) error
	lost  func() // the source is not known any more
}

// follow keeps a source open. A stream that breaks is opened again and begins with a snapshot.
func (e *Engine) follow(s source) {
	delay := firstRetry
	for e.ctx.Err() == nil {
		began := e.Now()
		ctx, stream := e.open(s.name)
		err := s.watch(ctx)
		asked := ctx.Err() != nil
		if e.ctx.Err() != nil {
			stream.end()
			return
		}
		e.facts.change(s.lost)
		stream.end()
		if asked { // its snapshot is on its way and wakes all
			delay = firstRetry
			continue
		}
		e.wakeAll()
		if e.Now().Sub(began) > lastRetry {
			delay = firstRetry
		}
		e.Log.Warn("a source of facts was lost", "source", s.name, "cause", err, "delay", delay)
		select {
		case <-e.ctx.Done():
		case <-time.After(delay):
		}
		delay = min(2*delay, lastRetry)
	}
}

func (e *Engine) sources() []source {
	f := e.facts
	return []source{
		{"the runtime", func(ctx context.Context) error { return e.Runtime.Watch(ctx, e.runtimeSaid) }, func() { f.tasks.known = false }},
		{"the data plane", func(ctx context.Context) error { return e.Traffic.Watch(ctx, e.trafficSaid) }, func() { f.applied.known = false }},
		{"the healthcheck service", e.watchHealth, func() { f.targets.known = false }},
		{"the hooks service", e.watchHooks, func() { f.calls.known = false }},
		{"the alarms service", e.watchAlarms, func() { f.alarms.known = false }},
	}
}

func (e *Engine) runtimeSaid(u runtime.Update) {
	services := map[string]bool{}
	e.facts.change(func() {
		t := &e.facts.tasks
		if u.Snapshot {
			*t = nested[runtime.Task]{known: true}
		}
		for _, task := range u.Tasks {
			t.set(task.Service, task.Name, task)
			services[task.Service] = true
		}
		for _, name := range u.Removed {
			for service, tasks := range t.by {
				if _, here := tasks[name]; here {
					t.remove(service, name)
					services[service] = true
				}
			}
		}
	})
	e.woken(u.Snapshot, services)
}

func (e *Engine) trafficSaid(u traffic.Update) {
	services := map[string]bool{}
	e.facts.change(func() {
		t := &e.facts.applied
		if u.Snapshot {
			*t = known[traffic.Applied]{known: true}
		}
		for _, applied := range u.Services {
			t.set(applied.Service, applied)
			services[applied.Service] = true
		}
		for _, service := range u.Removed {
			delete(t.by, service)
			services[service] = true
		}
	})
	e.woken(u.Snapshot, services)
	if u.Snapshot {
		for service := range services {
			e.workOn(parseKey(service)) // one that is deleted may have left its routes
		}
	}
}

func (e *Engine) woken(all bool, services map[string]bool) {
	if all {
		e.wakeAll()
		return
	}
	for service := range services {
		e.wakeService(service)
	}
}

// receive reads a stream to its end.
func receive[T any](stream grpc.ServerStreamingClient[T], err error, said func(*T)) error {
	for err == nil {
		var m *T
		if m, err = stream.Recv(); err == nil {
			said(m)
		}
	}
	return err
}

func (e *Engine) watchHealth(ctx context.Context) error {
	stream, err := e.Health.WatchTargetHealth(ctx, &healthcheckpb.WatchTargetHealthRequest{})
	return receive(stream, err, func(m *healthcheckpb.WatchTargetHealthResponse) {
		services := map[string]bool{}
		e.facts.change(func() {
			t := &e.facts.targets
			if m.GetSnapshot() {
				*t = nested[*healthcheckpb.TargetHealth]{known: true}
			}
			for _, target := range m.GetTargets() {
				t.set(target.GetTargetGroup(), target.GetTarget().GetId(), target)
				services[target.GetService()] = true
			}
			for _, gone := range m.GetRemovedTargets() {
				if target := t.by[gone.GetTargetGroup()][gone.GetTargetId()]; target != nil {
					services[target.GetService()] = true
				}
				t.remove(gone.GetTargetGroup(), gone.GetTargetId())
			}
		})
		e.woken(m.GetSnapshot(), services)
	})
}

func (e *Engine) watchHooks(ctx context.Context) error {
	stream, err := e.Hooks.WatchInvocations(ctx, &hookspb.WatchInvocationsRequest{})
	return receive(stream, err, func(m *hookspb.WatchInvocationsResponse) {
		services := map[string]bool{}
		e.facts.change(func() {
			if m.GetSnapshot() {
				e.facts.calls = nested[*hookspb.Invocation]{known: true}
			}
			for _, call := range m.GetInvocations() {
				e.facts.calls.set(call.GetService(), call.GetId(), call)
				services[call.GetService()] = true
			}
		})
		e.woken(m.GetSnapshot(), services)
	})
}

func (e *Engine) watchAlarms(ctx context.Context) error {
	stream, err := e.Alarms.WatchAlarms(ctx, &alarmspb.WatchAlarmsRequest{})
	return receive(stream, err, func(m *alarmspb.WatchAlarmsResponse) {
		e.facts.change(func() {
			if m.GetSnapshot() {
				e.facts.alarms = known[alarmFact]{known: true}
			}
			for _, alarm := range m.GetAlarms() {
				e.facts.alarms.set(alarm.GetName(), alarmFactOf(alarm))
			}
			for _, alarm := range m.GetCompositeAlarms() {
				e.facts.alarms.set(alarm.GetName(), alarmFactOf(alarm))
			}
			for _, name := range m.GetRemovedAlarms() {
				delete(e.facts.alarms.by, name)
			}
		})
		e.wakeAll()
	})
}
