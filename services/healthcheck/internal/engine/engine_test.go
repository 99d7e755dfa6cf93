package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/migrations/healthcheck"
	"github.com/slipway-deploy/slipway/platform/postgres"
	"github.com/slipway-deploy/slipway/platform/postgres/postgrestest"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/healthcheck/internal/store"
	"github.com/slipway-deploy/slipway/services/healthcheck/internal/verdict"
)

const patience = 30 * time.Second

// bundle is an engine on a real database whose groups are all in checks.
type bundle struct {
	*Engine
	db     *postgres.DB
	checks map[string]verdict.Check
}

func setup(t *testing.T, workers int, checks map[string]verdict.Check) *bundle {
	t.Helper()
	t.Parallel()
	b := &bundle{db: postgrestest.New(t, "healthcheck", healthcheck.FS), checks: checks}
	for name := range checks {
		if _, err := b.db.Pool.Exec(t.Context(), `INSERT INTO target_groups (name, definition, create_time) VALUES ($1, '', now())`, name); err != nil {
			t.Fatal(err)
		}
	}
	b.Engine = b.again(workers)
	t.Cleanup(func() { b.Stop(context.Background()) })
	if err := b.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b
}

// known is a group's targets in memory.
func (b *bundle) known(group string) map[string]store.Target {
	found, _ := b.inMemory(group)
	return found
}

// again is another engine on the same database.
func (b *bundle) again(workers int) *Engine {
	return New(Config{
		Store: store.New(b.db), Log: slog.New(slog.DiscardHandler), Workers: workers,
		Groups: func(context.Context) (map[string]verdict.Check, error) { return b.checks, nil },
	})
}

func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

func check(c verdict.Check) verdict.Check {
	c.UnhealthyThreshold = 2
	return c.WithDefaults()
}

