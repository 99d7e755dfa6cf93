package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/platform/lease"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/healthcheck/internal/store"
	"github.com/slipway-deploy/slipway/services/healthcheck/internal/verdict"
)

// leases are a replica's, as the test hands them out.
type leases struct {
	mu      sync.Mutex
	holder  string
	members int
	held    map[int]int64
	tell    func(message string)
}

func (l *leases) Holder() string { return l.holder }

func (l *leases) Members() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.members
}

func (l *leases) Generation(shard int) (int64, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	generation, held := l.held[shard]
	return generation, held
}

func (l *leases) Tell(_ context.Context, message string) error {
	l.tell(message)
	return nil
}

func (l *leases) set(members int, held map[int]int64) (lost, acquired []int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for shard := range l.held {
		if held[shard] == 0 {
			lost = append(lost, shard)
		}
	}
	for shard, generation := range held {
		if l.held[shard] != generation {
			acquired = append(acquired, shard)
		}
	}
	l.members, l.held = members, maps.Clone(held)
	return lost, acquired
}

// replicas are engines on one database that share its shards.
type replicas struct {
	*bundle
	engines []*Engine
	leases  []*leases
	deaf    atomic.Bool // messages are lost
}

func share(t *testing.T, n int, checks map[string]verdict.Check) *replicas {
	t.Helper()
	r := &replicas{bundle: setup(t, 0, checks)}
	r.Stop(t.Context())
	for i := range n {
		l := &leases{holder: fmt.Sprint("replica-", i), members: n, held: map[int]int64{}}
		l.tell = func(message string) {
			for _, e := range r.engines {
				if !r.deaf.Load() {
					e.Told(message)
				}
			}
		}
		r.leases = append(r.leases, l)
		e := New(Config{
			Store: store.New(r.db), Leases: l, Log: slog.New(slog.DiscardHandler),
			Groups: func(context.Context) (map[string]verdict.Check, error) { return checks, nil },
		})
		r.engines = append(r.engines, e)
	}
	for _, e := range r.engines {
		if err := e.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { e.Stop(context.Background()) })
	}
	return r
}

// hand leases every shard to the replica that of says, also in the database. Those that are silent are not told.
func (r *replicas) hand(t *testing.T, generation int64, of func(shard int) int, silent ...int) {
	t.Helper()
	for i := range r.engines {
		held := map[int]int64{}
		for shard := range lease.Shards {
			if of(shard) == i {
				held[shard] = generation
				sql := `UPDATE shard_leases SET holder = $1, generation = $2, expire_time = now() + interval '1 hour' WHERE shard = $3`
				if _, err := r.db.Pool.Exec(t.Context(), sql, r.leases[i].holder, generation, shard); err != nil {
					t.Fatal(err)
				}
			}
		}
		if slices.Contains(silent, i) {
			continue
		}
		lost, acquired := r.leases[i].set(len(r.engines), held)
		r.engines[i].Lost(lost)
		r.engines[i].Acquired(acquired)
	}
}

func (r *replicas) add(t *testing.T, at int, targets ...store.Target) {
	t.Helper()
	(&bundle{Engine: r.engines[at], db: r.db, checks: r.checks}).register(t, targets...)
}

// sees waits until replicas know a target in a state.
func (r *replicas) sees(t *testing.T, key Key, state verdict.State, at ...int) {
	t.Helper()
	for _, i := range at {
		(&bundle{Engine: r.engines[i]}).await(t, key, state)
	}
}

// planned is the replicas that have something to do for a target.
func (r *replicas) planned(key Key) (list []int) {
	for i, e := range r.engines {
		e.mu.Lock()
		p := e.targets[key]
		e.wheel.mu.Lock()
		if _, waits := e.wheel.where[p]; p != nil && (waits || p.busy) {
			list = append(list, i)
		}
		e.wheel.mu.Unlock()
		e.mu.Unlock()
	}
	return list
}

func halves(shard int) int { return shard % 2 }

func all(replica int) func(int) int { return func(int) int { return replica } }

func TestATargetIsCheckedByOneReplicaAndKnownToAll(t *testing.T) {
	r := share(t, 2, map[string]verdict.Check{"web": check(verdict.Check{Interval: 50 * time.Millisecond, Timeout: 50 * time.Millisecond})})
	var broken atomic.Bool
	address := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if broken.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	r.hand(t, 1, halves)
	var targets []store.Target
	for i := range 20 {
		targets = append(targets, store.Target{Group: "web", ID: fmt.Sprint(i), Address: address})
	}
	r.add(t, 0, targets...)
	for _, state := range []verdict.State{verdict.Healthy, verdict.Unhealthy} {
		for _, target := range targets {
			r.sees(t, Key{"web", target.ID}, state, 0, 1)
		}
		broken.Store(true)
	}
	for _, target := range targets {
		key := Key{"web", target.ID}
		eventually(t, "one replica to check "+target.ID, func() bool { return slices.Equal(r.planned(key), []int{halves(target.Shard())}) })
	}
	broken.Store(false)
	r.hand(t, 2, all(1))
	for _, target := range targets {
		r.sees(t, Key{"web", target.ID}, verdict.Healthy, 0, 1)
		if planned := r.planned(Key{"web", target.ID}); slices.Contains(planned, 0) {
			t.Errorf("%s is checked by a replica that lost its shard", target.ID)
		}
	}
}

