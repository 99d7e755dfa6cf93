package rollout

import (
	"fmt"
	"slices"
	"strings"
)

// wait says of one condition on what evidence it holds, and who can end it.
func (e *explainer) wait(c Condition) ExplainedWait {
	w := ExplainedWait{Condition: c}
	switch c.Type {
	case WaitTasksHealthy:
		e.explainTasks(&w)
	case WaitTaskStart:
		w.Who = "Nobody: the next task starts by itself. A task that keeps failing needs another task definition."
		w.Evidence = e.failedTasks()
		w.Actions = e.logs(w.Evidence)
	case WaitContinue:
		e.explainPause(&w)
	case WaitHook:
		e.explainHook(&w)
	case WaitBakeTime:
		w.Who = "Nobody: it ends by itself. Whoever sees that something is wrong can stop the deployment."
		w.Evidence = append(e.alarms(), e.bakedTasks()...)
	case WaitTraffic:
		w.Who = "Whoever runs the data plane, if it does not come by itself."
		w.Evidence = e.routes()
	case WaitDrain:
		w.Who = "Nobody: the clients end their requests, or the deregistration delay does."
		w.Evidence = e.draining()
	case WaitAlarm:
		e.explainAlarm(&w)
	case WaitService:
		w.Who = "Whoever runs the service that cannot be reached. Nothing that serves is touched meanwhile."
		w.Evidence = e.unreachable()
	case WaitDeadlock:
		e.explainDeadlock(&w)
	case WaitQueue:
		e.explainQueue(&w)
	}
	return w
}

func (e *explainer) explainTasks(w *ExplainedWait) {
	w.Evidence = e.unhealthyTasks(e.awaited())
	delayed := slices.ContainsFunc(e.d.Conditions, func(c Condition) bool { return c.Type == WaitTaskStart })
	switch {
	case e.d.Stage == ReconcileService:
		w.Evidence = e.draining()
	case !delayed: // else they are told there
		w.Evidence = append(w.Evidence, e.failedTasks()...)
	}
	w.Who = "Nobody, when the tasks get healthy by themselves."
	if len(w.Evidence) == 0 {
		w.Who = "Nobody: it follows from what else is waited for."
	}
	w.Actions = e.logs(w.Evidence)
}

// awaited is the task set whose tasks are to become healthy.
// unhealthyTasks says of each task of the set that is not healthy what is known of it.
// failedTasks is the tasks that failed last, and how many more may.
// bakedTasks says how the new revision fares while it bakes.
func (e *explainer) explainHook(w *ExplainedWait) {
	w.Who = "The hook's handler: it must answer SUCCEEDED or FAILED."
	for _, h := range e.d.Hooks {
		if h.Status != HookInProgress {
			continue
		}
		f := Fact{Kind: FactHook, Subject: h.Hook, State: string(h.Status), Text: "it has not been called yet"}
		fact, seen := e.ev.Observation.Hooks.Invocations[h.ID]
		if more, known := e.ev.Invocations[h.ID]; known {
			f.Time, f.Text = more.Since, fmt.Sprintf("attempt %d", more.Attempt)
			if more.Attempt == 0 {
				f.Text = "it is about to be called"
			}
			if fact.Reason != "" {
				f.Text += ": " + fact.Reason
			}
			if more.Next.After(e.now) {
				f.Text += fmt.Sprintf("; it is called again in %s", left(e.now, more.Next))
			}
		}
		if seen {
			f.State = string(fact.Status)
		}
		f.Text += " (" + h.ID + ")"
		w.Evidence = append(w.Evidence, f)
		if h.Index >= 0 && h.Index < len(e.d.Config.Hooks) && e.d.Config.Hooks[h.Index].ReportBack {
			w.Who = "The hook's handler: it was called once and must report (PutLifecycleEventHookExecutionStatus)."
			w.Actions = append(w.Actions, Action{
				Description: "report in its place that it succeeded",
				Method:      "slipway.hooks.v1.LifecycleEventService/PutLifecycleEventHookExecutionStatus",
				Request:     object("deploymentId", e.d.ID, "lifecycleEventHookExecutionId", h.ID, "status", "Succeeded"),
			})
		}
	}
}

