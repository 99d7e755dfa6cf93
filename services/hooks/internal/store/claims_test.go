package store

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/services/hooks/internal/invocation"
)

func answer(status string) invocation.Answered {
	return invocation.Answered{Attempt: 1, Answer: invocation.Answer{Status: status}}
}

func TestAClaimRecordsTheAttemptBeforeItIsSent(t *testing.T) {
	s, _ := open(t)
	s.mustRegister(t, invocation.Hook{Name: "smoke"})
	s.mustBegin(t, begin(id))
	calls := s.mustClaim(t, "a", time.Minute)
	if len(calls) != 1 || calls[0].Invocation.Attempt != 1 || calls[0].Remaining <= 0 || calls[0].Remaining > time.Minute {
		t.Fatalf("claimed %+v", calls)
	}
	attempts := s.mustAttempts(t)
	if len(attempts) != 1 || attempts[0].Number != 1 || attempts[0].Request != calls[0].Request || !attempts[0].EndTime.IsZero() {
		t.Fatalf("recorded %+v", attempts)
	}
	if more := s.mustClaim(t, "b", time.Minute); len(more) != 0 {
		t.Errorf("claimed twice: %+v", more)
	}
	s.mustApply(t, answer("SUCCEEDED"), 1, Reply{Response: "{}", HookStatus: "SUCCEEDED", Duration: 20 * time.Millisecond})
	got := s.mustAttempts(t)[0]
	if got.HookStatus != "SUCCEEDED" || got.Response != "{}" || got.Duration != 20*time.Millisecond || got.EndTime.Before(got.StartTime) {
		t.Errorf("answered %+v", got)
	}
}

func TestALapsedLeaseBringsTheSameAttemptWithTheSameRequest(t *testing.T) {
	s, db := open(t)
	s.mustRegister(t, invocation.Hook{Name: "smoke"})
	s.mustBegin(t, begin(id))
	first := s.mustClaim(t, "a", time.Minute)[0]
	if err := s.LeaseRenew(t.Context(), "b", time.Hour, []string{id}); err != nil { // not its own
		t.Fatal(err)
	}
	if wait, some, err := s.InvocationNextDue(t.Context(), false); err != nil || !some || wait <= 0 || wait > time.Minute {
		t.Errorf("next due in %s, %t, %v; want the lease's end", wait, some, err)
	}
	if _, err := db.Pool.Exec(t.Context(), "UPDATE invocations SET lease_expire_time = now()"); err != nil {
		t.Fatal(err)
	}
	second := s.mustClaim(t, "b", time.Minute)
	if len(second) != 1 || second[0].Invocation.Attempt != 1 || second[0].Request != first.Request {
		t.Fatalf("claimed again %+v, want attempt 1 with %s", second, first.Request)
	}
	s.mustApply(t, answer("SUCCEEDED"), 1, Reply{HookStatus: "SUCCEEDED"})
	late := s.mustApply(t, answer("FAILED"), 1, Reply{HookStatus: "FAILED", Response: "late"})
	if late.Ignored == "" || late.Next.State != invocation.Succeeded {
		t.Errorf("the second answer: %+v", late)
	}
	attempts := s.mustAttempts(t)
	if len(attempts) != 2 || !attempts[1].Ignored || attempts[1].Response != "late" || !strings.Contains(attempts[1].Error, "has ended") {
		t.Errorf("recorded %+v", attempts)
	}
}

