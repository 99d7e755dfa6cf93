package engine_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	runtimefake "github.com/slipway-deploy/slipway/drivers/runtime/fake"
	trafficfake "github.com/slipway-deploy/slipway/drivers/traffic/fake"
	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/engine"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/store"
)

// world is all that an engine works with. Its tests run in a bubble of testing/synctest: time passes only when nothing
// else can happen, so that what a test waits for is exact and costs nothing.
type world struct {
	t       *testing.T
	store   *memory
	runtime *tasks
	traffic *dataPlane
	health  *targetGroups
	hooks   *hookService
	alarms  *alarmService
	engine  *engine.Engine
	asked   atomic.Int64 // how often an engine looked at the clock
	ports   int
	saved   func(service string) int64 // its generation, for the wires to check
}

// inWorld runs a test in a bubble. At its end every goroutine must have ended: the bubble fails the test otherwise.
func inWorld(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newWorld(t)) })
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, store: newMemory(t), ports: 9000}
	w.runtime = &tasks{Runtime: runtimefake.New(), wire: newWire(w)}
	w.traffic = &dataPlane{Fake: trafficfake.New(), wire: newWire(w)}
	w.health = &targetGroups{wire: newWire(w), groups: map[string]map[string]*healthcheckpb.TargetHealth{}}
	w.hooks = &hookService{wire: newWire(w), invocations: map[string]*hookspb.Invocation{}, state: hookspb.Invocation_STATE_SUCCEEDED}
	w.alarms = &alarmService{wire: newWire(w), alarms: map[string]*alarmspb.MetricAlarm{}}
	w.engine, w.saved = w.another(), w.generation
	t.Cleanup(w.runtime.Close)
	return w
}

// another is one more engine over the same store and the same outside. It stops when the test ends.
func (w *world) another() *engine.Engine { return w.over(w.store) }

func (w *world) over(s engine.Store) *engine.Engine { return w.sharing(s, nil) }

func (w *world) sharing(s engine.Store, leases engine.Leases) *engine.Engine {
	e := engine.New(engine.Config{
		Store: s, Leases: leases, Feed: w.store, Runtime: w.runtime, Traffic: w.traffic, Health: w.health, Hooks: w.hooks, Alarms: w.alarms,
		Containers: containers, Log: slog.New(slog.DiscardHandler),
		Now: func() time.Time {
			w.asked.Add(1)
			return time.Now()
		},
	})
	w.t.Cleanup(e.Stop)
	return e
}

func containers(context.Context, string) ([]runtime.Container, error) {
	return []runtime.Container{{Name: "app", Essential: true, Ports: []runtime.Port{{ContainerPort: 80}}}}, nil
}

// start starts the engine and lets it come to rest.
func (w *world) start() {
	w.t.Helper()
	if err := w.engine.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	synctest.Wait()
}

// restart ends the engine and starts another over what it left.
func (w *world) restart() {
	w.t.Helper()
	w.engine.Stop()
	w.engine = w.another()
	w.start()
}

// blueGreen is a configuration without any wait.
func blueGreen() rollout.Config {
	c := rollout.DefaultConfig()
	c.Strategy, c.Steps = rollout.BlueGreen, rollout.AllAtOnce()
	return c
}

// baking is blueGreen with a bake time, in which both revisions run.
func baking(d time.Duration) rollout.Config {
	c := blueGreen()
	c.BakeTime = d
	return c
}

func withHook(c rollout.Config, stage rollout.Stage) rollout.Config {
	c.Hooks = append(c.Hooks, rollout.Hook{
		Hook: "smoke", Stages: []rollout.Stage{stage}, Details: `{"path":"/health"}`, Timeout: time.Hour, TimeoutAction: rollout.OnTimeoutRollback,
	})
	return c
}

func withAlarm(c rollout.Config, name string) rollout.Config {
	c.Alarms = rollout.Alarms{Names: []string{name}, Enable: true, Rollback: true, InitialPolicy: rollout.WaitForInitialAlarm}
	return c
}

func key(name string) store.Key { return store.Key{Cluster: rollout.DefaultCluster, Name: name} }

// create makes a service of two tasks behind two target groups, with its first deployment, "<name>-1", pending. No engine is told.
func (w *world) create(name string, c rollout.Config) {
	w.t.Helper()
	w.ports += 2
	lb := &rollout.LoadBalancer{
		TargetGroup: name + "-a", AlternateTargetGroup: name + "-b", DeregistrationDelay: 10 * time.Second,
		ProductionListener: fmt.Sprintf("127.0.0.1:%d", w.ports), TestListener: fmt.Sprintf("127.0.0.1:%d", w.ports+1),
	}
	w.health.create(lb.TargetGroup, lb.AlternateTargetGroup)
	s := rollout.NewService(nil, rollout.DefaultCluster, name, rollout.Spec{TaskDefinition: "web:1", DesiredCount: 2, Config: c, LoadBalancer: lb})
	w.deploy(s, name+"-1", c)
}

