package store

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/migrations/hooks"
	"github.com/slipway-deploy/slipway/platform/postgres"
	"github.com/slipway-deploy/slipway/platform/postgres/postgrestest"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/hooks/internal/invocation"
)

const id = "d-1/POST_SCALE_UP/0/smoke"

func open(t *testing.T) (*Store, *postgres.DB) {
	t.Helper()
	t.Parallel()
	db := postgrestest.New(t, "hooks", hooks.FS)
	return New(db), db
}

func (s *Store) mustRegister(t *testing.T, h invocation.Hook) Hook {
	t.Helper()
	if h.Target.Kind == "" {
		h.Target = invocation.Target{Kind: invocation.GRPC, Address: "localhost:9000"}
	}
	h, err := invocation.NewHook(h, invocation.Rules{})
	if err != nil {
		t.Fatal(err)
	}
	var registered Hook
	err = s.InTx(t.Context(), func(tx pgx.Tx) error {
		registered, err = s.HookPut(t.Context(), tx, h, "", len(h.Target.Secrets) == 0)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return registered
}

func begin(id string) Begin {
	return Begin{
		Generation: 1, Hook: "smoke",
		Spec: invocation.Spec{
			ID: id, Service: "default/web", Deployment: "d-1", Stage: "POST_SCALE_UP", Details: invocation.Details{"suite": "smoke\x00"},
			Execution: invocation.Execution{ServiceARN: "default/web", ProductionTrafficWeights: map[string]float64{"web/2": 0.1}},
			Timeout:   time.Minute,
		},
	}
}

func (s *Store) mustBegin(t *testing.T, b Begin) invocation.Invocation {
	t.Helper()
	i, err := s.InvocationBegin(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func (s *Store) mustClaim(t *testing.T, owner string, lease time.Duration) []Claimed {
	t.Helper()
	calls, _, err := s.InvocationClaim(t.Context(), Claim{Owner: owner, Lease: lease, Limit: 10, Request: request})
	if err != nil {
		t.Fatal(err)
	}
	return calls
}

func (s *Store) mustApply(t *testing.T, e invocation.Event, attempt int, r Reply) invocation.Decision {
	t.Helper()
	var d invocation.Decision
	err := s.InTx(t.Context(), func(tx pgx.Tx) (err error) {
		d, err = s.InvocationApply(t.Context(), tx, id, e, attempt, r)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (s *Store) mustAttempts(t *testing.T) []Attempt {
	t.Helper()
	attempts, err := s.AttemptList(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return attempts
}

func request(i invocation.Invocation) (string, error) {
	return fmt.Sprintf(`{"executionId":%q,"made":%d}`, i.ID, i.Attempt), nil
}

func wantProblem(t *testing.T, err error, kind problem.Kind, reason string) {
	t.Helper()
	p := problem.As(err)
	if p == nil || !errors.Is(err, kind) || p.Reason != reason {
		t.Errorf("%v, want a problem %v %s", err, kind, reason)
	}
}

func TestHookDefinitionsHaveEtags(t *testing.T) {
	s, _ := open(t)
	first := s.mustRegister(t, invocation.Hook{Name: "smoke"})
	if again := s.mustRegister(t, invocation.Hook{Name: "smoke"}); !reflect.DeepEqual(again, first) {
		t.Errorf("the same definition again: %+v, want %+v", again, first)
	}
	second := s.mustRegister(t, invocation.Hook{Name: "smoke", MaxAttempts: 7})
	if second.Etag == first.Etag || second.CreateTime != first.CreateTime {
		t.Errorf("a changed definition: %+v after %+v", second, first)
	}
	put := func(etag string) error {
		return s.InTx(t.Context(), func(tx pgx.Tx) error {
			_, err := s.HookPut(t.Context(), tx, second.Hook, etag, true)
			return err
		})
	}
	wantProblem(t, put(first.Etag), problem.Aborted, ReasonStaleEtag)
	if err := put(second.Etag); err != nil {
		t.Error(err)
	}
	if err := s.InTx(t.Context(), func(tx pgx.Tx) error { return s.HookDelete(t.Context(), tx, "smoke") }); err != nil {
		t.Fatal(err)
	}
	wantProblem(t, put(second.Etag), problem.NotFound, ReasonHookNotFound)
	_, err := s.HookGet(t.Context(), "smoke")
	wantProblem(t, err, problem.NotFound, ReasonHookNotFound)
	if third := s.mustRegister(t, second.Hook); third.Etag == second.Etag {
		t.Error("a hook that was deleted and registered again has its old etag")
	}
}

func TestHooksAreListedByName(t *testing.T) {
	s, _ := open(t)
	for _, name := range []string{"c", "a", "b"} {
		s.mustRegister(t, invocation.Hook{Name: name})
	}
	page, err := s.HookList(t.Context(), "a", 1)
	if err != nil || len(page) != 1 || page[0].Name != "b" {
		t.Errorf("after a: %+v, %v", page, err)
	}
}

func TestAnInvocationComesBackAsItWasBegun(t *testing.T) {
	s, _ := open(t)
	hook := s.mustRegister(t, invocation.Hook{Name: "smoke", MaxAttempts: 7, CallTimeout: 1500 * time.Millisecond})
	b := begin(id)
	i := s.mustBegin(t, b)
	want, err := invocation.New(b.Spec, hook.Hook, i.CreateTime)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprintf("%+v", i), fmt.Sprintf("%+v", want); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got, err := s.InvocationGet(t.Context(), id); err != nil || fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		t.Errorf("read again: %+v, %v", got, err)
	}
}

func TestBeginningTwiceIsBeginningOnce(t *testing.T) {
	s, _ := open(t)
	s.mustRegister(t, invocation.Hook{Name: "smoke"})
	first := s.mustBegin(t, begin(id))
	later := begin(id)
	later.Generation, later.Spec.Timeout, later.Spec.Details = 5, time.Hour, nil
	if again := s.mustBegin(t, later); fmt.Sprint(again) != fmt.Sprint(first) {
		t.Errorf("begun again: %+v", again)
	}
	for field, change := range map[string]func(*Begin){
		"hook":            func(b *Begin) { b.Hook = "load" },
		"service":         func(b *Begin) { b.Spec.Service = "default/api" },
		"deployment":      func(b *Begin) { b.Spec.Deployment = "d-2" },
		"lifecycle_stage": func(b *Begin) { b.Spec.Stage = "PRE_SCALE_UP" },
		"step":            func(b *Begin) { b.Spec.Step = 1 },
	} {
		other := begin(id)
		other.Generation = 5
		change(&other)
		_, err := s.InvocationBegin(t.Context(), other)
		wantProblem(t, err, problem.FailedPrecondition, ReasonRequestIDReused)
		if p := problem.As(err); p == nil || p.Metadata["field"] != field {
			t.Errorf("another %s: %+v", field, p)
		}
	}
	stale := begin(id)
	stale.Generation = 4
	_, err := s.InvocationBegin(t.Context(), stale)
	wantProblem(t, err, problem.Aborted, ReasonStaleGeneration)
	elsewhere := begin("d-2/x")
	elsewhere.Spec.Service = "default/api"
	s.mustBegin(t, elsewhere) // the generation of another service is its own
	unknown := begin("d-3/x")
	unknown.Generation, unknown.Hook = 5, "nobody"
	_, err = s.InvocationBegin(t.Context(), unknown)
	wantProblem(t, err, problem.NotFound, ReasonHookNotFound)
}

func TestConcurrentBeginsMakeOneInvocation(t *testing.T) {
	s, _ := open(t)
	s.mustRegister(t, invocation.Hook{Name: "smoke"})
	errs := make(chan error, 8)
	for range cap(errs) {
		go func() {
			_, err := s.InvocationBegin(context.WithoutCancel(t.Context()), begin(id))
			errs <- err
		}()
	}
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if n := len(s.mustClaim(t, "a", time.Minute)); n != 1 {
		t.Errorf("%d calls, want 1", n)
	}
}

func TestACancelOfAnOlderGenerationIsRefused(t *testing.T) {
	s, _ := open(t)
	s.mustRegister(t, invocation.Hook{Name: "smoke"})
	b := begin(id)
	b.Generation = 3
	s.mustBegin(t, b)
	_, err := s.InvocationCancel(t.Context(), id, 2)
	wantProblem(t, err, problem.Aborted, ReasonStaleGeneration)
	_, err = s.InvocationCancel(t.Context(), "nothing", 3)
	wantProblem(t, err, problem.NotFound, ReasonInvocationNotFound)
	for range 2 {
		i, err := s.InvocationCancel(t.Context(), id, 4)
		if err != nil || i.State != invocation.Canceled || i.Outcome != invocation.Rollback {
			t.Errorf("%+v, %v", i, err)
		}
	}
}

func TestListsAreNewestFirstAndPaged(t *testing.T) {
	s, _ := open(t)
	s.mustRegister(t, invocation.Hook{Name: "smoke"})
	s.mustRegister(t, invocation.Hook{Name: "load"})
	for n := range 6 {
		b := begin(fmt.Sprintf("i-%d", n))
		b.Spec.Deployment = fmt.Sprintf("d-%d", n%2)
		if n >= 4 {
			b.Hook = "load"
		}
		s.mustBegin(t, b)
	}
	ids := func(p Page) (all string) {
		p.Limit = 2
		for {
			page, err := s.InvocationList(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range page {
				all += " " + i.ID
				p.BeforeTime, p.BeforeID = i.CreateTime, i.ID
			}
			if len(page) < p.Limit {
				return all
			}
		}
	}
	for want, p := range map[string]Page{
		" i-5 i-4 i-3 i-2 i-1 i-0": {},
		" i-5 i-3 i-1":             {Deployment: "d-1"},
		" i-5 i-4":                 {Hook: "load"},
		" i-4":                     {Deployment: "d-0", Hook: "load"},
	} {
		if got := ids(p); got != want {
			t.Errorf("%+v: %s, want %s", p, got, want)
		}
	}
}

func TestEndedInvocationsArePruned(t *testing.T) {
	s, db := open(t)
	s.mustRegister(t, invocation.Hook{Name: "smoke"})
	s.mustBegin(t, begin("running"))
	s.mustBegin(t, begin("ended"))
	if _, err := s.InvocationCancel(t.Context(), "ended", 1); err != nil {
		t.Fatal(err)
	}
	if n, err := s.InvocationPrune(t.Context(), time.Hour, 10); n != 0 || err != nil {
		t.Errorf("pruned %d, %v", n, err)
	}
	if _, err := db.Pool.Exec(t.Context(), "UPDATE invocations SET end_time = end_time - interval '2 hours' WHERE id = 'ended'"); err != nil {
		t.Fatal(err)
	}
	if n, err := s.InvocationPrune(t.Context(), time.Hour, 10); n != 1 || err != nil {
		t.Errorf("pruned %d, %v", n, err)
	}
	if _, err := s.InvocationGet(t.Context(), "running"); err != nil {
		t.Error(err)
	}
}
