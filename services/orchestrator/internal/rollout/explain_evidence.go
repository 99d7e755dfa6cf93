package rollout

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

func (e *explainer) awaited() *TaskSet {
	if e.d.Rollback != nil {
		return e.s.Service.taskSet(e.d.Rollback.Revision.ID)
	}
	return e.s.Service.taskSet(e.d.Target.ID)
}

func (e *explainer) unhealthyTasks(set *TaskSet) []Fact {
	if set == nil {
		return nil
	}
	var list []Fact
	for _, t := range set.Tasks {
		if t.Healthy || t.draining() {
			continue
		}
		list = append(list, e.task(set, t))
	}
	return list
}

func (e *explainer) task(set *TaskSet, t Task) Fact {
	f := Fact{Kind: FactTask, Subject: t.Name, Time: t.CreateTime}
	fact, seen := e.ev.Observation.Runtime.Tasks[t.Name]
	var parts []string
	switch {
	case !e.ev.Observation.Runtime.Known:
		return with(f, "", "the runtime cannot be reached, so nothing is known of it")
	case !seen:
		return with(f, "", "the runtime has not begun to start it")
	case fact.State != TaskRunning:
		f.State = string(fact.State)
		parts = append(parts, nonEmpty(fact.StopReason, "it has not reached RUNNING"))
	default:
		f.State = string(TaskRunning)
	}
	if set.Revision.HasHealthCheck && fact.State == TaskRunning {
		parts = append(parts, "its containers are "+nonEmpty(string(fact.Health), string(ContainersUnknown)))
		if fact.Health != ContainersHealthy {
			f.State = nonEmpty(string(fact.Health), f.State)
		}
	}
	if set.TargetGroup != "" && fact.State == TaskRunning {
		target, known := e.ev.Observation.Health.Targets[TargetKey{set.TargetGroup, t.Name}]
		switch {
		case !e.ev.Observation.Health.Known:
			parts = append(parts, "the healthcheck service cannot be reached")
		case !known:
			parts = append(parts, "its target is not registered in target group "+set.TargetGroup+" yet")
		default:
			parts = append(parts, strings.TrimSuffix("its target in "+set.TargetGroup+" is "+string(target.State)+": "+target.Description, ": "))
			if target.State != TargetHealthy {
				f.State = string(target.State)
			}
		}
	}
	if !set.checked() && fact.State == TaskRunning {
		least := e.d.Config.MinimumHealthyTime
		parts = append(parts, fmt.Sprintf("nothing checks it: it counts as healthy in %s, when it has run for %s",
			left(e.now, t.RunningTime.Add(least)), least))
	}
	return with(f, f.State, strings.Join(parts, "; "))
}

func with(f Fact, state, text string) Fact {
	f.State, f.Text = state, text
	return f
}

func nonEmpty(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

const shownFailures = 5 // the last ones

func (e *explainer) failedTasks() []Fact {
	list := e.happened(EventTaskFailed)
	if e.d.Rollback != nil || len(list) == 0 && e.d.Failures == 0 {
		return nil
	}
	if extra := len(list) - shownFailures; extra > 0 {
		list = list[extra:]
	}
	limit, on := e.d.FailureLimit(e.s.Service.Spec.DesiredCount)
	f := Fact{Kind: FactLimit, Subject: "task failures"}
	if !on {
		f.Text = "failed tasks do not fail the deployment: its circuit breaker is not enabled"
	} else {
		f.State, f.Text = fmt.Sprintf("%d/%d", e.d.Failures, limit), fmt.Sprintf("%s of %d that fail the deployment", tasks(e.d.Failures), limit)
	}
	return append(list, f)
}

func (e *explainer) bakedTasks() []Fact {
	list := e.failedTasks()
	if set := e.s.Service.taskSet(e.d.Target.ID); set != nil {
		live, healthy, _ := set.live()
		list = append(list, Fact{
			Kind: FactRevision, Subject: e.d.Target.ID,
			Text: fmt.Sprintf("%d of %s healthy", healthy, tasks(live)),
		})
	}
	return list
}

func (e *explainer) alarms() []Fact {
	if !e.d.Config.Alarms.Enable {
		return nil
	}
	var list []Fact
	for _, name := range e.d.Config.Alarms.Names {
		state, exists := e.ev.Observation.Alarms.States[name]
		f := Fact{Kind: FactAlarm, Subject: name, State: string(state)}
		more := e.ev.Alarms[name]
		f.Text, f.Time = more.Reason, more.Since
		switch {
		case !e.ev.Observation.Alarms.Known:
			f = Fact{Kind: FactAlarm, Subject: name, Text: "the alarms service cannot be reached"}
		case !exists:
			f.Text = "there is no such alarm"
		case slices.Contains(e.d.Alarms.Ignored, name):
			f.Text = "it counts once it has left ALARM and enters it again. " + f.Text
		}
		list = append(list, f)
	}
	return list
}

func (e *explainer) routes() []Fact {
	t := e.ev.Observation.Traffic
	f := Fact{Kind: FactRoute, Subject: e.s.Service.Key()}
	want := max(e.d.ShiftGeneration, e.s.Service.RoutesGeneration)
	switch {
	case !t.Known:
		return []Fact{with(f, "", "the data plane cannot be reached")}
	case t.Generation < want:
		f.State = fmt.Sprintf("generation %d", t.Generation)
		f.Text = fmt.Sprintf("the data plane serves generation %d, generation %d is wanted", t.Generation, want)
	default:
		f.State, f.Text = fmt.Sprintf("generation %d", t.Generation), "what is wanted is in force"
	}
	if t.Problem != "" {
		f.Text += ": " + t.Problem
	}
	list := []Fact{f}
	for _, w := range e.s.Service.Production {
		list = append(list, Fact{Kind: FactRoute, Subject: w.TargetGroup, Text: percent(w.Share) + " % of production traffic is wanted on it"})
	}
	return list
}

func (e *explainer) draining() []Fact {
	var list []Fact
	listed := map[string]bool{}
	for i := range e.s.Service.TaskSets {
		for _, t := range e.s.Service.TaskSets[i].Tasks {
			listed[t.Name] = true
			if t.draining() {
				text := fmt.Sprintf("requests are in flight; they are cut in %s", left(e.now, t.DrainTime))
				list = append(list, Fact{Kind: FactTask, Subject: t.Name, State: "DRAINING", Text: text})
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(e.ev.Observation.Runtime.Tasks)) {
		if fact := e.ev.Observation.Runtime.Tasks[name]; !listed[name] && fact.State != TaskStopped {
			list = append(list, Fact{Kind: FactTask, Subject: name, State: string(fact.State), Text: "it was told to stop and has not ended"})
		}
	}
	return list
}

func (e *explainer) unreachable() []Fact {
	o := e.ev.Observation
	var list []Fact
	add := func(name string, known bool) {
		if !known {
			list = append(list, Fact{Kind: FactSource, Subject: name, State: "UNREACHABLE", Text: "nothing is heard of it; what was known last stands"})
		}
	}
	add("runtime", o.Runtime.Known)
	if e.s.Service.Spec.LoadBalancer != nil {
		add("healthcheck", o.Health.Known)
		add("data plane", o.Traffic.Known)
	}
	if len(e.d.Config.Hooks) > 0 {
		add("hooks", o.Hooks.Known)
	}
	if e.d.Config.Alarms.Enable {
		add("alarms", o.Alarms.Known)
	}
	for line := range strings.SplitSeq(o.Trouble, "\n") {
		if line != "" {
			list = append(list, Fact{Kind: FactSource, Subject: "writes", Text: line})
		}
	}
	return list
}