// plain makes a service of two tasks without a load balancer, with its first deployment pending. No engine is told.
func (w *world) plain(name string) {
	w.t.Helper()
	c := rollout.DefaultConfig()
	c.MinimumHealthyTime = time.Second
	w.deploy(rollout.NewService(nil, rollout.DefaultCluster, name, rollout.Spec{TaskDefinition: "web:1", DesiredCount: 2, Config: c}), name+"-1", c)
}

func (w *world) deploy(s rollout.State, id string, c rollout.Config) {
	w.t.Helper()
	cmd, err := rollout.Deploy(s, rollout.DeployRequest{ID: id, TaskDefinition: "web:1", Config: c}, time.Now())
	w.save(cmd, err)
}

// command is a user's: it is saved whatever the engine does, which is not told.
func (w *world) command(name string, decide func(rollout.State) (rollout.Decision, error)) {
	w.t.Helper()
	w.store.set(func(m *memory) { // as the API does, which locks the service
		cmd, err := decide(m.read(key(name)))
		if err != nil {
			w.t.Error(err)
			return
		}
		if !m.write([]store.Change{{Next: cmd.Next, Events: cmd.Events, Ended: cmd.Ended}})[keyOf(cmd.Next)] {
			w.t.Errorf("the command on %s was overtaken", name)
		}
	})
}

func (w *world) save(cmd rollout.Decision, err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
	key := keyOf(cmd.Next)
	w.store.set(func(m *memory) {
		if !m.write([]store.Change{{Next: cmd.Next, Events: cmd.Events, Ended: cmd.Ended}})[key] {
			w.t.Errorf("the command on %v was overtaken", key)
		}
	})
}

// wanted is a user's change of the desired count.
func wanted(n int) func(rollout.State) (rollout.Decision, error) {
	return func(s rollout.State) (rollout.Decision, error) {
		return rollout.UpdateService(s, rollout.Update{DesiredCount: &n}, time.Now())
	}
}

// live creates a service and brings its first deployment to its end.
func (w *world) live(name string, c rollout.Config) {
	w.t.Helper()
	w.create(name, c)
	w.bring(name)
}

// bring brings the service's first deployment to its end.
func (w *world) bring(name string) {
	w.t.Helper()
	w.engine.Wake(key(name))
	w.within(time.Hour, name+" is live", func() bool { return w.deployment(name+"-1").State == rollout.Successful })
	w.within(time.Minute, name+" is steady", func() bool { return w.state(name).Service.Steady })
}

func (w *world) state(name string) rollout.State {
	return get(w.store, func(m *memory) rollout.State { return m.read(key(name)) })
}

func (w *world) deployment(id string) rollout.Deployment {
	return get(w.store, func(m *memory) rollout.Deployment { return m.deployments[id] })
}

func (w *world) generation(service string) int64 {
	cluster, name, _ := strings.Cut(service, "/")
	return get(w.store, func(m *memory) int64 { return m.generations[store.Key{Cluster: cluster, Name: name}] })
}

// happened is the names of a deployment's events, or of those of a service alone.
func (w *world) happened(of string) []string {
	return get(w.store, func(m *memory) []string {
		var names []string
		for _, e := range m.events[of] {
			names = append(names, e.Name)
		}
		return names
	})
}

// waits reports whether a condition with the text is on the service's deployment, or on the service.
func (w *world) waits(name, text string) bool {
	s := w.state(name)
	conditions := s.Service.Conditions
	if s.Deployment != nil {
		conditions = s.Deployment.Conditions
	}
	return slices.ContainsFunc(conditions, func(c rollout.Condition) bool { return strings.Contains(c.Message, text) })
}

// running is the names of the service's tasks that run.
func (w *world) running(name string) []string {
	var names []string
	for _, t := range w.runtime.Tasks() {
		if t.Service == rollout.DefaultCluster+"/"+name && t.State == runtime.Running {
			names = append(names, t.Name)
		}
	}
	slices.Sort(names)
	return names
}

// pass lets time pass.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// within lets time pass, d at most, until the condition holds.
func (w *world) within(d time.Duration, what string, holds func() bool) {
	w.t.Helper()
	for end := time.Now().Add(d); ; pass(10 * time.Millisecond) {
		synctest.Wait()
		if holds() {
			return
		}
		if !time.Now().Before(end) {
			w.t.Fatalf("not within %s: %s", d, what)
		}
	}
}