func TestAReleasedLeaseIsDueAtOnce(t *testing.T) {
	s, _ := open(t)
	s.mustRegister(t, invocation.Hook{Name: "smoke"})
	s.mustBegin(t, begin(id))
	s.mustClaim(t, "a", time.Minute)
	if err := s.LeaseRelease(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if again := s.mustClaim(t, "b", time.Minute); len(again) != 1 || again[0].Invocation.Attempt != 1 {
		t.Errorf("claimed %+v", again)
	}
}

func TestALostLeaseIsNotRenewed(t *testing.T) {
	s, db := open(t)
	s.mustRegister(t, invocation.Hook{Name: "smoke"})
	s.mustBegin(t, begin(id))
	s.mustClaim(t, "a", time.Nanosecond)
	s.mustClaim(t, "b", time.Minute)
	if err := s.LeaseRenew(t.Context(), "a", time.Hour, []string{id}); err != nil {
		t.Fatal(err)
	}
	var owner string
	if err := db.Pool.QueryRow(t.Context(), "SELECT lease_owner FROM invocations").Scan(&owner); err != nil || owner != "b" {
		t.Errorf("owner %s, %v", owner, err)
	}
}

func TestConcurrentClaimsShareTheWork(t *testing.T) {
	s, _ := open(t)
	s.mustRegister(t, invocation.Hook{Name: "smoke"})
	const all = 60
	for n := range all {
		b := begin(fmt.Sprintf("i-%d", n))
		b.Spec.Service = fmt.Sprintf("default/s%d", n)
		s.mustBegin(t, b)
	}
	var mu sync.Mutex
	got := map[string]int{}
	var claimers sync.WaitGroup
	for n := range 4 {
		claimers.Go(func() {
			for {
				calls, claimed, err := s.InvocationClaim(t.Context(), Claim{Owner: fmt.Sprint(n), Lease: time.Minute, Limit: 7, Request: request})
				if err != nil || claimed == 0 {
					if err != nil {
						t.Error(err)
					}
					return
				}
				mu.Lock()
				for _, c := range calls {
					got[c.Invocation.ID]++
				}
				mu.Unlock()
			}
		})
	}
	claimers.Wait()
	// A claimer ends when all that is left is locked by another, which then takes it.
	for _, c := range s.mustClaim(t, "last", time.Minute) {
		got[c.Invocation.ID]++
	}
	if len(got) != all {
		t.Errorf("%d of %d claimed", len(got), all)
	}
	for id, times := range got {
		if times != 1 {
			t.Errorf("%s claimed %d times", id, times)
		}
	}
}

func TestAnExpiredInvocationNeedsNoWorker(t *testing.T) {
	s, db := open(t)
	s.mustRegister(t, invocation.Hook{Name: "smoke"})
	s.mustBegin(t, begin("due"))
	s.mustBegin(t, begin("expired"))
	if _, err := db.Pool.Exec(t.Context(), "UPDATE invocations SET deadline_time = now() WHERE id = 'expired'"); err != nil {
		t.Fatal(err)
	}
	calls, claimed, err := s.InvocationClaim(t.Context(), Claim{Owner: "a", Lease: time.Minute, Limit: 10, OnlyExpired: true, Request: request})
	if err != nil || len(calls) != 0 || claimed != 1 {
		t.Errorf("%d calls, %d claimed, %v", len(calls), claimed, err)
	}
	if i, err := s.InvocationGet(t.Context(), "expired"); err != nil || i.State != invocation.TimedOut {
		t.Errorf("%+v, %v", i, err)
	}
	if wait, some, err := s.InvocationNextDue(t.Context(), true); err != nil || !some || wait < 30*time.Second {
		t.Errorf("the next deadline in %s, %t, %v", wait, some, err)
	}
}

func TestADeadlineClosesTheOpenAttempt(t *testing.T) {
	s, db := open(t)
	s.mustRegister(t, invocation.Hook{Name: "smoke"})
	s.mustBegin(t, begin(id))
	s.mustClaim(t, "a", time.Nanosecond)
	if _, err := db.Pool.Exec(t.Context(), "UPDATE invocations SET deadline_time = now()"); err != nil {
		t.Fatal(err)
	}
	if calls := s.mustClaim(t, "b", time.Minute); len(calls) != 0 {
		t.Errorf("called after the deadline: %+v", calls)
	}
	attempts := s.mustAttempts(t)
	if len(attempts) != 1 || attempts[0].EndTime.IsZero() || !strings.Contains(attempts[0].Error, "not ended") {
		t.Errorf("recorded %+v", attempts)
	}
}

func TestOnlyTheNewestAttemptsAndTheFirstIgnoredAnswersAreKept(t *testing.T) {
	s, db := open(t)
	s.mustRegister(t, invocation.Hook{Name: "smoke"})
	s.mustBegin(t, begin(id))
	const more = 5
	for n := 1; n <= KeptAttempts+more; n++ {
		if calls := s.mustClaim(t, "a", time.Minute); len(calls) != 1 || calls[0].Invocation.Attempt != n {
			t.Fatalf("claimed %+v, want attempt %d", calls, n)
		}
		s.mustApply(t, invocation.Answered{Attempt: n, Answer: invocation.Answer{Status: "IN_PROGRESS"}}, n, Reply{HookStatus: "IN_PROGRESS"})
		if n <= KeptIgnored+more {
			s.mustApply(t, invocation.Answered{Attempt: n, Answer: invocation.Answer{Status: "FAILED"}}, n, Reply{HookStatus: "FAILED"})
		}
		if _, err := db.Pool.Exec(t.Context(), "UPDATE invocations SET due_time = now(), next_attempt_time = now()"); err != nil {
			t.Fatal(err)
		}
	}
	kept, ignored := 0, 0
	for _, a := range s.mustAttempts(t) {
		if a.Ignored {
			ignored++
		} else {
			kept++
		}
	}
	if kept != KeptAttempts || ignored != KeptIgnored {
		t.Errorf("%d attempts and %d ignored answers kept", kept, ignored)
	}
}

func TestFollowersHearOfEverySave(t *testing.T) {
	s, _ := open(t)
	s.mustRegister(t, invocation.Hook{Name: "smoke"})
	listening, heard := make(chan struct{}), make(chan string, 10)
	done := make(chan error, 1)
	go func() {
		done <- s.InvocationFollow(t.Context(), func() error { close(listening); return nil }, func(id string) { heard <- id })
	}()
	select {
	case <-listening:
	case err := <-done:
		t.Fatal(err)
	}
	s.mustBegin(t, begin(id))
	wantHeard(t, heard)
	s.mustClaim(t, "a", time.Minute)
	wantHeard(t, heard)
	s.mustApply(t, answer("SUCCEEDED"), 1, Reply{})
	wantHeard(t, heard)
}

func wantHeard(t *testing.T, heard <-chan string) {
	t.Helper()
	select {
	case got := <-heard:
		if got != id {
			t.Errorf("heard of %s", got)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("heard nothing")
	}
}

// A call is signed with the secrets that its hook has now, also when the invocation began before; with those it began with
// when the hook is gone; and an invocation that has ended keeps none.
func TestClaimsHaveTheSecretsOfTheirHook(t *testing.T) {
	s, db := open(t)
	const old, changed = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
	hook := invocation.Hook{Name: "smoke", Target: invocation.Target{Kind: invocation.Webhook, Address: "https://a.example/", Secrets: []string{old}}}
	claimed := func() string {
		t.Helper()
		calls := s.mustClaim(t, "a", time.Nanosecond) // the lease runs out at once
		if len(calls) != 1 {
			t.Fatalf("claimed %d", len(calls))
		}
		return strings.Join(calls[0].Invocation.Hook.Target.Secrets, " ")
	}
	s.mustRegister(t, hook)
	s.mustBegin(t, begin(id))
	if got := claimed(); got != old {
		t.Errorf("signed with %q", got)
	}
	hook.Target.Secrets = []string{changed, old}
	s.mustRegister(t, hook)
	if got := claimed(); got != changed+" "+old {
		t.Errorf("with two secrets signed with %q", got)
	}
	hook.Target.Address, hook.Target.Secrets = "https://b.example/", []string{changed}
	s.mustRegister(t, hook)
	if got := claimed(); got != old {
		t.Errorf("with a hook that leads elsewhere signed with %q", got)
	}
	err := s.InTx(t.Context(), func(tx pgx.Tx) error { return s.HookDelete(t.Context(), tx, "smoke") })
	if got := claimed(); err != nil || got != old {
		t.Errorf("without its hook signed with %q, %v", got, err)
	}
	s.mustApply(t, invocation.Answered{Attempt: 1, Answer: invocation.Answer{Status: "SUCCEEDED"}}, 1, Reply{HookStatus: "SUCCEEDED"})
	var kept int
	if err := db.Pool.QueryRow(t.Context(), `SELECT cardinality(target_secrets) FROM invocations WHERE id = $1`, id).Scan(&kept); err != nil || kept != 0 {
		t.Errorf("%d secrets are kept, %v", kept, err)
	}
}
