package simulation

import (
	"context"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	runtimefake "github.com/slipway-deploy/slipway/drivers/runtime/fake"
	"github.com/slipway-deploy/slipway/drivers/traffic"
	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
)

// deploymentOf is the plan's deployment that a task definition ("web:<deployment>") belongs to. What users deploy on their own is good.
func (w *world) deploymentOf(definition string) Deployment {
	id := strings.TrimPrefix(definition, "web:")
	for _, d := range w.plan.Deployments {
		if d.ID == id {
			return d
		}
	}
	return Deployment{ID: id, Tasks: Good, Hooks: Succeeds, Alarm: Quiet}
}

// script gives the tasks of a deployment what they have in common.
func (w *world) script(d Deployment) {
	b := runtimefake.Behavior{RunAfter: time.Duration(100+hash(w.plan.Seed, d.ID+" run after", 0)%3000) * time.Millisecond, StopAfter: time.Second}
	if d.Tasks == Slow {
		b.RunAfter *= 15
	}
	if d.Tasks == NoStart && !d.Some && !w.ceased.Load() {
		b.FailToStart = "the image does not exist"
	}
	w.runtime.Script("web:"+d.ID, b)
}

func (w *world) ensureTaskSet(by string, generation int64, set runtime.TaskSet) error {
	w.outside.Lock()
	defer w.outside.Unlock()
	w.script(w.deploymentOf(set.TaskDefinition))
	check := w.stops(set.Service, set.ID, set.Tasks)
	err := w.runtime.EnsureTaskSet(context.Background(), generation, set)
	if err != nil {
		return w.wroteOf(by, "runtime", set.Service, generation, "runs "+set.ID, err)
	}
	check()
	for _, name := range set.Tasks {
		if !w.begins(name, set.TaskDefinition) {
			continue
		}
		exit := time.Duration(0)
		switch w.moodOf(name) {
		case ExitsSoon:
			exit = 200 * time.Millisecond
		case Limps:
			exit = limpsAfter
		case DiesLate:
			exit = diesAfter
		}
		if exit > 0 {
			w.exitAfter(name, exit)
		}
	}
	return w.wroteOf(by, "runtime", set.Service, generation, "runs "+set.ID+": "+strings.Join(set.Tasks, " "), nil)
}

// exitAfter ends a task so long after it began to run.
func (w *world) exitAfter(name string, d time.Duration) {
	w.later(time.Second, func() {
		switch task := w.runtime.Tasks()[name]; {
		case w.ceased.Load() || task.State == runtime.Stopped || task.State == runtime.Stopping || task.Name == "":
		case task.State == runtime.Pending:
			w.exitAfter(name, d)
		default:
			w.later(max(d-time.Since(task.RunningTime), 0), func() {
				if !w.ceased.Load() && w.runtime.Exit(name, 1) {
					w.trace.add("runtime", "%s exits", name)
				}
			})
		}
	})
}

func (w *world) deleteTaskSet(by string, generation int64, service, id string) error {
	w.outside.Lock()
	defer w.outside.Unlock()
	check := w.stops(service, id, nil)
	err := w.runtime.DeleteTaskSet(context.Background(), generation, service, id)
	if err == nil {
		check()
	}
	return w.wroteOf(by, "runtime", service, generation, "deletes "+id, err)
}

// cutOff reports whether the data plane cannot be reached at present.
func (w *world) cutOff() bool {
	const every = 3 * time.Minute
	offset := time.Duration(hash(w.plan.Seed, "cut off", 0) % uint64(every))
	return !w.ceased.Load() && (time.Since(w.trace.began)+offset)%every < w.plan.CutOff
}

func (w *world) apply(by string, generation int64, routes traffic.Routes) error {
	w.outside.Lock()
	defer w.outside.Unlock()
	before, was := w.plane().Routes(routes.Service)
	if err := w.plane().Apply(context.Background(), generation, routes); err != nil {
		return w.wroteOf(by, "traffic", routes.Service, generation, "routes", err)
	}
	if was {
		w.checkRoutes(before.Routes, routes)
	}
	for _, group := range routes.TargetGroups {
		for _, t := range group.Targets {
			if t.Draining {
				w.later(time.Duration(hash(w.plan.Seed, t.ID+" drains", 0)%15_000)*time.Millisecond, func() { w.plane().DrainTarget(routes.Service, t.ID) })
			}
		}
	}
	return w.wroteOf(by, "traffic", routes.Service, generation, "routes "+sharesOf(routes), nil)
}

