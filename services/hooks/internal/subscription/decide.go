package subscription

import (
	"fmt"
	"time"
)

// Outcome is what one attempt brought.
type Outcome struct {
	Delivered bool
	Final     bool          // it failed, and trying again cannot help
	Postponed bool          // it was not made: the endpoint's circuit is open
	After     time.Duration // when it was postponed, or what the target asked for; 0 for none
	Reason    string        // why it failed
}

// Progress is how far a delivery is.
type Progress struct {
	Attempts int       // made so far, this one not counted
	Expire   time.Time // when it is given up
}

// State is where a delivery stands.
type State string

// The states of a delivery.
const (
	Pending    State = "PENDING"
	Delivered  State = "DELIVERED"
	DeadLetter State = "DEAD_LETTER"
)

// States lists every state of a delivery.
func States() []State { return []State{Pending, Delivered, DeadLetter} }

// Verdict is what becomes of a delivery.
type Verdict struct {
	State    State
	Attempts int
	Reason   string
	Next     time.Time // of the next attempt, when it is pending
}

// Backoff is the pause before an attempt is made again: First, doubled with each attempt, at most Last.
type Backoff struct{ First, Last time.Duration }

// maxAsked bounds how long a target may ask not to be called.
const maxAsked = time.Hour

// Decide says what becomes of a delivery after an attempt. jitter, from 0 to 1, takes up to half of the pause away, so
// that those who failed together do not come back together. The last attempt is made when the event's age runs out.
func Decide(s Subscription, p Progress, o Outcome, b Backoff, now time.Time, jitter float64) Verdict {
	if o.Postponed {
		if !now.Before(p.Expire) {
			return Verdict{State: DeadLetter, Attempts: p.Attempts, Reason: tooOld(s, o.Reason)}
		}
		return Verdict{State: Pending, Attempts: p.Attempts, Reason: o.Reason, Next: earlier(now.Add(o.After), p.Expire)}
	}
	attempts := p.Attempts + 1
	switch {
	case o.Delivered:
		return Verdict{State: Delivered, Attempts: attempts}
	case o.Final:
		return Verdict{State: DeadLetter, Attempts: attempts, Reason: o.Reason}
	case attempts > s.MaximumRetries:
		return Verdict{State: DeadLetter, Attempts: attempts, Reason: fmt.Sprintf("given up after %d retries: %s", s.MaximumRetries, o.Reason)}
	case !now.Before(p.Expire):
		return Verdict{State: DeadLetter, Attempts: attempts, Reason: tooOld(s, o.Reason)}
	}
	pause := max(b.pause(attempts, jitter), min(o.After, maxAsked))
	return Verdict{State: Pending, Attempts: attempts, Reason: o.Reason, Next: earlier(now.Add(pause), p.Expire)}
}

// Expired is the verdict over a delivery that was never sent in its time.
func Expired(s Subscription, p Progress) Verdict {
	return Verdict{State: DeadLetter, Attempts: p.Attempts, Reason: tooOld(s, "its turn did not come")}
}

func tooOld(s Subscription, reason string) string {
	return fmt.Sprintf("given up after %s: %s", s.MaximumAge, reason)
}

func (b Backoff) pause(attempts int, jitter float64) time.Duration {
	pause := b.First
	for n := 1; n < attempts && pause < b.Last; n++ {
		pause *= 2
	}
	pause = min(pause, b.Last)
	return pause - time.Duration(min(max(jitter, 0), 1)*float64(pause)/2)
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
