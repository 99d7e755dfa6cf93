// Package healthsim is the core of the healthcheck service for simulations: the real verdicts on targets, without a
// database or a network, on one clock. What a probe finds is the simulation's.
package healthsim

import (
	"sync"
	"time"

	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/healthcheck/internal/verdict"
)

// TargetGroups is the targets and their health.
type TargetGroups struct {
	Probe    func(target string) bool // whether a probe of it succeeds now
	Interval time.Duration
	Changed  func(*healthcheckpb.TargetHealth)
	Removed  func(*healthcheckpb.TargetRef)

	mu          sync.Mutex
	closed      bool
	generations map[string]int64 // highest seen, by service
	targets     map[ref]*target
}

type ref struct{ group, id string }

type target struct {
	verdict.Health
	ref     ref
	address string
	service string
	timer   *time.Timer
}

// New returns target groups without targets.
func New(interval time.Duration) *TargetGroups {
	return &TargetGroups{Interval: interval, generations: map[string]int64{}, targets: map[ref]*target{}}
}

func (g *TargetGroups) check() verdict.Check {
	return verdict.Check{Type: verdict.HTTP, Interval: g.Interval, Timeout: g.Interval / 2, HealthyThreshold: 2, UnhealthyThreshold: 2}.WithDefaults()
}

// Register begins to check targets.
func (g *TargetGroups) Register(req *healthcheckpb.RegisterTargetsRequest) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.fence(req.GetService(), req.GetGeneration()); err != nil {
		return err
	}
	for _, wanted := range req.GetTargets() {
		at := ref{req.GetTargetGroup(), wanted.GetId()}
		if old := g.targets[at]; old != nil {
			if old.address == wanted.GetAddress() {
				continue
			}
			old.timer.Stop()
		}
		t := &target{Health: verdict.Registered(time.Now()), ref: at, address: wanted.GetAddress(), service: req.GetService()}
		g.targets[at] = t
		g.Changed(t.message())
		g.probeLater(t)
	}
	return nil
}

// Deregister forgets targets.
func (g *TargetGroups) Deregister(req *healthcheckpb.DeregisterTargetsRequest) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.fence(req.GetService(), req.GetGeneration()); err != nil {
		return err
	}
	for _, id := range req.GetTargetIds() {
		at := ref{req.GetTargetGroup(), id}
		if t := g.targets[at]; t != nil {
			t.timer.Stop()
			delete(g.targets, at)
			g.Removed(&healthcheckpb.TargetRef{TargetGroup: at.group, TargetId: id})
		}
	}
	return nil
}

func (g *TargetGroups) fence(service string, generation int64) error {
	if generation < g.generations[service] {
		return problem.New(problem.Aborted, "STALE_GENERATION", "generation %d of service %s has been seen", g.generations[service], service)
	}
	g.generations[service] = generation
	return nil
}

// probeLater arranges the next probe. The lock is held.
func (g *TargetGroups) probeLater(t *target) {
	t.timer = time.AfterFunc(max(verdict.Pause(g.check(), t.Health), time.Second), func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.closed || g.targets[t.ref] != t {
			return
		}
		before := t.State
		result := verdict.Result{OK: g.Probe(t.ref.id)}
		if !result.OK {
			result.Reason, result.Description = verdict.ResponseCodeMismatch, "Health checks failed with these codes: [500]"
		}
		t.Health = verdict.Next(g.check(), t.Health, result, time.Now())
		if t.State != before {
			g.Changed(t.message())
		}
		g.probeLater(t)
	})
}

// Read calls f with every target and lets nothing change meanwhile.
func (g *TargetGroups) Read(f func([]*healthcheckpb.TargetHealth)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	list := make([]*healthcheckpb.TargetHealth, 0, len(g.targets))
	for _, t := range g.targets {
		list = append(list, t.message())
	}
	f(list)
}

// Close ends all checks.
func (g *TargetGroups) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
}

func (t *target) message() *healthcheckpb.TargetHealth {
	return &healthcheckpb.TargetHealth{
		TargetGroup: t.ref.group, Target: &healthcheckpb.Target{Id: t.ref.id, Address: t.address}, Service: t.service,
		State:       healthcheckpb.TargetHealth_State(healthcheckpb.TargetHealth_State_value["STATE_"+string(t.State)]),
		Description: t.Description,
	}
}