func (e *explainer) explainPause(w *ExplainedWait) {
	w.Who = "A person: go on, or roll back."
	waiting := 0
	for _, h := range e.d.Hooks {
		if h.Status == HookAwaitingAction {
			waiting++
		}
	}
	for _, h := range e.d.Hooks {
		if h.Status != HookAwaitingAction || !strings.Contains(w.Condition.Message, "(hook "+h.ID+")") {
			continue
		}
		f := Fact{Kind: FactPause, Subject: h.ID, State: string(h.Status), Text: "nobody has answered"}
		if quorum := max(h.Quorum, 1); quorum > 1 {
			w.Who = fmt.Sprintf("%d people: each must continue it, or one of them rolls back.", quorum)
			f.Text = fmt.Sprintf("%d of %d people have continued it", len(h.Approvers), quorum)
			if len(h.Approvers) > 0 {
				f.Text += ": " + strings.Join(h.Approvers, ", ")
			}
		}
		w.Evidence = append(w.Evidence, f)
		name := ""
		if waiting > 1 {
			name = " --hook-id " + h.ID
		}
		goOn, back := object("deployment", e.d.ID, "hookId", h.ID), object("deployment", e.d.ID, "hookId", h.ID, "action", "ACTION_ROLLBACK")
		w.Actions = append(w.Actions,
			Action{"go on", "slipway continue " + e.d.ID + name, continueMethod, goOn},
			Action{"roll back", "slipway continue " + e.d.ID + name + " --rollback", continueMethod, back})
	}
}

func (e *explainer) explainAlarm(w *ExplainedWait) {
	w.Who = "Whoever can mend what the alarms are about."
	w.Evidence = e.alarms()
	for _, f := range w.Evidence {
		switch f.State {
		case "":
			w.Actions = append(w.Actions, Action{Description: "make alarm " + f.Subject + ", or deploy without it", Command: "slipway apply -f FILE"})
		case string(AlarmInAlarm):
			w.Actions = append(w.Actions, Action{Description: "see what alarm " + f.Subject + " went through", Command: "slipway alarms history " + f.Subject})
		}
	}
	if e.d.State == Pending {
		w.Actions = append(w.Actions, Action{
			Description: "begin in spite of it: stop this deployment and deploy with alarms.initial_alarm_policy WATCH or IGNORE",
		})
	}
}

// alarms says how each alarm stands that the deployment looks at.
// routes says what the data plane serves, and what it should.
// draining lists the tasks that drain, and those that are still stopping.
// unreachable lists the sources of which nothing is known.
func (e *explainer) explainDeadlock(w *ExplainedWait) {
	c, desired := e.d.Config, e.s.Service.Spec.DesiredCount
	more := objectWith("desiredCount", fmt.Sprint(desired+1), "cluster", e.s.Service.Cluster, "name", e.s.Service.Name)
	lower, upper := Envelope(desired, c.MinimumHealthyPercent, c.MaximumPercent)
	w.Who = "A person: it does not end by itself."
	w.Evidence = []Fact{{Kind: FactLimit, Subject: "envelope", State: fmt.Sprintf("%d to %d", lower, upper), Text: fmt.Sprintf(
		"%d %% of %s must stay healthy (%d, rounded up) and %d %% may exist (%d, rounded down): no task may stop or start",
		c.MinimumHealthyPercent, tasks(desired), lower, c.MaximumPercent, upper)}}
	w.Actions = []Action{
		{
			Description: "stop it, then deploy with a lower minimum_healthy_percent or a higher maximum_percent",
			Command:     "slipway stop " + e.d.ID + " --abort", Method: stopMethod, Request: object("deployment", e.d.ID, "stopType", "STOP_TYPE_ABORT"),
		},
		{
			Description: "give it room with another desired count",
			Method:      "slipway.orchestrator.v1.ServiceService/UpdateService",
			Request:     `{"service":` + more + `}`,
		},
	}
}

func (e *explainer) explainQueue(w *ExplainedWait) {
	w.Who = "The deployments before it: it begins when they have ended."
	if at := e.s.Deployment; at != nil {
		f := Fact{Kind: FactDeployment, Subject: at.ID, State: string(at.State), Text: "at work on " + at.Target.TaskDefinition, Time: at.StartTime}
		for _, c := range at.Conditions[:min(1, len(at.Conditions))] {
			f.Text += "; it waits: " + c.Message
		}
		w.Evidence = append(w.Evidence, f)
		w.Actions = append(w.Actions, Action{Description: "see what that one waits for", Command: "slipway why " + at.ID})
	}
	for _, q := range e.s.Service.Queue {
		if q.ID == e.d.ID {
			break
		}
		w.Evidence = append(w.Evidence, Fact{Kind: FactDeployment, Subject: q.ID, State: string(q.State), Text: "waits before it", Time: q.CreateTime})
	}
}
