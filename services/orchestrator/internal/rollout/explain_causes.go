package rollout

import (
	"fmt"
	"slices"
	"strings"
)

const (
	continueMethod = "slipway.orchestrator.v1.DeploymentService/ContinueDeployment"
	stopMethod     = "slipway.orchestrator.v1.DeploymentService/StopDeployment"
)

// happened is the deployment's events of the names, as facts.
func (e *explainer) happened(names ...string) []Fact {
	var list []Fact
	for _, event := range e.ev.Events {
		if slices.Contains(names, event.Name) {
			list = append(list, factOf(event))
		}
	}
	return list
}

func factOf(event Event) Fact {
	f := Fact{Kind: FactDeployment, Subject: event.Deployment, Text: event.Reason, Time: event.Time}
	switch event.Name {
	case EventTaskFailed:
		f.Kind, f.Subject, f.State = FactTask, event.Detail["task"], "FAILED"
		f.Text = strings.TrimPrefix(f.Text, "task "+f.Subject+" ")
	case EventHookFailed, EventHookTimedOut:
		f.Kind, f.Subject, f.State = FactHook, event.Detail["hookId"], strings.TrimPrefix(event.Name, "HOOK_")
	case EventDeploymentFailed:
		f.State = "FAILED"
	case EventDeploymentStopped:
		f.State = string(Stopped)
	case EventTrafficShifted:
		f.Kind = FactRoute
	case EventTaskStartImpaired:
		f.Kind, f.Subject, f.State = FactTask, event.Detail["taskSet"], "IMPAIRED"
	case EventRollbackRequested:
		f.State = string(RollbackRequested)
	case EventStopRequested:
		f.State = string(StopRequested)
	case EventDeploymentInProgress:
		f.State = string(RollbackInProgress)
	case EventDeploymentCompleted:
		f.State = string(RollbackSuccessful)
	}
	return f
}

// causes is the chain of what led to the deployment's end, or to its rollback: what failed, what was decided, what was done.
// Empty while nothing went wrong.
func (e *explainer) causes() []Fact {
	wrong := e.d.State.Terminal() && e.d.State != Successful || e.d.Rollback != nil || e.d.State == RollbackRequested || e.d.State == StopRequested
	if !wrong {
		return nil
	}
	var list []Fact
	failed := 0
	for _, event := range slices.Backward(e.ev.Events) {
		back := event.Detail["rollback"] == "true" || event.Detail["rollbackOf"] != ""
		switch event.Name {
		case EventTaskFailed:
			if failed++; failed > shownFailures {
				continue
			}
		case EventHookFailed, EventHookTimedOut, EventDeploymentFailed, EventDeploymentStopped, EventRollbackRequested,
			EventStopRequested, EventDeadlock, EventTaskStartImpaired:
		case EventTrafficShifted, EventDeploymentInProgress, EventDeploymentCompleted:
			if !back {
				continue
			}
		default:
			continue
		}
		list = append(list, factOf(event))
	}
	slices.Reverse(list)
	if extra := failed - shownFailures; extra > 0 {
		more := Fact{Kind: FactTask, Subject: e.d.Target.ID, State: "FAILED", Text: tasks(extra) + " failed before those that follow"}
		list = slices.Insert(list, 0, more)
	}
	return e.withAlarms(list)
}

// withAlarms says of the alarms that tripped why they did, before what was decided because of them.
func (e *explainer) withAlarms(list []Fact) []Fact {
	at := slices.IndexFunc(list, func(f Fact) bool { return f.Kind == FactDeployment && f.State == "FAILED" })
	if at < 0 {
		at = len(list)
	}
	var alarms []Fact
	for _, name := range e.d.Alarms.Triggered {
		state, now := e.ev.Observation.Alarms.States[name], e.ev.Alarms[name]
		f := Fact{Kind: FactAlarm, Subject: name, State: string(AlarmInAlarm), Text: "it went to ALARM"}
		switch {
		case state == AlarmInAlarm && (at == len(list) || !now.Since.After(list[at].Time)):
			f.Text, f.Time = nonEmpty(now.Reason, f.Text), now.Since
		case state != "":
			f.Text += fmt.Sprintf("; it is %s now", state)
		}
		alarms = append(alarms, f)
	}
	return slices.Insert(list, at, alarms...)
}

// logs is how to read what the first of the failing tasks wrote.
func (e *explainer) logs(list []Fact) []Action {
	for _, f := range slices.Backward(list) {
		if f.Kind == FactTask && f.Subject != "" && f.State != "" {
			return []Action{{
				Description: "see what the task wrote", Command: "slipway logs " + f.Subject,
				Method: "slipway.orchestrator.v1.TaskService/GetLogs", Request: object("task", f.Subject),
			}}
		}
	}
	return nil
}

// actions is what people can do about the deployment as a whole.
func (e *explainer) actions() []Action {
	d := e.d
	stop := func(what, flag, kind string) Action {
		return Action{what, "slipway stop " + d.ID + flag, stopMethod, object("deployment", d.ID, "stopType", "STOP_TYPE_"+kind)}
	}
	switch {
	case d.State.Terminal():
		return e.after()
	case e.s.Service.Waits(d.ID):
		return []Action{stop("take it out of the queue", "", "ROLLBACK")}
	case d.Rollback != nil:
		return nil // it goes on to its end
	case d.State == RollbackRequested || d.State == StopRequested:
		return nil
	case d.Stage == CleanUp:
		return []Action{stop("leave everything as it is", " --abort", "ABORT")}
	}
	back, _ := rollbackTarget(State{Service: e.s.Service, Deployment: &d})
	what := "roll back to " + back
	if back == "" {
		what = "stop it where it is: there is nothing to return to"
	}
	return []Action{stop(what, "", "ROLLBACK"), stop("leave everything as it is", " --abort", "ABORT")}
}

// after is what can be done when a deployment has ended without success.
func (e *explainer) after() []Action {
	d, s := e.d, &e.s.Service
	if d.State == Successful || s.Phase != Active {
		return nil
	}
	if at := e.s.Deployment; at != nil && at.ID != d.ID {
		return []Action{{Description: "another deployment is at work: see what it waits for", Command: "slipway why " + at.ID}}
	}
	var list []Action
	deploy := func(what, definition string) {
		cluster := ""
		if s.Cluster != DefaultCluster {
			cluster = " --cluster " + s.Cluster
		}
		list = append(list, Action{
			what, "slipway deploy " + s.Name + " --task-definition " + definition + cluster,
			"slipway.orchestrator.v1.DeploymentService/CreateDeployment", object("cluster", s.Cluster, "service", s.Name, "taskDefinition", definition),
		})
	}
	if c := s.Completed; c != nil && (d.State == Stopped || d.State == RollbackFailed) && c.Revision.TaskDefinition != d.Target.TaskDefinition {
		deploy("return to what was live", c.Revision.TaskDefinition)
	}
	deploy("try again when what failed is mended", d.Target.TaskDefinition)
	return list
}

// object is a JSON object of strings, by name and value.
func object(pairs ...string) string {
	var parts []string
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			parts = append(parts, fmt.Sprintf("%q:%q", pairs[i], pairs[i+1]))
		}
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// objectWith is an object with a number before its strings.
func objectWith(name, number string, pairs ...string) string {
	return fmt.Sprintf("{%q:%s,", name, number) + strings.TrimPrefix(object(pairs...), "{")
}
