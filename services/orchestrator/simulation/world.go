package simulation

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	runtimefake "github.com/slipway-deploy/slipway/drivers/runtime/fake"
	trafficfake "github.com/slipway-deploy/slipway/drivers/traffic/fake"
	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
)

const (
	serviceName = "default/web"
	faultsCease = 2 * time.Hour // after the beginning, if any are left by then
	longestRun  = 6 * time.Hour
	mostCalls   = 30_000           // of a run; a storm makes some thousands
	settleTime  = 15 * time.Minute // after the last deployment, for the outside to be as it should
	probeEvery  = 5 * time.Second
	// minimumHealthy is how long a task without a load balancer runs before it counts as healthy: longer than news are late, so
	// that one that has exited is known to have.
	minimumHealthy = 20 * time.Second
	alarmPeriod    = 5 * time.Second
	personTakes    = 20 * time.Second // to continue what waits for a person
	limpsAfter     = 8 * time.Second
	sickensAfter   = 70 * time.Second
	diesAfter      = 150 * time.Second
)

// Reply is what a handler of a hook, or the way to it, does with a call.
type Reply struct {
	After   time.Duration
	Attempt int    // that it answers; 0 for the one that was called
	Status  string // a hookStatus; "" when no answer came
}

// Hooks is the core of the hooks service.
type Hooks interface {
	Invoke(generation int64, asked *hookspb.Invocation) (*hookspb.Invocation, error)
	Cancel(generation int64, id string) (*hookspb.Invocation, error)
	Read(f func([]*hookspb.Invocation))
	Close()
}

// TargetGroups is the core of the healthcheck service.
type TargetGroups interface {
	Register(req *healthcheckpb.RegisterTargetsRequest) error
	Deregister(req *healthcheckpb.DeregisterTargetsRequest) error
	Read(f func([]*healthcheckpb.TargetHealth))
	Close()
}

// Alarm is the core of the alarms service, with one alarm.
type Alarm interface {
	Start()
	Read(f func([]*alarmspb.MetricAlarm))
	Close()
}

// Cores makes the cores of the other services. The functions that they are given may be called under their locks.
type Cores struct {
	Hooks        func(handle func(*hookspb.Invocation) []Reply, changed func(*hookspb.Invocation)) Hooks
	TargetGroups func(
		interval time.Duration, probe func(target string) bool, changed func(*healthcheckpb.TargetHealth), removed func(*healthcheckpb.TargetRef),
	) TargetGroups
	Alarm func(name string, period time.Duration, metric func(time.Time) (float64, bool), changed func(*alarmspb.MetricAlarm)) Alarm
}

// Result is what a run came to.
type Result struct {
	Plan       Plan
	Violations []string
	Trace      []string
	Outcome    string        // how everything ended, without what the moment decides
	Faults     map[Fault]int // that were made
	Calls      int           // of processes to the outside
	Saves      int
	Lasted     time.Duration // of virtual time
}

// world is everything outside the processes, and the watch over it.
type world struct {
	plan   Plan
	trace  *trace
	dice   *dice
	ctx    context.Context //nolint:containedctx // of the run
	cancel context.CancelFunc
	budget atomic.Int64
	calls  atomic.Int64
	done   sync.WaitGroup

	database   *database
	leases     *leaseTable
	runtime    *runtimefake.Runtime
	traffic    atomic.Pointer[trafficfake.Fake]
	health     TargetGroups
	healthFeed feed[healthcheckpb.WatchTargetHealthResponse]
	hooks      Hooks
	hookFeed   feed[hookspb.WatchInvocationsResponse]
	alarm      Alarm
	alarmFeed  feed[alarmspb.WatchAlarmsResponse]

	mu        sync.Mutex
	processes []*process // by replica; nil while it is down

	outside  sync.Mutex          // a write to a receiver, with the look before and after it
	highest  map[string]int64    // generation that was carried out, by receiver and service
	tasks    map[string]taskInfo // that were asked for, by name
	healthy  map[string]health   // of targets, by task
	outcomes map[string]string   // of invocations, by id

	still struct { // since when the state is as it is; the user's goroutine's
		generation int64
		since      time.Time
	}
	givenUp map[string]time.Time // invocations that nobody waits for, since when; the user's goroutine's

	ceased  atomic.Bool  // nothing misbehaves any more
	burning atomic.Int64 // until when the metric is bad, whatever is deployed
}

