// Package engine makes the data plane do what it is told, durably: it fences writers by generation, puts routes in
// force all or nothing, keeps the last good ones on disk, and reports what is in force. It is the traffic port of the
// built-in proxy.
package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"

	"github.com/slipway-deploy/slipway/drivers/traffic"
	"github.com/slipway-deploy/slipway/platform/watch"
	"github.com/slipway-deploy/slipway/services/proxy/internal/dataplane"
	"github.com/slipway-deploy/slipway/services/proxy/internal/routefile"
)

// Config is what an engine works with.
type Config struct {
	// Dir is the folder of the last good routes.
	Dir string
	// InsecureListeners allows listeners that other machines can reach; they speak plain HTTP.
	InsecureListeners bool
	// Plane is the data plane's; OnIdle is the engine's own.
	Plane dataplane.Config
	// Log takes what goes wrong.
	Log *slog.Logger
}

// Engine is a traffic.Traffic. All methods are safe for concurrent use.
type Engine struct {
	config Config
	plane  *dataplane.Plane
	store  *routefile.Store
	hub    *watch.Hub[string, traffic.Applied]
	stop   chan struct{}
	done   chan struct{}
	wake   chan struct{}

	mu       sync.Mutex
	services map[string]*service
	deleted  []string            // the oldest first
	dirty    map[string]struct{} // services to report again
}

var _ traffic.Traffic = (*Engine)(nil)

// New opens the folder and puts the routes in it in force. Stop ends the engine.
func New(config Config) (*Engine, error) {
	store, err := routefile.Open(config.Dir)
	if err != nil {
		return nil, err
	}
	records, err := store.Load(config.Log)
	if err != nil {
		_ = store.Close()
		return nil, err
	}
	e := &Engine{
		config: config, store: store, hub: watch.NewHub[string, traffic.Applied](),
		stop: make(chan struct{}), done: make(chan struct{}), wake: make(chan struct{}, 1),
		services: make(map[string]*service), dirty: make(map[string]struct{}),
	}
	config.Plane.OnIdle = e.report
	config.Plane.Log = config.Log
	e.plane = dataplane.New(config.Plane)
	for _, r := range records {
		e.restore(r)
	}
	go e.loop()
	return e, nil
}

// Stop stops accepting requests, lets those in flight end until ctx does, and cuts the rest. The routes stay on disk.
func (e *Engine) Stop(ctx context.Context) {
	close(e.stop)
	<-e.done
	e.plane.Close(ctx)
	if err := e.store.Close(); err != nil {
		e.config.Log.WarnContext(ctx, "the routes' folder could not be released", "error", err)
	}
}

// Cuts is how many requests, streams and upgraded connections the end of a drain budget has cut.
func (e *Engine) Cuts() int64 { return e.plane.Cuts() }

// restore puts a record that was read back in force.
func (e *Engine) restore(r routefile.Record) {
	s := e.lock(r.Service)
	defer s.mu.Unlock()
	s.generation = r.Generation
	if r.Deleted {
		e.deleted = append(e.deleted, r.Service)
		return
	}
	var routes traffic.Routes
	err := json.Unmarshal(r.Routes, &routes)
	if err == nil {
		err = e.check(r.Generation, routes)
	}
	if err == nil {
		err = e.plane.Restore(routes.WithDefaults())
	}
	if err != nil {
		e.config.Log.Error("the last routes of a service are not valid here; it is not served until they are applied again",
			"service", r.Service, "generation", r.Generation, "error", err)
		return
	}
	s.inForce = true
	e.publish(s)
}

// Apply puts the routes in force; see traffic.Traffic.
func (e *Engine) Apply(ctx context.Context, generation int64, routes traffic.Routes) error {
	if err := e.check(generation, routes); err != nil {
		return err
	}
	routes = routes.WithDefaults()
	encoded, err := json.Marshal(routes)
	if err != nil {
		return fmt.Errorf("encode the routes of %s: %w", routes.Service, err)
	}
	s := e.lock(routes.Service)
	defer s.mu.Unlock()
	if err := s.admit(ctx, generation); err != nil {
		return err
	}
	change, err := e.plane.Prepare(routes)
	if err != nil {
		return err
	}
	if !s.inForce || generation != s.generation || !bytes.Equal(encoded, s.saved) {
		if err := e.store.Save(routefile.Record{Service: s.name, Generation: generation, Routes: encoded}); err != nil {
			change.Abandon()
			return err
		}
	}
	change.Commit()
	s.generation, s.inForce, s.saved = generation, true, encoded
	e.revive(s.name)
	e.publish(s)
	return nil
}

// Delete takes a service's routes out of force; see traffic.Traffic.
func (e *Engine) Delete(ctx context.Context, generation int64, name string) error {
	if err := e.check(generation, traffic.Routes{Service: name}); err != nil {
		return err
	}
	s := e.lock(name)
	defer s.mu.Unlock()
	if err := s.admit(ctx, generation); err != nil {
		return err
	}
	if err := e.store.Save(routefile.Record{Service: name, Generation: generation, Deleted: true}); err != nil {
		return err
	}
	s.generation, s.inForce, s.saved = generation, false, nil
	e.plane.Remove(name)
	e.hub.Delete(name)
	e.bury(name)
	return nil
}
