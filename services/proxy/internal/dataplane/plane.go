package dataplane

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/slipway-deploy/slipway/drivers/traffic"
)

// Plane is the data plane: the listeners, target groups and targets of every service. All methods are safe for
// concurrent use, changes of one service coming one after the other.
type Plane struct {
	config  Config
	buffers bufferPool
	cuts    atomic.Int64
	life    context.Context //nolint:containedctx // of the goroutines that outlive a call
	end     context.CancelFunc
	running sync.WaitGroup

	mu       sync.Mutex
	services map[string]*service
	owners   map[string]string    // listener address -> service that has it or is about to
	leaving  map[*target]struct{} // removed, with something in flight
}

// service is what is in force for one service. It is immutable: a change is another one.
type service struct {
	listeners map[string]*listener // by address
	groups    map[string]*group
	targets   map[targetKey]*target
	draining  map[targetKey]bool
}

// New returns a plane without routes. Close ends it.
func New(config Config) *Plane {
	p := &Plane{
		config: config.withDefaults(), services: make(map[string]*service),
		owners: make(map[string]string), leaving: make(map[*target]struct{}),
	}
	p.life, p.end = context.WithCancel(context.Background())
	return p
}

// Drained lists, sorted, the ids of the service's draining targets that have nothing in flight.
func (p *Plane) Drained(name string) []string {
	s := p.service(name)
	busy := make(map[string]bool)
	for key, t := range s.targets {
		busy[key.id] = busy[key.id] || !s.draining[key] || !t.drained()
	}
	var ids []string
	for id, isBusy := range busy {
		if !isBusy {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// Problem says what is wrong with the service's listeners; empty when all are bound.
func (p *Plane) Problem(name string) string {
	s := p.service(name)
	var problems []string
	for _, address := range slices.Sorted(maps.Keys(s.listeners)) {
		if text := s.listeners[address].problem(); text != "" {
			problems = append(problems, text)
		}
	}
	return strings.Join(problems, "; ")
}

// Cuts is how many requests, streams and upgraded connections the end of a drain budget has cut.
func (p *Plane) Cuts() int64 { return p.cuts.Load() }

// Close retires every listener, lets what is in flight end until ctx does, and cuts the rest.
func (p *Plane) Close(ctx context.Context) {
	defer context.AfterFunc(ctx, p.end)() // ends the waits of listeners that were removed before
	p.mu.Lock()
	var listeners []*listener
	var targets []*target
	for _, s := range p.services {
		listeners = slices.AppendSeq(listeners, maps.Values(s.listeners))
		targets = slices.AppendSeq(targets, maps.Values(s.targets))
	}
	targets = slices.AppendSeq(targets, maps.Keys(p.leaving))
	p.mu.Unlock()
	var retiring sync.WaitGroup
	for _, l := range listeners {
		retiring.Go(l.retire(ctx)) // stops accepting here, waits there
	}
	retiring.Wait()
	// Upgraded connections, for which retire does not wait.
	for _, t := range targets {
		t.cut()
		t.upstream.closeIdle()
	}
	p.running.Wait()
	p.end()
}

func (p *Plane) service(name string) *service {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.services[name]; s != nil {
		return s
	}
	return &service{}
}

func (p *Plane) newTarget(service string, key targetKey) *target {
	t := &target{id: key.id, address: key.address, upstream: newUpstream(key.protocol, key.address, p.config)}
	t.onIdle = func(t *target) {
		p.mu.Lock()
		delete(p.leaving, t)
		p.mu.Unlock()
		p.config.OnIdle(service)
	}
	t.onCut = func(t *target, n int) {
		p.cuts.Add(int64(n))
		p.config.Log.Info("a drain time ended with requests in flight, which were cut", "service", service, "target", t.id, "cut", n)
	}
	return t
}

// drainTimes are the targets that drain and until when.
func drainTimes(routes traffic.Routes) map[targetKey]traffic.Target {
	all := make(map[targetKey]traffic.Target)
	for _, g := range routes.TargetGroups {
		for _, t := range g.Targets {
			if t.Draining {
				all[targetKey{g.Name, g.Protocol, t.ID, t.Address}] = t
			}
		}
	}
	return all
}