// A replica that was stopped past its lease saves nothing, and then believes the others.
func TestWhatIsFoundUnderAnEarlierLeaseChangesNothing(t *testing.T) {
	r := share(t, 2, map[string]verdict.Check{"web": check(verdict.Check{Interval: 5 * time.Minute, Timeout: time.Second})})
	address := serve(t, func(http.ResponseWriter, *http.Request) {})
	r.hand(t, 1, all(0))
	r.add(t, 0, store.Target{Group: "web", ID: "a", Address: address})
	key := Key{"web", "a"}
	r.sees(t, key, verdict.Healthy, 0, 1)
	r.hand(t, 2, all(1), 0) // it does not know that its leases are over
	e := r.engines[0]
	e.mu.Lock()
	p := e.targets[key]
	e.set(p, verdict.Next(r.checks["web"], p.target.Health, verdict.Result{Reason: verdict.Timeout, Description: "slow"}, now()), unsaved)
	e.set(p, verdict.Next(r.checks["web"], p.target.Health, verdict.Result{Reason: verdict.Timeout, Description: "slow"}, now()), unsaved)
	e.mu.Unlock()
	r.sees(t, key, verdict.Unhealthy, 0)
	e.flush(t.Context(), true)
	if got := r.inStore(t)[key].Health.State; got != verdict.Healthy {
		t.Errorf("it is saved as %s", got)
	}
	lost, _ := r.leases[0].set(2, nil)
	e.Lost(lost)
	r.sees(t, key, verdict.Healthy, 0)
}

// A message may be missed: what another replica changed is found all the same.
func TestWhatOthersChangedIsFoundWithoutAMessage(t *testing.T) {
	r := share(t, 2, map[string]verdict.Check{"web": check(verdict.Check{Interval: time.Second, Timeout: time.Second})})
	r.deaf.Store(true)
	r.hand(t, 1, all(1))
	r.add(t, 0, store.Target{Group: "web", ID: "a", Address: serve(t, func(http.ResponseWriter, *http.Request) {})})
	r.sees(t, Key{"web", "a"}, verdict.Healthy, 1, 0)
}

// A replica that is cut off while there are others ends its watchers' streams, and checks nothing; alone it goes on.
func TestAReplicaThatIsCutOff(t *testing.T) {
	for _, members := range []int{1, 2} {
		t.Run(fmt.Sprint(members), func(t *testing.T) {
			r := share(t, members, map[string]verdict.Check{"web": check(verdict.Check{Interval: 50 * time.Millisecond, Timeout: 50 * time.Millisecond})})
			var broken atomic.Bool
			address := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				if broken.Load() {
					w.WriteHeader(http.StatusInternalServerError)
				}
			})
			e, l, key := r.engines[0], r.leases[0], Key{"web", "a"}
			r.hand(t, 1, all(0))
			r.add(t, 0, store.Target{Group: "web", ID: "a", Address: address})
			r.sees(t, key, verdict.Healthy, 0)
			eventually(t, "it to know of the others", func() bool {
				e.mu.Lock()
				defer e.mu.Unlock()
				return e.shared.peers == (members > 1)
			})
			ctx, cancel := e.Sees(t.Context())
			defer cancel()
			lost, _ := l.set(0, nil)
			e.Lost(lost)
			broken.Store(true)
			if members == 1 {
				r.sees(t, key, verdict.Unhealthy, 0)
				if ctx.Err() != nil {
					t.Error(context.Cause(ctx))
				}
				r.hand(t, 2, all(0))
				eventually(t, "it to be saved", func() bool { return r.inStore(t)[key].Health.State == verdict.Unhealthy })
				return
			}
			eventually(t, "streams to end", func() bool { return ctx.Err() != nil })
			if err := context.Cause(ctx); !errors.Is(err, problem.Unavailable) {
				t.Errorf("streams end with %v", err)
			}
			if planned := r.planned(key); len(planned) > 0 {
				t.Error("it is still checked")
			}
			r.hand(t, 2, all(0))
			eventually(t, "streams to go on", func() bool {
				again, cancel := e.Sees(t.Context())
				defer cancel()
				return again.Err() == nil
			})
			r.sees(t, key, verdict.Unhealthy, 0, 1)
		})
	}
}

// A report may come to any replica. One that reverses another in time does so although the replica that waits has not heard of it.
func TestAReportAtAnotherReplicaReversesOneThatIsToComeIntoForce(t *testing.T) {
	const delay = 300 * time.Millisecond
	r := share(t, 2, map[string]verdict.Check{"jobs": check(verdict.Check{Type: verdict.Custom, CustomHealthDelay: delay})})
	r.hand(t, 1, all(0))
	r.add(t, 0, store.Target{Group: "jobs", ID: "a", Address: "127.0.0.1:1"})
	key := Key{"jobs", "a"}
	report := func(at int, healthy bool) {
		t.Helper()
		e := r.engines[at]
		err := e.Commit(t.Context(), func(ctx context.Context, tx pgx.Tx) (func(), error) {
			target, _, err := e.store.TargetLock(ctx, tx, key.Group, key.ID)
			if err != nil {
				return nil, err
			}
			target.Health = verdict.Reported(target.Health, healthy, "", delay, now())
			return func() { e.SetHealth(target) }, e.store.HealthUpdateTx(ctx, tx, target)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	report(1, true)
	r.sees(t, key, verdict.Healthy, 0, 1)
	report(1, false) // in force after the delay, by the replica that has the shard
	r.sees(t, key, verdict.Unhealthy, 0, 1)
	report(0, true)
	r.deaf.Store(true)
	report(1, false) // reversed
	eventually(t, "the replica that waits to have looked", func() bool {
		e := r.engines[0]
		e.mu.Lock()
		defer e.mu.Unlock()
		return e.targets[key].target.Health.Flip.Time.IsZero()
	})
	if got := r.inStore(t)[key].Health.State; got != verdict.Unhealthy {
		t.Errorf("it is %s: a report that was reversed came into force", got)
	}
}
