package engine

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	"github.com/slipway-deploy/slipway/drivers/traffic"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
)

const callTimeout = 5 * time.Second

// world is what a worker has brought about, so that it does not ask for it again. Each part is its lane's alone.
type world struct {
	routes           *traffic.Routes
	routesGeneration int64
	taskSets         map[string]told // by task set
}

// told is what the runtime was told of a task set. tasks means nothing unless it stands.
type told struct {
	stands bool
	tasks  []string
}

func (w *worker) convergeRoutes(ctx context.Context, o order) error {
	e, key, service, d := w.engine, o.service.Key(), o.service, o.desired
	if o.anew {
		w.world.routes = nil
	}
	e.facts.mu.RLock()
	applied, there := e.facts.applied.by[key]
	seen := e.facts.applied.known
	e.facts.mu.RUnlock()
	if d.Routes == nil {
		if seen && there {
			w.world.routes = nil
			return e.Traffic.Delete(ctx, d.Generation, key)
		}
		return nil
	}
	routes := routesOf(service, *d.Routes)
	forgotten := seen && applied.Generation < w.world.routesGeneration && w.world.routes != nil
	if w.world.routes != nil && !forgotten && w.world.routesGeneration >= service.RoutesGeneration && reflect.DeepEqual(*w.world.routes, routes) {
		return nil
	}
	if err := e.Traffic.Apply(ctx, d.Generation, routes); err != nil {
		return err
	}
	w.world.routes, w.world.routesGeneration = &routes, d.Generation
	return nil
}

func routesOf(service rollout.Service, r rollout.Routes) traffic.Routes {
	lb := service.Spec.LoadBalancer
	routes := traffic.Routes{Service: service.Key()}
	for _, l := range r.Listeners {
		listener := traffic.Listener{Name: l.Name, Address: l.Address}
		for _, f := range l.Forward {
			listener.Forward = append(listener.Forward, traffic.WeightedTargetGroup{TargetGroup: f.TargetGroup, Weight: f.Share})
		}
		routes.Listeners = append(routes.Listeners, listener)
	}
	for _, g := range r.TargetGroups {
		group := traffic.TargetGroup{Name: g.Name, Protocol: lb.ProtocolVersion, Algorithm: lb.Algorithm, SlowStart: lb.SlowStart}
		for _, t := range g.Targets {
			group.Targets = append(group.Targets, traffic.Target(t))
		}
		routes.TargetGroups = append(routes.TargetGroups, group)
	}
	return routes
}

func (w *worker) convergeTaskSets(ctx context.Context, o order) error {
	service, d := o.service, o.desired
	if w.world.taskSets == nil {
		w.world.taskSets = map[string]told{}
	}
	if o.anew { // the sets that there were are still known, so that those that are to go are deleted
		for id := range w.world.taskSets {
			w.world.taskSets[id] = told{}
		}
	}
	var errs []error
	wanted := map[string]bool{}
	for _, set := range d.TaskSets {
		wanted[set.ID] = true
		if have := w.world.taskSets[set.ID]; have.stands && slices.Equal(have.tasks, set.Tasks) {
			continue
		}
		if err := w.ensure(ctx, service, d.Generation, set); err != nil {
			errs = append(errs, err)
			continue
		}
		w.world.taskSets[set.ID] = told{stands: true, tasks: set.Tasks}
	}
	for id := range w.existingSets(service.Key()) {
		if wanted[id] {
			continue
		}
		if err := w.engine.Runtime.DeleteTaskSet(ctx, d.Generation, service.Key(), id); err != nil {
			errs = append(errs, err)
			continue
		}
		delete(w.world.taskSets, id)
	}
	return errors.Join(errs...)
}

func (w *worker) ensure(ctx context.Context, service rollout.Service, generation int64, set rollout.DesiredTaskSet) error {
	containers, err := w.engine.Containers(ctx, set.TaskDefinition)
	if err != nil {
		return err
	}
	return w.engine.Runtime.EnsureTaskSet(ctx, generation, runtime.TaskSet{
		ID: set.ID, Service: service.Key(), TaskDefinition: set.TaskDefinition, Containers: containers, Tasks: set.Tasks,
	})
}

// existingSets is the task sets of the service that the runtime shows tasks of, or that this worker made.
func (w *worker) existingSets(service string) map[string]bool {
	sets := map[string]bool{}
	for _, t := range w.engine.Tasks(service) {
		sets[t.TaskSet] = true
	}
	for id := range maps.Keys(w.world.taskSets) {
		sets[id] = true
	}
	return sets
}