func (b *bundle) register(t *testing.T, targets ...store.Target) {
	t.Helper()
	for i := range targets {
		targets[i].Health = verdict.Registered(now())
	}
	err := b.Commit(t.Context(), func(ctx context.Context, tx pgx.Tx) (func(), error) {
		for _, target := range targets {
			if _, err := b.store.TargetsRegister(t.Context(), tx, target.Group, target.Service, []store.Target{target}, now()); err != nil {
				return nil, err
			}
		}
		return func() { b.Register(targets) }, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (b *bundle) await(t *testing.T, key Key, state verdict.State) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	sub := b.Hub().Subscribe(func(k Key, target store.Target) bool { return k == key && target.Health.State == state })
	defer sub.Close()
	for {
		changes, err := sub.Next(ctx)
		if err != nil {
			t.Fatalf("%v is not %s: %v", key, state, err)
		}
		if len(changes.Set) > 0 {
			return
		}
	}
}

func (b *bundle) inStore(t *testing.T) map[Key]store.Target {
	t.Helper()
	all, err := b.store.TargetsAll(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	found := map[Key]store.Target{}
	for _, target := range all {
		found[Key{target.Group, target.ID}] = target
	}
	return found
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(patience)
	for !f() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("%s: did not come", what)
		}
	}
}

func serve(t *testing.T, f http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// hanging answers nothing until the test ends, and sends on the channel when it is asked.
func hanging(t *testing.T) (address string, asked chan struct{}) {
	t.Helper()
	asked = make(chan struct{}, 10_000)
	return serve(t, func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		select {
		case <-r.Context().Done():
		case <-t.Context().Done():
		}
	}), asked
}

func TestHangingTargetsDelayNoOther(t *testing.T) {
	b := setup(t, 0, map[string]verdict.Check{
		"slow": check(verdict.Check{Interval: time.Minute, Timeout: time.Minute}),
		"good": check(verdict.Check{Interval: 50 * time.Millisecond, Timeout: 50 * time.Millisecond}),
	})
	const slow = 900
	slowAt, asked := hanging(t)
	goodAt := serve(t, func(http.ResponseWriter, *http.Request) {})
	targets := make([]store.Target, slow)
	for i := range targets {
		targets[i] = store.Target{Group: "slow", ID: fmt.Sprint(i), Address: slowAt}
	}
	b.register(t, targets...)
	for range slow {
		select {
		case <-asked:
		case <-time.After(patience):
			t.Fatal("not all slow targets are being checked")
		}
	}
	b.register(t, store.Target{Group: "good", ID: "good", Address: goodAt})
	b.await(t, Key{"good", "good"}, verdict.Healthy)
	for id, target := range b.known("slow") {
		if target.Health.State != verdict.Initial {
			t.Fatalf("%s is %s: the good one was late", id, target.Health.State)
		}
	}
}

func TestTheWheelTurnsWhileEveryWorkerIsBusyAndOverdueChecksAreCounted(t *testing.T) {
	b := setup(t, 1, map[string]verdict.Check{
		"slow": check(verdict.Check{Interval: time.Second, Timeout: time.Second}),
		"good": check(verdict.Check{Interval: 50 * time.Millisecond, Timeout: 50 * time.Millisecond}),
	})
	slowAt, asked := hanging(t)
	b.register(t, store.Target{Group: "slow", ID: "slow", Address: slowAt})
	<-asked // the only worker hangs for a second
	goodAt := serve(t, func(http.ResponseWriter, *http.Request) {})
	b.register(t, store.Target{Group: "good", ID: "1", Address: goodAt}, store.Target{Group: "good", ID: "2", Address: goodAt})
	eventually(t, "the queue to hold what is due", func() bool {
		b.queue.mu.Lock()
		defer b.queue.mu.Unlock()
		return len(b.queue.waiting) == 2
	})
	if b.known("slow")["slow"].Health.CheckTime != (time.Time{}) {
		t.Fatal("the slow check has ended before")
	}
	b.await(t, Key{"good", "1"}, verdict.Healthy)
	b.await(t, Key{"good", "2"}, verdict.Healthy)
	if b.Overdue() < 2 {
		t.Errorf("%d overdue checks were counted, want 2 or more", b.Overdue())
	}
}

func TestARowTheDatabaseRefusesStopsNoOther(t *testing.T) {
	b := setup(t, 0, map[string]verdict.Check{"jobs": check(verdict.Check{Type: verdict.Custom})})
	var targets []store.Target
	for i := range 100 {
		targets = append(targets, store.Target{Group: "jobs", ID: fmt.Sprint(i), Address: "127.0.0.1:1"})
	}
	b.register(t, targets...)
	b.mu.Lock()
	for i, target := range targets {
		description := "fine"
		if i%40 == 0 {
			description = "a\x00b"
		}
		b.set(b.targets[Key{"jobs", target.ID}], verdict.Reported(target.Health, true, description, 0, now()), unsaved)
	}
	b.mu.Unlock()
	eventually(t, "97 targets to be saved as healthy", func() bool {
		saved := 0
		for _, target := range b.inStore(t) {
			if target.Health.State == verdict.Healthy {
				saved++
			}
		}
		return saved == 97
	})
}

func TestStopSavesEverything(t *testing.T) {
	b := setup(t, 0, map[string]verdict.Check{"jobs": check(verdict.Check{Type: verdict.Custom})})
	const count = 3*flushBatch + 1
	targets := make([]store.Target, count)
	for i := range targets {
		targets[i] = store.Target{Group: "jobs", ID: fmt.Sprint(i), Address: "127.0.0.1:1", Health: verdict.Registered(now())}
	}
	err := b.Commit(t.Context(), func(ctx context.Context, tx pgx.Tx) (func(), error) {
		_, err := b.store.TargetsRegister(t.Context(), tx, "jobs", "", targets, now())
		return func() { b.Register(targets) }, err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.lock(t.Context()); err != nil { // nothing is flushed before Stop
		t.Fatal(err)
	}
	b.mu.Lock()
	for _, p := range b.targets {
		b.set(p, verdict.Reported(p.target.Health, false, "down", 0, now()), unsaved)
	}
	b.mu.Unlock()
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		b.Stop(context.Background())
	}()
	b.unlock()
	<-stopped
	for key, target := range b.inStore(t) {
		if target.Health.State != verdict.Unhealthy {
			t.Fatalf("%v is %s in the store", key, target.Health.State)
		}
	}
}

func TestMemoryFollowsTheDatabaseInTheOrderOfCommits(t *testing.T) {
	b := setup(t, 0, map[string]verdict.Check{"jobs": check(verdict.Check{Type: verdict.Custom})})
	target := store.Target{Group: "jobs", ID: "a", Address: "127.0.0.1:1", Health: verdict.Registered(now())}
	entered, release := make(chan struct{}), make(chan struct{})
	first, second := make(chan error, 1), make(chan error, 1)
	go func() {
		first <- b.Commit(t.Context(), func(ctx context.Context, tx pgx.Tx) (func(), error) {
			_, err := b.store.TargetsRegister(t.Context(), tx, "jobs", "", []store.Target{target}, now())
			return func() {
				close(entered)
				<-release // committed, and memory does not have it yet
				b.Register([]store.Target{target})
			}, err
		})
	}()
	<-entered
	began := make(chan struct{}, 1)
	go func() {
		second <- b.Commit(t.Context(), func(ctx context.Context, tx pgx.Tx) (func(), error) {
			began <- struct{}{}
			ids, err := b.store.TargetsRemove(t.Context(), tx, "jobs", "", []string{"a"})
			return func() { b.Remove("jobs", ids) }, err
		})
	}()
	select {
	case <-began:
		t.Error("the second change began before memory had the first")
	case <-time.After(100 * time.Millisecond):
	}
	close(release)
	if err := errors.Join(<-first, <-second); err != nil {
		t.Fatal(err)
	}
	if n := len(b.known("jobs")); n != 0 || len(b.inStore(t)) != 0 {
		t.Errorf("%d targets in memory, %d in the store", n, len(b.inStore(t)))
	}
}

func TestMemoryIsReadAnewWhenTheEndOfACommitIsUnknown(t *testing.T) {
	b := setup(t, 0, map[string]verdict.Check{"jobs": check(verdict.Check{Type: verdict.Custom})})
	b.register(t, store.Target{Group: "jobs", ID: "old", Address: "127.0.0.1:1"})
	if err := b.lock(t.Context()); err != nil {
		t.Fatal(err)
	}
	// As after a commit whose answer was lost: the database is ahead of memory.
	for _, sql := range []string{
		`UPDATE targets SET id = 'new' WHERE id = 'old'`,
		`UPDATE targets SET state = 'HEALTHY', reason = ''`,
	} {
		if _, err := b.db.Pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	b.doubt(true)
	b.unlock()
	b.await(t, Key{"jobs", "new"}, verdict.Healthy)
	if _, ok := b.known("jobs")["old"]; ok {
		t.Error("a target that the database does not have is still there")
	}
}

func TestCheckingGoesOnWithoutTheDatabaseAndSavesAreMadeUpFor(t *testing.T) {
	b := setup(t, 0, map[string]verdict.Check{"web": check(verdict.Check{Interval: 50 * time.Millisecond, Timeout: 50 * time.Millisecond})})
	release := make(chan struct{})
	address := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		select {
		case <-release:
		default:
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	b.register(t, store.Target{Group: "web", ID: "a", Address: address})
	b.await(t, Key{"web", "a"}, verdict.Unhealthy)
	eventually(t, "the state in the store", func() bool { return b.inStore(t)[Key{"web", "a"}].Health.State == verdict.Unhealthy })
	tx, err := b.db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `LOCK TABLE targets IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	close(release)
	b.await(t, Key{"web", "a"}, verdict.Healthy) // published though nothing can be saved
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the state in the store", func() bool { return b.inStore(t)[Key{"web", "a"}].Health.State == verdict.Healthy })
}

// Changes that wait for another are made in one transaction. One that fails, or that nobody waits for any more, stops no other.
func TestChangesThatWaitAreMadeTogether(t *testing.T) {
	b := setup(t, 0, map[string]verdict.Check{"jobs": check(verdict.Check{Type: verdict.Custom})})
	if err := b.lock(t.Context()); err != nil {
		t.Fatal(err)
	}
	const count, fails, leaves = 10, 3, 5
	transactions, ended := make([]int64, count), make([]chan error, count)
	leaving, leave := context.WithCancel(t.Context())
	for i := range count {
		ended[i] = make(chan error, 1)
		ctx := t.Context()
		if i == leaves {
			ctx = leaving
		}
		target := store.Target{Group: "jobs", ID: fmt.Sprint(i), Address: "127.0.0.1:1", Health: verdict.Registered(now())}
		go func() {
			ended[i] <- b.Commit(ctx, func(ctx context.Context, tx pgx.Tx) (func(), error) {
				if err := tx.QueryRow(ctx, `SELECT txid_current()`).Scan(&transactions[i]); err != nil {
					return nil, err
				}
				if _, err := b.store.TargetsRegister(ctx, tx, "jobs", "", []store.Target{target}, now()); err != nil {
					return nil, err
				}
				if i == fails {
					_, err := tx.Exec(ctx, `SELECT 1 / 0`)
					return nil, err
				}
				return func() { b.Register([]store.Target{target}) }, nil
			})
		}()
	}
	eventually(t, "all wait", func() bool {
		b.waiting.mu.Lock()
		defer b.waiting.mu.Unlock()
		return len(b.waiting.list) == count
	})
	leave()
	if err := <-ended[leaves]; !errors.Is(err, problem.Canceled) {
		t.Errorf("who left was told %v", err)
	}
	b.unlock()
	for i := range count {
		if i == leaves {
			continue
		}
		if err := <-ended[i]; (err != nil) != (i == fails) {
			t.Errorf("%d: %v", i, err)
		}
	}
	slices.Sort(transactions)
	if distinct := slices.Compact(transactions); len(distinct) != 2 || distinct[0] != 0 {
		t.Errorf("made in the transactions %v, want one, and none for who left", distinct)
	}
	if memory, stored := len(b.known("jobs")), len(b.inStore(t)); memory != count-2 || stored != count-2 {
		t.Errorf("%d targets in memory and %d in the store, want %d", memory, stored, count-2)
	}
}
