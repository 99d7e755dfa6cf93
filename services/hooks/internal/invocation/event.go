package invocation

import (
	"fmt"
	"time"
)

// Event is something that happened to an invocation. The events are the types of this file.
type Event interface {
	apply(d *Decision, now time.Time)
}

// Due says that time has passed and that nobody else has the invocation in hand.
type Due struct{}

// Answered says that the call of an attempt brought an answer.
type Answered struct {
	Attempt int
	Answer  Answer
}

// Unanswered says that the call of an attempt brought none.
type Unanswered struct {
	Attempt int
	Error   string
	Final   bool // calling again cannot help
	Begun   bool // the handler has been reached and may have begun
}

// Postponed says that an attempt was not sent, because its endpoint takes no calls at present.
type Postponed struct {
	Attempt int
	Delay   time.Duration
	Reason  string
}

// Reported says that the result of an attempt was reported from outside.
type Reported struct {
	Attempt int
	Answer  Answer
}

// Completed says that the result of a hook with CodeDeploy's contract was reported.
type Completed struct{ Succeeded bool }

// Cancel says that no one waits for the invocation any more.
type Cancel struct{}

func (Due) apply(d *Decision, now time.Time) {
	i := &d.Next
	if i.State.Terminal() || now.Before(i.NextAttempt) || i.awaitsReport() {
		return
	}
	// An open attempt was recorded and then postponed, or its caller is gone and nobody knows whether the handler saw
	// it: it keeps its identity.
	if !i.Open {
		i.Attempt++
		i.AttemptTime, i.Open = now, true
	}
	i.NextAttempt = time.Time{}
	i.enter(InProgress, fmt.Sprintf("attempt %d is on its way", i.Attempt), now)
	d.Call = true
}

func (e Answered) apply(d *Decision, now time.Time) {
	if d.Next.Contract == CodeDeploy && e.Attempt == d.Next.Attempt && d.Next.State.Terminal() {
		return // it says that the call had arrived; the report was faster
	}
	if d.late(e.Attempt) || d.twice() {
		return
	}
	d.Next.take(e.Answer, now)
}

func (e Reported) apply(d *Decision, now time.Time) {
	if d.Next.Contract == CodeDeploy {
		d.Ignored = "its result is taken from PutLifecycleEventHookExecutionStatus only"
		return
	}
	if d.late(e.Attempt) {
		return
	}
	d.Next.take(e.Answer, now)
}

func (e Unanswered) apply(d *Decision, now time.Time) {
	if d.expired > 0 && e.Attempt == d.expired {
		return // the call was given up because of the deadline: it is how the attempt ended, not a late answer
	}
	if d.late(e.Attempt) || d.twice() {
		return
	}
	i := &d.Next
	i.Open = false
	i.Failures++
	switch {
	case e.Begun && i.Contract == CodeDeploy: // to call again would be to call twice
		i.await(fmt.Sprintf("attempt %d was sent and may have begun; its result is to be reported: %s", i.Attempt, e.Error), now)
	case e.Final:
		i.enter(Failed, fmt.Sprintf("attempt %d: %s", i.Attempt, e.Error), now)
	case i.Failures >= i.Hook.MaxAttempts:
		i.enter(Failed, fmt.Sprintf("attempt %d got no answer, as %d in a row: %s", i.Attempt, i.Failures, e.Error), now)
	default:
		delay := retryDelay(i.ID, i.Attempt, i.Failures)
		i.NextAttempt = now.Add(delay)
		i.enter(InProgress, fmt.Sprintf("attempt %d got no answer; called again after %s: %s", i.Attempt, delay, e.Error), now)
	}
}

func (e Postponed) apply(d *Decision, now time.Time) {
	i := &d.Next
	if i.State.Terminal() || e.Attempt != i.Attempt || !i.onItsWay() {
		return
	}
	// The attempt stays open: it was recorded and has not been sent, so it keeps its number.
	i.NextAttempt = now.Add(max(e.Delay, MinDelay))
	i.enter(InProgress, fmt.Sprintf("attempt %d is postponed: %s", i.Attempt, e.Reason), now)
}

func (e Completed) apply(d *Decision, now time.Time) {
	i := &d.Next
	switch {
	case i.Contract != CodeDeploy:
		d.Ignored = "its result is what the call answers, or ReportHookResult"
	case i.State.Terminal():
		d.Ignored = fmt.Sprintf("the invocation has ended: it is %s", i.State)
	case i.Attempt == 0:
		d.Ignored = "it has not been called yet"
	case e.Succeeded:
		i.enter(Succeeded, "reported Succeeded", now)
	default:
		i.enter(Failed, "reported Failed", now)
	}
}

func (Cancel) apply(d *Decision, now time.Time) {
	if !d.Next.State.Terminal() {
		d.Next.enter(Canceled, "canceled: no deployment waits for it any more", now)
	}
}
