package invocation

import (
	"fmt"
	"time"
)

// The statuses that a handler may answer (ECS: hookStatus).
const (
	AnswerSucceeded  = "SUCCEEDED"
	AnswerFailed     = "FAILED"
	AnswerInProgress = "IN_PROGRESS"
)

// Answer is what a handler said.
type Answer struct {
	Status  string         // as received; anything but the three known ones fails the invocation
	Delay   *time.Duration // ECS: callBackDelay; nil for the default
	Details Details        // ECS: hookDetails
	Reason  string         // why, for people; an extension
	Broken  string         // why the answer cannot be understood; fails the invocation
	// Accepted says that the handler has taken the attempt and reports later: it is not called again.
	Accepted bool
}

// DefaultDelay is ECS's default for callBackDelay. ECS counts in whole seconds, Slipway takes fractions too.
const (
	DefaultDelay = 30 * time.Second
	MinDelay     = 100 * time.Millisecond // a shorter one is lengthened: a handler must not keep the service busy
	maxDelay     = MaxTimeout             // a longer one comes to the same: the deadline is first
)

// take gives the current attempt an answer. A missing or unknown status fails the invocation (ECS: rollback). With
// CodeDeploy's contract whatever is answered says only that the call has arrived.
func (i *Invocation) take(a Answer, now time.Time) {
	i.Open, i.Failures = false, 0
	switch {
	case i.Contract == CodeDeploy:
		i.await(fmt.Sprintf("attempt %d was taken; its result is to be reported", i.Attempt), now)
	case a.Broken != "":
		i.enter(Failed, fmt.Sprintf("attempt %d: %s", i.Attempt, a.Broken), now)
	case a.Accepted:
		i.accept(a, now)
	case a.Status == AnswerSucceeded:
		i.enter(Succeeded, i.finished(a), now)
	case a.Status == AnswerFailed:
		i.enter(Failed, i.finished(a), now)
	case a.Status == AnswerInProgress:
		i.callBack(a, now)
	case a.Status == "":
		i.enter(Failed, fmt.Sprintf("attempt %d answered without a hookStatus; SUCCEEDED, FAILED or IN_PROGRESS is expected", i.Attempt), now)
	default:
		i.enter(Failed, fmt.Sprintf("attempt %d answered hookStatus %q; SUCCEEDED, FAILED or IN_PROGRESS is expected", i.Attempt, a.Status), now)
	}
}

// await calls nothing more: a report ends the invocation, or the deadline.
func (i *Invocation) await(reason string, now time.Time) {
	i.NextAttempt, i.Failures = time.Time{}, 0
	i.enter(InProgress, reason, now)
}

func (i *Invocation) accept(a Answer, now time.Time) {
	if err := i.carry(a.Details); err != nil {
		i.enter(Failed, fmt.Sprintf("attempt %d: %s", i.Attempt, err), now)
		return
	}
	i.await(fmt.Sprintf("attempt %d was accepted; its result is to be reported", i.Attempt), now)
}

// finished is what a last answer said. What it returned is for the hook's next stage; too much of it is no failure of this
// one.
func (i *Invocation) finished(a Answer) string {
	said := i.said(a)
	if err := i.carry(a.Details); err != nil {
		said += fmt.Sprintf("; what it returned is not carried on: %s", err)
	}
	return said
}

func (i *Invocation) callBack(a Answer, now time.Time) {
	delay := DefaultDelay
	if a.Delay != nil {
		delay = *a.Delay
	}
	if delay < 0 {
		i.enter(Failed, fmt.Sprintf("attempt %d answered callBackDelay %s; it must not be negative", i.Attempt, delay), now)
		return
	}
	if err := i.carry(a.Details); err != nil {
		i.enter(Failed, fmt.Sprintf("attempt %d: %s", i.Attempt, err), now)
		return
	}
	delay = min(max(delay, MinDelay), maxDelay)
	i.NextAttempt = now.Add(delay)
	i.enter(InProgress, i.said(a)+"; called again after "+delay.String(), now)
}

func (i *Invocation) said(a Answer) string {
	said := fmt.Sprintf("attempt %d answered %s", i.Attempt, a.Status)
	if a.Reason != "" {
		said += ": " + a.Reason
	}
	return said
}
