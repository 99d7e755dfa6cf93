package feed

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slipway-deploy/slipway/services/hooks/internal/invocation"
)

// source is a database in memory. Notifications reach whoever follows; a broken one ends the following.
type source struct {
	mu      sync.Mutex
	rows    map[string]invocation.Invocation
	heard   chan string
	broken  chan error
	follows int
}

func newSource(rows ...invocation.Invocation) *source {
	s := &source{rows: map[string]invocation.Invocation{}, heard: make(chan string), broken: make(chan error)}
	for _, i := range rows {
		s.rows[i.ID] = i
	}
	return s
}

func (s *source) put(i invocation.Invocation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows[i.ID] = i
}

func (s *source) InvocationFollow(ctx context.Context, listening func() error, changed func(string)) error {
	s.mu.Lock()
	s.follows++
	s.mu.Unlock()
	if err := listening(); err != nil {
		return err
	}
	for {
		select {
		case id := <-s.heard:
			changed(id)
		case err := <-s.broken:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *source) some(wanted func(invocation.Invocation) bool) (found []invocation.Invocation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, i := range s.rows {
		if wanted(i) {
			found = append(found, i)
		}
	}
	return found
}

func (s *source) InvocationRecent(_ context.Context, window time.Duration) ([]invocation.Invocation, error) {
	return s.some(func(i invocation.Invocation) bool { return i.EndTime.IsZero() || time.Since(i.EndTime) < window }), nil
}

func (s *source) InvocationByIDs(_ context.Context, ids []string) ([]invocation.Invocation, error) {
	return s.some(func(i invocation.Invocation) bool { return slices.Contains(ids, i.ID) }), nil
}

func (s *source) InvocationOfDeployment(_ context.Context, deployment string) ([]invocation.Invocation, error) {
	return s.some(func(i invocation.Invocation) bool { return i.Deployment == deployment }), nil
}

func running(id string) invocation.Invocation {
	return invocation.Invocation{Spec: invocation.Spec{ID: id, Deployment: "d-1"}, State: invocation.InProgress}
}

func ended(id string, ago time.Duration) invocation.Invocation {
	return invocation.Invocation{Spec: invocation.Spec{ID: id, Deployment: "d-1"}, State: invocation.Succeeded, EndTime: time.Now().Add(-ago)}
}

func run(t *testing.T, s *source) *Feed {
	t.Helper()
	f := New(Config{Window: time.Hour, Now: time.Now}, s, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		f.Run(ctx)
		close(done)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return f
}

func subscribe(t *testing.T, f *Feed, deployment string) *Subscription {
	t.Helper()
	sub, err := f.Subscribe(t.Context(), Filter{Deployment: deployment})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sub.Close)
	return sub
}

func wantNext(t *testing.T, sub *Subscription, snapshot bool, want ...string) {
	t.Helper()
	changed, first, err := sub.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := make([]string, 0, len(changed))
	for _, i := range changed {
		got = append(got, i.ID+" "+string(i.State))
	}
	slices.Sort(got)
	if first != snapshot || !slices.Equal(got, want) {
		t.Errorf("snapshot %t: %v, want snapshot %t: %v", first, got, snapshot, want)
	}
}

func TestASnapshotHasWhatRunsAndWhatEndedLately(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := run(t, newSource(running("a"), ended("b", time.Minute), ended("c", 2*time.Hour)))
		wantNext(t, subscribe(t, f, ""), true, "a IN_PROGRESS", "b SUCCEEDED")
		wantNext(t, subscribe(t, f, "d-1"), true, "a IN_PROGRESS", "b SUCCEEDED", "c SUCCEEDED") // of one deployment, all
		wantNext(t, subscribe(t, f, "d-2"), true)
	})
}

func TestAChangeIsReadWhenItIsHeardOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(running("a"))
		f := run(t, s)
		sub := subscribe(t, f, "")
		wantNext(t, sub, true, "a IN_PROGRESS")
		s.put(ended("a", 0))
		s.put(running("b"))
		s.heard <- "b"
		wantNext(t, sub, false, "b IN_PROGRESS")
		s.heard <- "a"
		wantNext(t, sub, false, "a SUCCEEDED")
	})
}

// What is saved while nobody listens is in the snapshot that follows.
func TestABrokenConnectionCostsASnapshotAndNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(running("a"))
		f := run(t, s)
		sub := subscribe(t, f, "")
		wantNext(t, sub, true, "a IN_PROGRESS")
		s.broken <- errors.New("the connection is lost")
		s.put(ended("a", 0))
		wantNext(t, sub, false, "a SUCCEEDED")
		if s.follows != 2 {
			t.Errorf("followed %d times", s.follows)
		}
	})
}

func TestWhatEndedLongAgoIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := run(t, newSource(running("a"), ended("b", time.Minute)))
		wantNext(t, subscribe(t, f, ""), true, "a IN_PROGRESS", "b SUCCEEDED")
		waited, cancel := context.WithTimeout(t.Context(), 2*time.Hour)
		defer cancel()
		<-waited.Done()
		synctest.Wait()
		wantNext(t, subscribe(t, f, ""), true, "a IN_PROGRESS")
	})
}

func TestAFeedThatHasReadNothingSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := New(Config{Window: time.Hour, Now: time.Now}, newSource(), slog.New(slog.DiscardHandler))
		if _, err := f.Subscribe(t.Context(), Filter{}); err == nil {
			t.Error("subscribed to an unread feed")
		}
	})
}
