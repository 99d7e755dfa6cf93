package invocation

import (
	"fmt"
	"time"
)

// Decision is what becomes of an invocation.
type Decision struct {
	Next    Invocation
	Call    bool   // attempt Next.Attempt is to be sent, once Next is persisted
	Ignored string // why an answer changed nothing; "" when it counted or there was none

	expired int // the attempt that was open when the deadline ended the invocation, just now
}

// Decide says what becomes of an invocation when an event happens at a time. It is a function: the same arguments
// give the same decision. The deadline comes first: an answer that arrives when it has passed is too late.
func Decide(i Invocation, e Event, now time.Time) Decision {
	d := Decision{Next: i}
	if !i.State.Terminal() && !now.Before(i.Deadline) {
		d.Next.enter(TimedOut, i.timeoutReason(), now)
		if i.Open {
			d.expired = i.Attempt
		}
	}
	e.apply(&d, now)
	return d
}

func (i Invocation) timeoutReason() string {
	then := "the deployment rolls back"
	if i.TimeoutAction == OnTimeoutContinue {
		then = "the deployment goes on"
	}
	return fmt.Sprintf("not ended %s after its creation (%s); %s", i.Timeout, i.Reason, then)
}

// late tells whether an answer belongs to an ended invocation or to another attempt than the current one.
func (d *Decision) late(attempt int) bool {
	switch {
	case d.Next.State.Terminal():
		d.Ignored = fmt.Sprintf("the invocation has ended: it is %s", d.Next.State)
	case attempt == 0 || attempt != d.Next.Attempt:
		d.Ignored = fmt.Sprintf("attempt %d is not the current one, %d", attempt, d.Next.Attempt)
	}
	return d.Ignored != ""
}

// twice tells whether the current attempt has its answer already.
func (d *Decision) twice() bool {
	if !d.Next.Open {
		d.Ignored = fmt.Sprintf("attempt %d has been answered already", d.Next.Attempt)
	}
	return d.Ignored != ""
}