// Run plays a plan. It is called in a bubble of testing/synctest, and every goroutine of it has ended when it returns.
func Run(ctx context.Context, plan Plan, cores Cores) Result {
	w := &world{
		plan: plan, trace: newTrace(), dice: newDice(plan.Seed), processes: make([]*process, plan.Replicas),
		runtime: runtimefake.New(), highest: map[string]int64{}, tasks: map[string]taskInfo{},
		healthy: map[string]health{}, outcomes: map[string]string{}, givenUp: map[string]time.Time{},
	}
	w.ctx, w.cancel = context.WithCancel(ctx)
	w.budget.Store(int64(plan.Budget))
	w.database = newDatabase(w)
	w.newPlane()
	w.health = cores.TargetGroups(
		probeEvery, w.probe,
		func(t *healthcheckpb.TargetHealth) {
			w.heard(t)
			w.healthFeed.say(&healthcheckpb.WatchTargetHealthResponse{Targets: []*healthcheckpb.TargetHealth{t}})
			w.trace.add("health", "%s is %s", t.GetTarget().GetId(), strings.TrimPrefix(t.GetState().String(), "STATE_"))
		},
		func(t *healthcheckpb.TargetRef) {
			w.healthFeed.say(&healthcheckpb.WatchTargetHealthResponse{RemovedTargets: []*healthcheckpb.TargetRef{t}})
		},
	)
	w.hooks = cores.Hooks(w.handle, func(i *hookspb.Invocation) {
		w.ended(i)
		w.hookFeed.say(&hookspb.WatchInvocationsResponse{Invocations: []*hookspb.Invocation{i}})
		w.trace.add("hooks", "%s is %s: %s", i.GetId(), strings.TrimPrefix(i.GetState().String(), "STATE_"), i.GetReason())
	})
	w.alarm = cores.Alarm("errors", alarmPeriod, w.metric, func(a *alarmspb.MetricAlarm) {
		w.alarmFeed.say(&alarmspb.WatchAlarmsResponse{Alarms: []*alarmspb.MetricAlarm{a}})
		w.trace.add("alarms", "%s is %s", a.GetName(), strings.TrimPrefix(a.GetState().String(), "STATE_"))
	})
	for _, d := range plan.Deployments {
		w.trace.add("plan", "%s: %s of %d, tasks: %s (some %t), hooks: %s, alarm: %s, acts: %v",
			d.ID, d.Config.Strategy, plan.Desired, d.Tasks, d.Some, d.Hooks, d.Alarm, d.Acts)
	}
	w.play()
	return w.result()
}

// play lets the run take its course and ends everything.
func (w *world) play() {
	if w.plan.Leases {
		w.leases = newLeaseTable(w)
	}
	w.alarm.Start()
	w.create()
	for i := range w.plan.Replicas {
		w.done.Go(func() { w.boot(i) })
	}
	for n := range w.plan.Forgets {
		w.later(w.dice.between("data plane", 0, 12*time.Minute), func() {
			w.trace.add("traffic", "FAULT starts anew, without any routes (%d)", n+1)
			old := w.plane()
			w.newPlane()
			old.BreakWatches(errUnreachable)
		})
	}
	w.user()
	w.cancel()
	for _, p := range w.reachable() {
		p.die()
	}
	w.health.Close()
	w.hooks.Close()
	w.alarm.Close()
	w.runtime.Close()
	w.done.Wait()
}

func (w *world) plane() *trafficfake.Fake { return w.traffic.Load() }

// newPlane begins a data plane that knows nothing.
func (w *world) newPlane() {
	w.outside.Lock()
	defer w.outside.Unlock()
	plane := trafficfake.New()
	plane.DrainByHand()
	w.traffic.Store(plane)
	w.mu.Lock()
	delete(w.highest, "traffic"+serviceName)
	w.mu.Unlock()
}

func (w *world) result() Result {
	w.trace.mu.Lock()
	defer w.trace.mu.Unlock()
	return Result{
		Plan: w.plan, Violations: slices.Clone(w.trace.violations), Trace: w.trace.lines, Outcome: w.database.outcome(),
		Faults: w.trace.faults, Calls: int(w.calls.Load()), Saves: w.database.saves, Lasted: time.Since(w.trace.began),
	}
}

func (w *world) over() bool { return w.ctx.Err() != nil }

// sleep lets virtual time pass, unless ctx ends before.
func (w *world) sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// later calls f, unless the run is over by then.
func (w *world) later(d time.Duration, f func()) {
	time.AfterFunc(d, func() {
		if !w.over() {
			f()
		}
	})
}
