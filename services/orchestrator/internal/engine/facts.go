package engine

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	"github.com/slipway-deploy/slipway/drivers/traffic"
	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
)

// facts is the latest of what each source said. A source whose stream is broken is not known.
type facts struct {
	mu      sync.RWMutex
	tasks   nested[runtime.Task]                // by service and name
	applied known[traffic.Applied]              // by service
	trouble nested[string]                      // of converging, by service and peer
	targets nested[*healthcheckpb.TargetHealth] // by target group and id
	calls   nested[*hookspb.Invocation]         // by service and id
	alarms  known[alarmFact]                    // by name, metric and composite ones
}

type known[V any] struct {
	known bool
	by    map[string]V
}

type nested[V any] struct {
	known bool
	by    map[string]map[string]V
}

func newFacts() *facts { return &facts{} }

func (k *known[V]) set(key string, v V) {
	if k.by == nil {
		k.by = map[string]V{}
	}
	k.by[key] = v
}

func (n *nested[V]) set(outer, inner string, v V) {
	if n.by == nil {
		n.by = map[string]map[string]V{}
	}
	if n.by[outer] == nil {
		n.by[outer] = map[string]V{}
	}
	n.by[outer][inner] = v
}

func (n *nested[V]) remove(outer, inner string) {
	delete(n.by[outer], inner)
	if len(n.by[outer]) == 0 {
		delete(n.by, outer)
	}
}

func (f *facts) change(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
}

// forgetCalls drops the invocations that have ended, of a service that has no deployment at work any more.
func (f *facts) forgetCalls(service string) {
	f.change(func() {
		for id, call := range f.calls.by[service] {
			if invocationFact(call).Status != rollout.HookInProgress {
				f.calls.remove(service, id)
			}
		}
	})
}

// noteTrouble notes what is wrong with a peer, "" for nothing, and reports whether that is news.
func (f *facts) noteTrouble(service, peer, text string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.trouble.by[service][peer] == text {
		return false
	}
	if text == "" {
		f.trouble.remove(service, peer)
	} else {
		f.trouble.set(service, peer, text)
	}
	return true
}

// troubleOf is all that is wrong. The lock is held.
func (f *facts) troubleOf(service string) string {
	peers := f.trouble.by[service]
	var texts []string
	for _, peer := range slices.Sorted(maps.Keys(peers)) {
		texts = append(texts, peers[peer])
	}
	return strings.Join(texts, "\n")
}

// Tasks returns what the runtime says of a service's tasks, by name.
func (e *Engine) Tasks(service string) map[string]runtime.Task {
	e.facts.mu.RLock()
	defer e.facts.mu.RUnlock()
	return maps.Clone(e.facts.tasks.by[service])
}

// AllTasks returns what the runtime says of all tasks.
func (e *Engine) AllTasks() []runtime.Task {
	e.facts.mu.RLock()
	defer e.facts.mu.RUnlock()
	var all []runtime.Task
	for _, tasks := range e.facts.tasks.by {
		for _, t := range tasks {
			all = append(all, t)
		}
	}
	return all
}

// TargetState returns what the healthcheck service says of a target, "" when nothing is known.
func (e *Engine) TargetState(targetGroup, id string) string {
	e.facts.mu.RLock()
	defer e.facts.mu.RUnlock()
	if t := e.facts.targets.by[targetGroup][id]; t != nil {
		return targetState(t.GetState())
	}
	return ""
}
