package rollout

import (
	"fmt"
	"strings"
	"time"
)

// Explanation says why a deployment stands where it stands.
type Explanation struct {
	Summary  string
	Waits    []ExplainedWait
	Causes   []Fact // of its failure, oldest first
	Serving  []Fact // production traffic, by service revision
	Revision string // returned to, or being returned to
	Actions  []Action
	Deadline time.Time
}

// ExplainedWait is something that a deployment waits for: on what evidence, and who can end it.
type ExplainedWait struct {
	Condition Condition
	Evidence  []Fact
	Who       string
	Actions   []Action
}

// Fact is one thing that is known.
type Fact struct {
	Kind    FactKind
	Subject string
	State   string // in a word, or ""
	Text    string
	Time    time.Time // zero when that is not known
}

// FactKind is what a fact is about.
type FactKind string

// The kinds of fact.
const (
	FactTask       FactKind = "TASK"
	FactAlarm      FactKind = "ALARM"
	FactHook       FactKind = "HOOK"
	FactPause      FactKind = "PAUSE"
	FactRoute      FactKind = "ROUTE"
	FactSource     FactKind = "SOURCE"
	FactDeployment FactKind = "DEPLOYMENT"
	FactLimit      FactKind = "LIMIT"
	FactRevision   FactKind = "REVISION"
)

// Action is something that a person can do: as a command line, and as a call of the API.
type Action struct {
	Description string
	Command     string
	Method      string // full name; "" when there is none
	Request     string // JSON
}

// Evidence is what is known of the world that bears on a deployment.
type Evidence struct {
	Observation Observation
	Alarms      map[string]AlarmEvidence      // by name
	Invocations map[string]InvocationEvidence // by id
	Events      []Event                       // of the deployment, oldest first
}

// AlarmEvidence is why an alarm is in its state.
type AlarmEvidence struct {
	Reason string
	Since  time.Time
}

// InvocationEvidence is how far an invocation of a hook has come.
type InvocationEvidence struct {
	Attempt int // from 1; 0 before the first
	Next    time.Time
	Since   time.Time
}

// explainer works one explanation out.
type explainer struct {
	s   State
	d   Deployment
	ev  Evidence
	now time.Time
}

// Explain says why the deployment, at work on the service, waiting for its turn or ended, stands where it stands.
func Explain(s State, d Deployment, ev Evidence, now time.Time) Explanation {
	e := &explainer{s, d, ev, now.UTC().Round(0)}
	x := Explanation{Causes: e.causes(), Serving: e.serving()}
	x.Actions = append(e.logs(x.Causes), e.actions()...)
	if d.Rollback != nil {
		x.Revision = d.Rollback.Revision.ID
	}
	if !d.State.Terminal() {
		if d.Rollback == nil {
			x.Deadline = d.Deadline()
		}
		for _, c := range d.Conditions {
			x.Waits = append(x.Waits, e.wait(c))
		}
	}
	x.Summary = e.summary(x)
	return x
}

func (e *explainer) summary(x Explanation) string {
	d := e.d
	what := fmt.Sprintf("Deployment %s of %s to %s", d.ID, e.s.Service.Key(), d.Target.TaskDefinition)
	switch {
	case d.State == Successful && d.RollbackOf != "":
		return fmt.Sprintf("%s rolled %s back: %s is live again.", what, d.RollbackOf, d.Target.ID)
	case d.State == Successful && e.s.Service.Current == d.Target.ID:
		return fmt.Sprintf("%s is SUCCESSFUL: %s is live.", what, d.Target.ID)
	case d.State == Successful:
		return fmt.Sprintf("%s is SUCCESSFUL; a later deployment has taken its place.", what)
	case d.State == RollbackSuccessful:
		to := d.Rollback.Revision
		return fmt.Sprintf("%s was rolled back to %s (%s)%s: %s.", what, to.ID, to.TaskDefinition, e.safe(), strings.TrimSuffix(d.Rollback.Reason, "."))
	case d.State.Terminal():
		return fmt.Sprintf("%s is %s: %s.", what, d.State, strings.TrimSuffix(d.Reason, "."))
	}
	what += fmt.Sprintf(" is %s", d.State)
	if d.Stage != "" {
		what += " at " + string(d.Stage)
	}
	if n := len(d.Config.Steps); d.Step > 0 && n > 1 && d.Stage != "" && d.Rollback == nil {
		what += fmt.Sprintf(", step %d of %d", d.Step, n)
	}
	if d.Rollback != nil {
		what += fmt.Sprintf(", back to %s because %s%s", d.Rollback.Revision.ID, strings.TrimSuffix(d.Rollback.Reason, "."), e.safe())
	}
	if len(x.Waits) == 0 {
		return what + "; nothing holds it up."
	}
	first := x.Waits[0].Condition
	what += "; it waits: " + strings.TrimPrefix(first.Message, "waits for ")
	if n := len(x.Waits) - 1; n > 0 {
		what += fmt.Sprintf(" (and for %d more)", n)
	}
	if !first.Until.IsZero() {
		what += fmt.Sprintf("; in %s %s", left(e.now, first.Until), first.Then)
	}
	return what + "."
}

func (e *explainer) safe() string {
	r := e.d.Rollback
	if r.SafeTime.IsZero() {
		return ""
	}
	return fmt.Sprintf(", with all production traffic on it after %s", rounded(r.SafeTime.Sub(r.StartTime)))
}

// left is how long it is until then.
func left(now, until time.Time) time.Duration { return rounded(max(0, until.Sub(now))) }

// rounded leaves out what nobody reads.
func rounded(d time.Duration) time.Duration {
	if d < 10*time.Second {
		return d.Round(time.Millisecond)
	}
	return d.Round(time.Second)
}

// serving is the service revisions that have healthy tasks where production traffic goes.
func (e *explainer) serving() []Fact {
	s := &e.s.Service
	var list []Fact
	for i := range s.TaskSets {
		set := &s.TaskSets[i]
		share := FullShare
		if set.TargetGroup != "" {
			share = s.share(set.TargetGroup)
		}
		live, healthy, _ := set.live()
		if live == 0 || share == 0 {
			continue
		}
		f := Fact{Kind: FactRevision, Subject: set.Revision.ID, State: string(TargetHealthy)}
		f.Text = fmt.Sprintf("%d of %s healthy (%s)", healthy, tasks(live), set.Revision.TaskDefinition)
		if healthy == 0 {
			f.State = string(TargetUnhealthy)
		}
		if set.TargetGroup != "" {
			f.Text += fmt.Sprintf(", %s %% of production traffic goes to target group %s", percent(share), set.TargetGroup)
		}
		list = append(list, f)
	}
	if len(list) == 0 {
		list = append(list, Fact{Kind: FactRevision, Subject: s.Key(), Text: "nothing serves production traffic"})
	}
	return list
}
