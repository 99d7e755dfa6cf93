package invocation

import (
	"reflect"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func drawInvocation(t *rapid.T) Invocation {
	hook, err := NewHook(Hook{
		Name:        "smoke",
		Target:      Target{Kind: GRPC, Address: "localhost:1"},
		MaxAttempts: rapid.IntRange(1, 6).Draw(t, "max attempts"),
	}, Rules{})
	if err != nil {
		t.Fatal(err)
	}
	i, err := New(Spec{
		ID: "d-1/" + strconv.Itoa(rapid.IntRange(0, 9).Draw(t, "id")), Service: "default/web", Deployment: "d-1", Stage: "POST_SCALE_UP",
		Timeout:       time.Duration(rapid.IntRange(1, 600).Draw(t, "timeout")) * time.Second,
		TimeoutAction: rapid.SampledFrom(TimeoutActions()).Draw(t, "action"),
		Contract:      rapid.SampledFrom(Contracts()).Draw(t, "contract"),
	}, hook, epoch)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func drawAnswer(t *rapid.T) Answer {
	a := Answer{
		Status: rapid.SampledFrom([]string{AnswerSucceeded, AnswerFailed, AnswerInProgress, AnswerInProgress, AnswerInProgress, "", "NONSENSE"}).Draw(t, "status"),
	}
	a.Accepted = a.Status == AnswerInProgress && rapid.IntRange(0, 3).Draw(t, "accepted") == 0
	if rapid.Bool().Draw(t, "with delay") {
		delay := time.Duration(rapid.IntRange(-1000, 100_000).Draw(t, "delay ms")) * time.Millisecond
		a.Delay = &delay
	}
	if rapid.Bool().Draw(t, "with details") {
		a.Details = Details{rapid.SampledFrom([]string{"a", "b"}).Draw(t, "key"): rapid.IntRange(0, 9).Draw(t, "value")}
	}
	return a
}

// drawEvent favours the current attempt, and has answers for earlier and foreign ones too.
func drawEvent(t *rapid.T, current int) Event {
	attempt := current
	if rapid.IntRange(0, 3).Draw(t, "foreign") == 0 {
		attempt = rapid.IntRange(0, current+2).Draw(t, "attempt")
	}
	switch rapid.IntRange(0, 12).Draw(t, "event") {
	case 0, 1, 2, 3, 4:
		return Due{}
	case 5, 6:
		return Answered{Attempt: attempt, Answer: drawAnswer(t)}
	case 7, 8:
		return Unanswered{Attempt: attempt, Error: "reset", Final: rapid.IntRange(0, 9).Draw(t, "final") == 0, Begun: rapid.Bool().Draw(t, "begun")}
	case 9:
		return Postponed{Attempt: attempt, Delay: time.Duration(rapid.IntRange(0, 10_000).Draw(t, "postponed ms")) * time.Millisecond, Reason: "open"}
	case 10:
		return Reported{Attempt: attempt, Answer: drawAnswer(t)}
	case 11:
		return Completed{Succeeded: rapid.Bool().Draw(t, "succeeded")}
	default:
		if rapid.IntRange(0, 4).Draw(t, "cancel") == 0 {
			return Cancel{}
		}
		return Due{}
	}
}

// Whatever happens in whatever order, a decision keeps the promises of the package.
func TestDecideKeepsItsPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		i, now := drawInvocation(t), epoch
		for range rapid.IntRange(1, 60).Draw(t, "events") {
			now = now.Add(time.Duration(rapid.IntRange(0, 20_000).Draw(t, "pass ms")) * time.Millisecond)
			e := drawEvent(t, i.Attempt)
			d := Decide(i, e, now)
			if again := Decide(i, e, now); !reflect.DeepEqual(again, d) {
				t.Fatalf("decided twice, differently: %+v, %+v", d, again)
			}
			checkStep(t, i, d, e, now)
			i = d.Next
		}
	})
}

func checkStep(t *rapid.T, i Invocation, d Decision, e Event, now time.Time) {
	next := d.Next
	if i.State.Terminal() && !reflect.DeepEqual(next, i) {
		t.Fatalf("%T changed an ended invocation: %+v -> %+v", e, i, next)
	}
	if next.State != i.State && !allowed(i.State, next.State) {
		t.Fatalf("%T: %s -> %s is not in the table", e, i.State, next.State)
	}
	if ended := next.State.Terminal(); ended != (next.Outcome != NoOutcome) || ended != !next.EndTime.IsZero() || ended != next.WakeAt().IsZero() {
		t.Fatalf("state, outcome, end time and WakeAt disagree: %+v", next)
	}
	if !now.Before(i.Deadline) && !next.State.Terminal() {
		t.Fatalf("%T at the deadline left %s", e, next.State)
	}
	if next.WakeAt().After(next.Deadline) || next.Deadline != i.Deadline {
		t.Fatalf("wakes at %s, after its deadline %s", next.WakeAt(), next.Deadline)
	}
	if next.State == Pending && next.Attempt != 0 || next.State == InProgress && next.Attempt == 0 {
		t.Fatalf("attempt %d in %s", next.Attempt, next.State)
	}
	checkIdentity(t, i, d, e)
	checkContract(t, i, d, e)
	checkIgnored(t, i, d, e, now)
	if next.Failures >= next.Hook.MaxAttempts && next.State != Failed && !next.State.Terminal() {
		t.Fatalf("%d calls in a row without an answer, and still %s", next.Failures, next.State)
	}
}

