package rollout

import (
	"encoding/json"
	"fmt"
	"sort"
	"time"
)

// world is a small world that Decide is run against: it does what is desired after a delay, and lets tasks, hooks and
// alarms behave as a test says. It checks the invariants after every decision.
type world struct {
	state    State
	now      time.Time
	tasks    map[string]*worldTask
	calls    map[string]*worldCall
	alarms   map[string]AlarmState
	applied  int64
	drained  map[string]bool
	routes   *Routes
	behave   func(taskSet string, n int) behaviour // of the n-th task of a set
	hook     func(call DesiredInvocation) InvocationFact
	unknown  map[string]bool // sources that cannot be reached
	events   []Event
	ended    []Deployment
	started  int
	problems []string
	trace    []string
	counted  map[string]bool
	sequence map[string]int64
	ids      map[string]Stage
	by       *Deployment // whose decision is checked; nil for the service alone
}

// behaviour is how a task fares. Zero durations mean never, except that Ready counts from the start.
type behaviour struct {
	Ready      time.Duration // from start to healthy
	Exit       time.Duration // from start to exit; 0 never
	ExitAtOnce bool
	Unhealthy  bool          // its checks fail from the beginning
	Sick       time.Duration // from start to checks that fail; 0 never
}

type worldTask struct {
	set     string
	start   time.Time
	behave  behaviour
	listed  bool
	stopped bool
}

func (t *worldTask) sick(now time.Time) bool {
	return t.behave.Unhealthy || t.behave.Sick > 0 && !t.start.Add(t.behave.Sick).After(now)
}

type worldCall struct {
	due  time.Time
	fact InvocationFact
}

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func newWorld(spec Spec) *world {
	return &world{
		state: NewService(nil, "default", "web", spec), now: epoch,
		tasks: map[string]*worldTask{}, calls: map[string]*worldCall{}, alarms: map[string]AlarmState{}, drained: map[string]bool{},
		behave:  func(string, int) behaviour { return behaviour{Ready: time.Second} },
		hook:    func(DesiredInvocation) InvocationFact { return InvocationFact{Status: HookSucceeded, Continue: true} },
		unknown: map[string]bool{}, counted: map[string]bool{}, sequence: map[string]int64{}, ids: map[string]Stage{},
	}
}

func (w *world) deploy(id, taskDefinition string, config Config, supersede bool) error {
	cmd, err := Deploy(w.state, DeployRequest{ID: id, TaskDefinition: taskDefinition, Config: config, Supersede: supersede}, w.now)
	if err == nil {
		w.save(cmd)
	}
	return err
}

// save does what the store does.
func (w *world) save(d Decision) {
	if !d.Changed {
		return
	}
	if d.Next.Service.Generation != w.state.Service.Generation+1 {
		w.fail("generation %d follows %d", d.Next.Service.Generation, w.state.Service.Generation)
	}
	for _, ended := range d.Ended {
		w.ended = append(w.ended, ended.Deployment)
		w.record(ended.Events)
	}
	w.record(d.Events)
	w.state = throughJSON(d.Next)
	if dep := w.state.Deployment; dep != nil && dep.State.Terminal() {
		w.ended = append(w.ended, *dep)
		w.state.Deployment = nil
	}
}

func throughJSON(s State) State {
	var out State
	body, err := json.Marshal(s)
	if err == nil {
		err = json.Unmarshal(body, &out)
	}
	if err != nil {
		panic(err)
	}
	return out
}

func (w *world) record(events []Event) {
	for _, e := range events {
		if e.Sequence != w.sequence[e.Deployment]+1 {
			w.fail("event %d of %q follows %d", e.Sequence, e.Deployment, w.sequence[e.Deployment])
		}
		w.sequence[e.Deployment] = e.Sequence
		if e.Name == EventTaskFailed {
			if w.counted[e.Detail["task"]] {
				w.fail("task %s failed twice", e.Detail["task"])
			}
			w.counted[e.Detail["task"]] = true
		}
		w.trace = append(w.trace, fmt.Sprintf("%8s %-5s %-30s %s", e.Time.Sub(epoch), e.Type, e.Name, e.Reason))
	}
	w.events = append(w.events, events...)
}

func (w *world) fail(format string, args ...any) {
	w.problems = append(w.problems, fmt.Sprintf("%s: ", w.now.Sub(epoch))+fmt.Sprintf(format, args...))
}

func (w *world) healthy(name string) bool {
	t := w.tasks[name]
	if t != nil && w.state.Service.Spec.LoadBalancer == nil { // healthy by running for the minimum healthy time
		return t.listed && !t.stopped && !t.start.Add(time.Second).After(w.now)
	}
	return t != nil && t.listed && !t.stopped && !t.sick(w.now) && !t.start.Add(t.behave.Ready).After(w.now)
}

