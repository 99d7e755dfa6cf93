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
}

// DefaultDelay is ECS's default for callBackDelay. ECS counts in whole seconds, Slipway takes fractions too.
const (
	DefaultDelay = 30 * time.Second
	MinDelay     = 100 * time.Millisecond // a shorter one is lengthened: a handler must not keep the service busy
	maxDelay     = MaxTimeout             // a longer one comes to the same: the deadline is first
)

// take gives the current attempt an answer. A missing or unknown status fails the invocation (ECS: rollback).
func (i *Invocation) take(a Answer, now time.Time) {
	i.Open, i.Failures = false, 0
	switch {
	case a.Broken != "":
		i.enter(Failed, fmt.Sprintf("attempt %d: %s", i.Attempt, a.Broken), now)
	case a.Status == AnswerSucceeded:
		i.enter(Succeeded, i.said(a), now)
	case a.Status == AnswerFailed:
		i.enter(Failed, i.said(a), now)
	case a.Status == AnswerInProgress:
		i.callBack(a, now)
	case a.Status == "":
		i.enter(Failed, fmt.Sprintf("attempt %d answered without a hookStatus; SUCCEEDED, FAILED or IN_PROGRESS is expected", i.Attempt), now)
	default:
		i.enter(Failed, fmt.Sprintf("attempt %d answered hookStatus %q; SUCCEEDED, FAILED or IN_PROGRESS is expected", i.Attempt, a.Status), now)
	}
}

func (i *Invocation) callBack(a Answer, now time.Time) {
	merged, err := i.Details.Merge(a.Details)
	if err != nil {
		i.enter(Failed, fmt.Sprintf("attempt %d: %s", i.Attempt, err), now)
		return
	}
	delay := DefaultDelay
	if a.Delay != nil {
		delay = *a.Delay
	}
	if delay < 0 {
		i.enter(Failed, fmt.Sprintf("attempt %d answered callBackDelay %s; it must not be negative", i.Attempt, delay), now)
		return
	}
	delay = min(max(delay, MinDelay), maxDelay)
	i.Details = merged
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
