package engine_test

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"testing"

	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/engine"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/store"
)

var _ engine.Store = (*memory)(nil)

var errDatabase = problem.New(problem.Unavailable, "DATABASE_UNAVAILABLE", "the database cannot be reached")

// memory is a store without a database. It swaps by generation, keeps states as JSON and lets go of deployments that have
// ended, as the real one does, and checks that no deployment's events have a gap or a repeat.
type memory struct {
	t *testing.T

	mu          sync.Mutex
	states      map[store.Key][]byte
	generations map[store.Key]int64
	deployments map[string]rollout.Deployment
	events      map[string][]rollout.Event // by deployment; by "cluster/service" those of the service alone
	batches     [][]store.Change           // that were saved
	marks       []store.Mark               // of every event, as it was saved
	tries       int                        // calls
	down        error                      // of every call
	unsavable   store.Key                  // a batch with it fails
	lost        int                        // saves that are made and whose answer does not arrive
	overtake    func()                     // called once, before the next save is made
	held        chan struct{}              // not nil: saves wait until it is closed
}

func newMemory(t *testing.T) *memory {
	return &memory{
		t: t, states: map[store.Key][]byte{}, generations: map[store.Key]int64{},
		deployments: map[string]rollout.Deployment{}, events: map[string][]rollout.Event{},
	}
}

func (m *memory) ServicesActive(_ context.Context, wanted func(store.Key) bool) ([]rollout.State, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tries++
	var list []rollout.State
	for key := range m.states {
		if s := m.read(key); s.Service.Phase != rollout.Inactive && (wanted == nil || wanted(key)) {
			list = append(list, s)
		}
	}
	return list, m.down
}

func (m *memory) ServiceGet(_ context.Context, cluster, name string) (store.Aggregate, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tries++
	key := store.Key{Cluster: cluster, Name: name}
	switch {
	case m.down != nil:
		return store.Aggregate{}, m.down
	case m.states[key] == nil:
		return store.Aggregate{}, problem.New(problem.NotFound, "SERVICE_NOT_FOUND", "there is no service %s", name)
	}
	return store.Aggregate{State: m.read(key)}, nil
}

// Save is the engine's. What a test's user saves goes to write and meets no trouble.
func (m *memory) Save(ctx context.Context, changes []store.Change) (map[store.Key]bool, error) {
	m.mu.Lock()
	m.tries++
	overtake, held := m.overtake, m.held
	m.overtake = nil
	m.mu.Unlock()
	if overtake != nil {
		overtake()
	}
	if held != nil {
		select {
		case <-held:
		case <-ctx.Done():
			return nil, problem.New(problem.DeadlineExceeded, "", "the save took too long").Wrap(ctx.Err())
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down != nil {
		return nil, m.down
	}
	if slices.ContainsFunc(changes, func(c store.Change) bool { return keyOf(c.Next) == m.unsavable }) {
		return nil, problem.New(problem.Internal, "", "%v cannot be saved", m.unsavable)
	}
	m.batches = append(m.batches, changes)
	saved := m.write(changes)
	if m.lost > 0 {
		m.lost--
		return nil, errDatabase
	}
	return saved, nil
}

// write saves the changes of the services whose generation is still the one decided on. The lock is held.
func (m *memory) write(changes []store.Change) map[store.Key]bool {
	saved := map[store.Key]bool{}
	for _, c := range changes {
		key := keyOf(c.Next)
		if c.Next.Service.Generation != m.generations[key]+1 {
			continue
		}
		saved[key] = true
		m.generations[key] = c.Next.Service.Generation
		next := c.Next
		for _, ended := range c.Ended {
			m.deployments[ended.Deployment.ID] = ended.Deployment
			m.record(key, ended.Events)
		}
		if d := next.Deployment; d != nil {
			m.deployments[d.ID] = *d
			if d.State.Terminal() {
				next.Deployment = nil
			}
		}
		m.record(key, c.Events)
		body, err := json.Marshal(next)
		if err != nil {
			m.t.Errorf("save %v: %v", key, err)
		}
		m.states[key] = body
	}
	return saved
}

func (m *memory) record(key store.Key, events []rollout.Event) {
	for _, e := range events {
		of := e.Deployment
		if of == "" {
			of = key.Cluster + "/" + key.Name
		}
		if want := int64(len(m.events[of])) + 1; e.Sequence != want {
			m.t.Errorf("event %d (%s) of %s was saved where %d was to come", e.Sequence, e.Name, of, want)
		}
		m.events[of] = append(m.events[of], e)
		m.marks = append(m.marks, store.Mark{Cluster: key.Cluster, Service: key.Name, Deployment: e.Deployment})
	}
}

func (m *memory) read(key store.Key) (s rollout.State) {
	if err := json.Unmarshal(m.states[key], &s); err != nil {
		m.t.Errorf("read %v: %v", key, err)
	}
	return s
}

func (m *memory) set(change func(*memory)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(m)
}

func get[T any](m *memory, read func(*memory) T) T {
	m.mu.Lock()
	defer m.mu.Unlock()
	return read(m)
}

// calls is how often the store was called, saves how often it saved.
func (m *memory) calls() int { return get(m, func(m *memory) int { return m.tries }) }
func (m *memory) saves() int { return get(m, func(m *memory) int { return len(m.batches) }) }

func keyOf(s rollout.State) store.Key {
	return store.Key{Cluster: s.Service.Cluster, Name: s.Service.Name}
}

// The store is its own feed. A position is one above the number of events.
var _ engine.Feed = (*memory)(nil)

func (m *memory) EventEnd(context.Context) (store.Position, error) {
	return get(m, func(m *memory) store.Position { return store.Position{Tx: uint64(len(m.marks)) + 1} }), nil
}

func (m *memory) EventMarks(_ context.Context, since store.Position) ([]store.Mark, store.Position, error) {
	marks := get(m, func(m *memory) []store.Mark { return slices.Clone(m.marks[since.Tx-1:]) })
	return marks, store.Position{Tx: since.Tx + uint64(len(marks))}, nil
}

func (m *memory) Standing(context.Context) (map[store.Key]store.Stand, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := map[store.Key]store.Stand{}
	for key := range m.states {
		s := m.read(key)
		stand := store.Stand{Generation: s.Service.Generation}
		if s.Deployment != nil {
			stand.Deployment = s.Deployment.ID
		}
		if s.Service.Phase != rollout.Inactive {
			all[key] = stand
		}
	}
	return all, m.down
}