func (w *world) observe() Observation {
	o := Observation{
		Runtime: RuntimeFacts{Known: !w.unknown["runtime"], Tasks: map[string]TaskFact{}},
		Health:  HealthFacts{Known: !w.unknown["health"], Targets: map[TargetKey]TargetFact{}},
		Traffic: TrafficFacts{Known: !w.unknown["traffic"], Generation: w.applied, Drained: w.drained},
		Hooks:   HookFacts{Known: !w.unknown["hooks"], Invocations: map[string]InvocationFact{}},
		Alarms:  AlarmFacts{Known: !w.unknown["alarms"], States: w.alarms},
	}
	groups := map[string]string{}
	for _, set := range w.state.Service.TaskSets {
		groups[set.ID] = set.TargetGroup
	}
	for name, t := range w.tasks {
		fact := TaskFact{TaskSet: t.set, State: TaskRunning, Endpoints: []Endpoint{{Address: name + ":80"}}}
		if t.stopped {
			fact.State, fact.StopReason = TaskStopped, "exit code 1"
		}
		o.Runtime.Tasks[name] = fact
		target := TargetFact{State: "INITIAL"}
		switch {
		case w.healthy(name):
			target.State = TargetHealthy
		case t.sick(w.now) && !t.start.Add(t.behave.Ready).After(w.now):
			target = TargetFact{TargetUnhealthy, "Health checks failed with these codes: [500]"}
		}
		o.Health.Targets[TargetKey{groups[t.set], name}] = target
	}
	for id, c := range w.calls {
		fact := InvocationFact{Status: HookInProgress}
		if !c.due.After(w.now) {
			fact = c.fact
		}
		o.Hooks.Invocations[id] = fact
	}
	return o
}

// settle decides and converges until nothing changes, and returns when to decide again.
func (w *world) settle() time.Time {
	for i := 0; ; i++ {
		if i > 500 {
			w.fail("no fixpoint")
			return time.Time{}
		}
		w.age()
		before := w.state
		d := Decide(before, w.observe(), w.now)
		w.check(before, d)
		w.save(d)
		moved := w.converge(d.Desired)
		if !d.Changed && !moved {
			return d.WakeAt
		}
	}
}

// age lets tasks exit that are due to.
func (w *world) age() {
	for _, t := range w.tasks {
		exits := t.behave.ExitAtOnce || t.behave.Exit > 0 && !t.start.Add(t.behave.Exit).After(w.now)
		t.stopped = t.stopped || exits
	}
}

// converge does what is desired and reports whether that made a difference.
func (w *world) converge(d Desired) bool {
	moved := false
	listed := map[string]bool{}
	if !w.unknown["runtime"] {
		for _, set := range d.TaskSets {
			for _, name := range set.Tasks {
				listed[name] = true
				if w.tasks[name] == nil {
					w.started++
					w.tasks[name] = &worldTask{set: set.ID, start: w.now, listed: true, behave: w.behave(set.ID, w.started)}
					moved = true
				}
			}
		}
		for name, t := range w.tasks {
			if !listed[name] {
				if t.listed || !t.stopped {
					moved = true
				}
				t.listed, t.stopped = false, true
				delete(w.tasks, name)
			}
		}
	}
	if !w.unknown["traffic"] && d.Routes != nil {
		moved = moved || w.applied < d.Generation
		w.applied, w.routes = d.Generation, d.Routes
		w.drained = map[string]bool{}
		for _, g := range d.Routes.TargetGroups {
			for _, t := range g.Targets {
				w.drained[t.ID] = t.Draining
			}
		}
	}
	if !w.unknown["hooks"] {
		for _, call := range d.Hooks {
			if w.calls[call.ID] == nil {
				w.calls[call.ID] = &worldCall{due: w.now.Add(time.Second), fact: w.hook(call)}
				moved = true
			}
		}
	}
	return moved
}

// next is the earliest moment at which the world changes by itself, or wake.
func (w *world) next(wake time.Time) time.Time {
	var moments []time.Time
	add := func(t time.Time) {
		if t.After(w.now) {
			moments = append(moments, t)
		}
	}
	add(wake)
	for _, t := range w.tasks {
		if !t.stopped {
			add(t.start.Add(t.behave.Ready))
			if t.behave.Sick > 0 {
				add(t.start.Add(t.behave.Sick))
			}
			if t.behave.Exit > 0 {
				add(t.start.Add(t.behave.Exit))
			}
		}
	}
	for _, c := range w.calls {
		add(c.due)
	}
	if len(moments) == 0 {
		return time.Time{}
	}
	sort.Slice(moments, func(i, j int) bool { return moments[i].Before(moments[j]) })
	return moments[0]
}

// run goes on until the deployment has ended, nothing more happens, or the limit is reached.
func (w *world) run(limit time.Duration) {
	end := w.now.Add(limit)
	for w.state.Deployment != nil || len(w.state.Service.Queue) > 0 {
		next := w.next(w.settle())
		if w.state.Deployment == nil && len(w.state.Service.Queue) == 0 || next.IsZero() || next.After(end) {
			break
		}
		w.now = next
	}
	w.settle()
}
