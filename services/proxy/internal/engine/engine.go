// Package engine puts routes in force: it checks the fence, prepares the data plane, saves the routes and only then commits,
// so that a crash at any instruction leaves either the old routes or the new ones. It publishes what is in force.
package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"

	"github.com/slipway-deploy/slipway/drivers/traffic"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/platform/watch"
	"github.com/slipway-deploy/slipway/services/proxy/internal/dataplane"
	"github.com/slipway-deploy/slipway/services/proxy/internal/routefile"
)

// Engine is the control side of the proxy.
type Engine struct {
	plane *dataplane.Plane
	store *routefile.Store
	hub   *watch.Hub[string, traffic.Applied]

	mu          sync.Mutex
	generations map[string]int64 // highest seen, also of deleted services
	inForce     map[string]int64
}

// New makes a data plane and takes up the routes that were in force before a restart.
func New(store *routefile.Store, config dataplane.Config, log *slog.Logger) (*Engine, error) {
	e := &Engine{
		store: store, hub: watch.NewHub[string, traffic.Applied](), generations: map[string]int64{}, inForce: map[string]int64{},
	}
	config.OnIdle = func(service string) { go e.publish(service) } // must not block, and the plane may hold its lock
	e.plane = dataplane.New(config)
	records, err := store.Load(log)
	if err != nil {
		return nil, err
	}
	for _, r := range records {
		e.generations[r.Service] = r.Generation
		if r.Deleted {
			continue
		}
		var routes traffic.Routes
		if err := json.Unmarshal(r.Routes, &routes); err != nil {
			log.Error("the saved routes cannot be read and are left out", "service", r.Service, "error", err)
			continue
		}
		if err := e.plane.Restore(routes); err != nil {
			log.Error("the saved routes cannot be put in force", "service", r.Service, "error", err)
			continue
		}
		e.inForce[r.Service] = r.Generation
		e.publish(r.Service)
	}
	return e, nil
}

// Hub is what is in force for each service.
func (e *Engine) Hub() *watch.Hub[string, traffic.Applied] { return e.hub }

// Apply puts routes in force.
func (e *Engine) Apply(generation int64, routes traffic.Routes) (traffic.Applied, error) {
	routes = routes.WithDefaults()
	if err := routes.Validate(); err != nil {
		return traffic.Applied{}, err
	}
	body, err := json.Marshal(routes)
	if err != nil {
		return traffic.Applied{}, fmt.Errorf("write the routes: %w", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.fence(routes.Service, generation); err != nil {
		return traffic.Applied{}, err
	}
	change, err := e.plane.Prepare(routes)
	if err != nil {
		return traffic.Applied{}, err
	}
	if err := e.store.Save(routefile.Record{Service: routes.Service, Generation: generation, Routes: body}); err != nil {
		change.Abandon()
		return traffic.Applied{}, err
	}
	change.Commit()
	e.generations[routes.Service], e.inForce[routes.Service] = generation, generation
	return e.tell(routes.Service), nil
}

// Delete removes a service's routes; its generation is remembered.
func (e *Engine) Delete(generation int64, service string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.fence(service, generation); err != nil {
		return err
	}
	if _, there := e.inForce[service]; !there {
		return nil
	}
	change, err := e.plane.Prepare(traffic.Routes{Service: service})
	if err != nil {
		return err
	}
	if err := e.store.Save(routefile.Record{Service: service, Generation: generation, Deleted: true}); err != nil {
		change.Abandon()
		return err
	}
	change.Commit()
	e.generations[service] = generation
	delete(e.inForce, service)
	e.hub.Delete(service)
	return nil
}

func (e *Engine) fence(service string, generation int64) error {
	if seen := e.generations[service]; generation < seen {
		return problem.New(problem.Aborted, "STALE_GENERATION", "service %s is at generation %d, past %d", service, seen, generation)
	}
	return nil
}

// publish tells readers what is in force for a service now.
func (e *Engine) publish(service string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, there := e.inForce[service]; there {
		e.tell(service)
	}
}

func (e *Engine) tell(service string) traffic.Applied {
	applied := traffic.Applied{
		Service: service, Generation: e.inForce[service], Drained: e.plane.Drained(service), Problem: e.plane.Problem(service),
	}
	e.hub.Set(service, applied)
	return applied
}

// Close ends the data plane; what is in flight may end until ctx does.
func (e *Engine) Close(ctx context.Context) { e.plane.Close(ctx) }
