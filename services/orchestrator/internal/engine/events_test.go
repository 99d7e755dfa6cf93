package engine_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/migrations/orchestrator"
	"github.com/slipway-deploy/slipway/platform/postgres/postgrestest"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/engine"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/store"
)

// begun is what every deployment without a wait goes through, in order. Other events may come between.
var begun = []string{
	rollout.EventDeploymentInProgress, rollout.EventTasksStarted, rollout.EventTaskHealthy, rollout.EventTrafficShifted, rollout.EventDeploymentCompleted,
}

func inOrder(t *testing.T, of string, happened []string) {
	t.Helper()
	i := 0
	for _, name := range happened {
		if i < len(begun) && name == begun[i] {
			i++
		}
	}
	if i < len(begun) {
		t.Errorf("%s: %s is missing or out of its place in %v", of, begun[i], happened)
	}
}

func TestSavesThatComeWhileOneIsUnderWayAreMadeTogetherAndTheirEventsKeepTheirOrder(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.start()
		held := make(chan struct{})
		w.store.held = held
		var names []string
		for i := range 20 {
			names = append(names, fmt.Sprintf("web%d", i))
			w.create(names[i], blueGreen())
			w.engine.Wake(key(names[i]))
		}
		synctest.Wait()
		w.store.set(func(m *memory) { m.held = nil })
		close(held)
		for _, name := range names {
			w.within(time.Second, name+" is done", func() bool { return w.deployment(name+"-1").State == rollout.Successful })
			inOrder(t, name, w.happened(name+"-1")) // the store checks that there is no gap and no repeat
		}
		var sizes []int
		for _, batch := range w.store.batches[:3] { // two begin at once, with what there is; the rest is one batch
			sizes = append(sizes, len(batch))
		}
		if sizes[0]+sizes[1]+sizes[2] < 20 {
			t.Errorf("saved %v together, want all 20 services in three batches", sizes)
		}
	})
}

// The one test on Postgres: that the store in memory is not kinder than the real one.
func TestEventsOfManyServicesAreReadFromPostgresInTheirOrder(t *testing.T) {
	t.Parallel()
	w, db := newWorld(t), store.New(postgrestest.New(t, "orchestrator", orchestrator.FS))
	var names []string
	for i := range 10 {
		names = append(names, fmt.Sprintf("web%d", i))
		w.create(names[i], blueGreen())
		insert(t, db, w.state(names[i]))
	}
	read := func(name string) rollout.State {
		a, err := db.ServiceGet(context.Background(), "default", name)
		if err != nil {
			t.Error(err)
		}
		return a.State
	}
	w.saved = func(service string) int64 { return read(strings.TrimPrefix(service, "default/")).Service.Generation }
	e := w.over(db)
	changes := e.Listen(engine.EventsKey)
	defer changes.Close()
	if err := e.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for slices.ContainsFunc(names, func(name string) bool { return read(name).Deployment != nil }) {
		select {
		case <-changes.C:
		case <-ctx.Done():
			t.Fatal(ctx.Err())
		}
	}
	e.Stop()
	var all []store.EventRow
	for _, name := range names {
		rows, err := db.EventsOfDeployment(t.Context(), name+"-1", 0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		var happened []string
		for _, row := range rows {
			happened = append(happened, row.Event.Name)
		}
		inOrder(t, name, happened)
		all = append(all, rows...)
	}
	// In the order of all events, those of a deployment stand in their own.
	slices.SortFunc(all, func(a, b store.EventRow) int {
		return cmp.Or(cmp.Compare(a.Position.Tx, b.Position.Tx), cmp.Compare(a.Position.ID, b.Position.ID))
	})
	last := map[string]int64{}
	for _, row := range all {
		if row.Event.Sequence != last[row.Event.Deployment]+1 {
			t.Errorf("event %d of %s follows %d", row.Event.Sequence, row.Event.Deployment, last[row.Event.Deployment])
		}
		last[row.Event.Deployment] = row.Event.Sequence
	}
}

// insert creates a service with its pending deployment in Postgres.
func insert(t *testing.T, to *store.Store, s rollout.State) {
	t.Helper()
	pending := s
	pending.Deployment = nil
	pending.Service.Generation = 1
	err := to.InTx(t.Context(), func(tx pgx.Tx) error {
		return to.ServiceInsert(t.Context(), tx, pending.Service, []byte("spec"), time.Now())
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Service.Generation = 2
	if saved, err := to.Save(t.Context(), []store.Change{{Next: s}}); err != nil || len(saved) != 1 {
		t.Fatalf("saved %v: %v", saved, err)
	}
}
