package store_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/platform/postgres"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/store"
)

func TestWhoWaitedForTheLockReadsTheDeploymentAsItIsThen(t *testing.T) {
	t.Parallel()
	s, db := setup(t)
	change := step(create(t, s, "web"))
	read := make(chan store.Aggregate, 1)
	err := s.InTx(t.Context(), func(tx pgx.Tx) error {
		if _, err := s.SaveTx(t.Context(), tx, []store.Change{change}); err != nil {
			return err
		}
		go func() {
			defer close(read)
			err := s.InTx(t.Context(), func(tx pgx.Tx) error {
				a, err := s.ServiceLock(t.Context(), tx, "default", "web")
				read <- a
				return err
			})
			if err != nil {
				t.Error(err)
			}
		}()
		waitForALock(t, db)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	got := (<-read).State
	<-read // its transaction has ended
	if got.Service.Generation != change.Next.Service.Generation {
		t.Errorf("generation %d, want %d", got.Service.Generation, change.Next.Service.Generation)
	}
	if got.Deployment.State != change.Next.Deployment.State || got.Deployment.EventSequence != change.Next.Deployment.EventSequence {
		t.Errorf("deployment %s with %d events, want %s with %d: it is from before the lock", got.Deployment.State,
			got.Deployment.EventSequence, change.Next.Deployment.State, change.Next.Deployment.EventSequence)
	}
}

// A service that somebody holds, maybe a program that was stopped, holds up no other.
func TestASaveDoesNotWaitForAServiceThatIsLocked(t *testing.T) {
	t.Parallel()
	s, _ := setup(t)
	locked, free := step(create(t, s, "locked")), step(create(t, s, "free"))
	err := s.InTx(t.Context(), func(tx pgx.Tx) error {
		if _, err := s.ServiceLock(t.Context(), tx, "default", "locked"); err != nil {
			return err
		}
		saved, err := s.Save(t.Context(), []store.Change{locked, free})
		if len(saved) != 1 || !saved[store.Key{Cluster: "default", Name: "free"}] {
			t.Errorf("saved %v", saved)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	mustSave(t, s, locked)
}

// waitForALock returns when a transaction of the test's database waits for another.
func waitForALock(t *testing.T, db *postgres.DB) {
	t.Helper()
	const waiting = `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')`
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		var waits bool
		if err := db.Pool.QueryRow(t.Context(), waiting).Scan(&waits); err != nil {
			t.Fatal(err)
		}
		if waits {
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatal("nothing waited for a lock")
		}
	}
}
