package invocation

import (
	"fmt"
	"strings"
	"time"
)

// Transition is an allowed change of state and what causes it.
type Transition struct {
	From, To State
	Cause    string
}

// Transitions is the table of allowed changes of state: the tests, the README's diagram and enter live from it.
// IN_PROGRESS has no transition to PENDING: an attempt that was recorded stays recorded.
func Transitions() []Transition {
	return []Transition{
		{Pending, InProgress, "the first attempt is recorded"},
		{Pending, TimedOut, "the deadline passes"},
		{Pending, Canceled, "CancelInvocation"},
		{InProgress, InProgress, "to be called again (IN_PROGRESS, no answer, or the endpoint's circuit is open)"},
		{InProgress, Succeeded, "SUCCEEDED"},
		{InProgress, Failed, "FAILED, an unknown status, or no answer max_attempts times in a row"},
		{InProgress, TimedOut, "the deadline passes"},
		{InProgress, Canceled, "CancelInvocation"},
	}
}

func allowed(from, to State) bool {
	for _, t := range Transitions() {
		if t.From == from && t.To == to {
			return true
		}
	}
	return false
}

// enter is the only writer of State. A transition that the table does not have is a defect.
func (i *Invocation) enter(to State, reason string, now time.Time) {
	if !allowed(i.State, to) {
		panic(fmt.Sprintf("invocation: no transition from %s to %s", i.State, to))
	}
	i.State, i.Reason, i.Outcome = to, cut(reason), to.outcome(i.TimeoutAction)
	if to.Terminal() {
		i.Open, i.NextAttempt, i.EndTime = false, time.Time{}, now
	}
}

// Diagram is the table as a mermaid state diagram.
func Diagram() string {
	var b strings.Builder
	b.WriteString("stateDiagram-v2\n    [*] --> PENDING: InvokeHook\n")
	for _, t := range Transitions() {
		fmt.Fprintf(&b, "    %s --> %s: %s\n", t.From, t.To, t.Cause)
	}
	for _, s := range States() {
		if s.Terminal() {
			fmt.Fprintf(&b, "    %s --> [*]\n", s)
		}
	}
	return b.String()
}

// maxReason bounds a reason, in bytes.
const maxReason = 1024

func cut(s string) string {
	if len(s) <= maxReason {
		return s
	}
	return strings.ToValidUTF8(s[:maxReason-3], "") + "..."
}