// fenced is what a write says of itself.
type fenced interface {
	proto.Message
	GetService() string
	GetGeneration() int64
}

func (w *world) wrote(by, receiver string, req fenced, do func() error) error {
	w.outside.Lock()
	defer w.outside.Unlock()
	return w.wroteOf(by, receiver, req.GetService(), req.GetGeneration(), string(req.ProtoReflect().Descriptor().Name()), do())
}

// wroteOf records a write that arrived, and checks that no older generation came through. It returns err.
func (w *world) wroteOf(by, receiver, service string, generation int64, what string, err error) error {
	if err != nil {
		w.trace.add(receiver, "refuses generation %d of %s: %s: %v", generation, by, what, err)
		return err
	}
	w.trace.add(receiver, "%s (generation %d of %s)", what, generation, by)
	w.mu.Lock()
	defer w.mu.Unlock()
	if highest := w.highest[receiver+service]; generation < highest {
		w.trace.violated("8 fencing", "%s carried out generation %d of %s after %d", receiver, generation, by, highest)
	}
	w.highest[receiver+service] = max(w.highest[receiver+service], generation)
	return nil
}

// begins notes that a task was asked for and reports whether that is new.
func (w *world) begins(name, definition string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, known := w.tasks[name]; known {
		return false
	}
	w.tasks[name] = taskInfo{definition: definition, asked: time.Now()}
	return true
}

type taskInfo struct {
	definition string
	asked      time.Time
}

func (w *world) moodOf(name string) Mood {
	w.mu.Lock()
	info := w.tasks[name]
	w.mu.Unlock()
	d := w.deploymentOf(info.definition)
	if w.ceased.Load() || d.Some && hash(w.plan.Seed, name+" mood", 0)%2 == 0 {
		return Good
	}
	return d.Tasks
}

// probe is what a probe of a task finds.
func (w *world) probe(name string) bool {
	task := w.runtime.Tasks()[name]
	if task.State != runtime.Running {
		return false
	}
	up := time.Since(task.RunningTime)
	switch w.moodOf(name) {
	case Hangs:
		return false
	case Sickens:
		if up > sickensAfter {
			return false
		}
	}
	return up >= time.Duration(1000+hash(w.plan.Seed, name+" ready", 0)%8000)*time.Millisecond
}

// handle is what becomes of a call of a hook.
func (w *world) handle(call *hookspb.Invocation) []Reply {
	mood := w.deploymentOf("web:" + call.GetDeployment()).Hooks
	if w.ceased.Load() {
		mood = Succeeds
	}
	const ok, bad, again = "SUCCEEDED", "FAILED", "IN_PROGRESS"
	first := call.GetAttempt() == 1
	switch mood {
	case Fails:
		return []Reply{{After: time.Second, Status: bad}}
	case AsksTwice:
		if call.GetAttempt() < 3 {
			return []Reply{{After: time.Second, Status: again}}
		}
	case Silent:
		return nil
	case AnswersTwice:
		return []Reply{{After: time.Second, Status: ok}, {After: 2 * time.Second, Status: bad}}
	case AnswersLate:
		if first {
			return []Reply{{After: 8 * time.Second, Status: bad}}
		}
		return []Reply{{After: 4 * time.Second, Status: ok}}
	case OtherAttempt:
		return []Reply{{After: time.Second, Status: bad, Attempt: int(call.GetAttempt()) + 1}, {After: 2 * time.Second, Status: ok}}
	case Errors:
		if call.GetAttempt() < 3 {
			return []Reply{{After: 200 * time.Millisecond}}
		}
	}
	return []Reply{{After: time.Second, Status: ok}}
}

// metric is the errors of a period.
func (w *world) metric(period time.Time) (float64, bool) {
	if time.Now().Before(time.Unix(0, w.burning.Load())) {
		return 10, true
	}
	id, stage, back := w.database.at()
	d := w.deploymentOf("web:" + id)
	switch {
	case w.ceased.Load() || id == "":
	case d.Alarm == NoData:
		return 0, false
	case d.Alarm == BurnsAtBake && stage == rollout.BakeTime && !back:
		return 10, true
	case d.Alarm == Flaps && (stage == rollout.ProductionTrafficShift || stage == rollout.PostProductionTrafficShift || stage == rollout.BakeTime):
		return float64(hash(w.plan.Seed, "flap", int(period.Unix()))%2) * 10, true
	}
	return 0, true
}