// An attempt's number grows only by Due, by one, and only when the attempt before is answered or given up; a call is
// made only of the current, open attempt. So no attempt has two identities, and none is skipped.
func checkIdentity(t *rapid.T, i Invocation, d Decision, e Event) {
	_, due := e.(Due)
	switch grown := d.Next.Attempt - i.Attempt; {
	case grown < 0 || grown > 1:
		t.Fatalf("%T: attempt %d -> %d", e, i.Attempt, d.Next.Attempt)
	case grown == 1 && (!due || i.Open || !d.Call):
		t.Fatalf("%T opened attempt %d over %+v", e, d.Next.Attempt, i)
	}
	if d.Call && (!due || !d.Next.Open || d.Next.State != InProgress) {
		t.Fatalf("%T calls %+v", e, d.Next)
	}
	if d.Next.Open && !i.Open && d.Next.Attempt == i.Attempt {
		t.Fatalf("%T opened attempt %d again", e, i.Attempt)
	}
}

// With CodeDeploy's contract only a report succeeds, and a handler that has taken a call is never called again.
func checkContract(t *rapid.T, i Invocation, d Decision, e Event) {
	_, completed := e.(Completed)
	if i.Contract == CodeDeploy && d.Next.State == Succeeded && i.State != Succeeded && !completed {
		t.Fatalf("%T succeeded with %s", e, i.Contract)
	}
	if i.Contract == ECS && completed && d.Ignored == "" {
		t.Fatalf("a report of the other contract was taken: %+v", d)
	}
	if i.awaitsReport() && d.Call {
		t.Fatalf("called again while a report is awaited: %+v", i)
	}
}

// An answer for another attempt, or a second one, changes nothing (but that the deadline may have passed meanwhile).
func checkIgnored(t *rapid.T, i Invocation, d Decision, e Event, now time.Time) {
	single := true
	var attempt int
	switch e := e.(type) {
	case Answered:
		attempt = e.Attempt
	case Unanswered:
		attempt = e.Attempt
	case Reported:
		attempt, single = e.Attempt, false
		if i.Contract == CodeDeploy {
			attempt = 0 // never taken
		}
	default:
		return
	}
	if _, answered := e.(Answered); answered && i.Contract == CodeDeploy && attempt == i.Attempt && d.Next.State.Terminal() {
		return // a call's answer does not count, so it is not late
	}
	if _, none := e.(Unanswered); none && !i.State.Terminal() && !now.Before(i.Deadline) && i.Open && attempt == i.Attempt {
		if d.Ignored != "" {
			t.Fatalf("the end of a call at the deadline was taken for a late answer: %q", d.Ignored)
		}
		return
	}
	late := i.State.Terminal() || !now.Before(i.Deadline) || attempt == 0 || attempt != i.Attempt || single && !i.Open
	if late != (d.Ignored != "") {
		t.Fatalf("%T for attempt %d of %+v: ignored %q", e, attempt, i, d.Ignored)
	}
	if late && now.Before(i.Deadline) && !reflect.DeepEqual(d.Next, i) {
		t.Fatalf("an ignored %T changed %+v to %+v", e, i, d.Next)
	}
}

// However a handler behaves, an invocation that is looked at when it asks to be ends by its deadline.
func TestEveryInvocationEndsByItsDeadline(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		i := drawInvocation(t)
		for steps := 0; !i.State.Terminal(); steps++ {
			if steps > 20_000 {
				t.Fatalf("does not end: %+v", i)
			}
			now := i.WakeAt()
			if i.onItsWay() {
				// The call takes a while, then brings something or nothing.
				now = min2(now.Add(time.Duration(rapid.IntRange(0, 30).Draw(t, "call"))*time.Second), i.Deadline)
				if rapid.Bool().Draw(t, "answers") {
					i = Decide(i, Answered{Attempt: i.Attempt, Answer: drawAnswer(t)}, now).Next
				} else {
					i = Decide(i, Unanswered{Attempt: i.Attempt, Error: "reset"}, now).Next
				}
				continue
			}
			i = Decide(i, Due{}, now).Next
		}
		if i.EndTime.After(i.Deadline) {
			t.Fatalf("ended %s after its deadline", i.EndTime.Sub(i.Deadline))
		}
	})
}

func min2(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
