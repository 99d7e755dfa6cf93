package watch_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/slipway-deploy/slipway/platform/watch"
)

type changes = watch.Changes[string, int]

func next(t *testing.T, s *watch.Subscription[string, int]) changes {
	t.Helper()
	c, err := s.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func expect(t *testing.T, got changes, snapshot bool, set map[string]int, deleted ...string) {
	t.Helper()
	slices.Sort(got.Deleted)
	if got.Snapshot != snapshot || !maps.Equal(got.Set, set) || !slices.Equal(got.Deleted, deleted) {
		t.Errorf("got %+v, want snapshot %v, set %v, deleted %v", got, snapshot, set, deleted)
	}
}

// blocked reports whether Next waits; it must be called in a synctest bubble.
func blocked(t *testing.T, s *watch.Subscription[string, int]) bool {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	returned := false
	go func() {
		_, err := s.Next(ctx)
		returned = err == nil
	}()
	synctest.Wait()
	cancel()
	synctest.Wait()
	return !returned
}

func TestTheFirstNextIsASnapshotAlsoOfNothing(t *testing.T) {
	h := watch.NewHub[string, int]()
	empty := h.Subscribe(nil)
	expect(t, next(t, empty), true, map[string]int{})
	h.Set("a", 1)
	late := h.Subscribe(nil)
	h.Set("b", 2)
	expect(t, next(t, late), true, map[string]int{"a": 1, "b": 2})
	expect(t, next(t, empty), false, map[string]int{"a": 1, "b": 2})
}

func TestWhatTheSnapshotShowedIsNotToldAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := watch.NewHub[string, int]()
		s := h.Subscribe(nil)
		h.Set("a", 1) // between Subscribe and the snapshot
		expect(t, next(t, s), true, map[string]int{"a": 1})
		if !blocked(t, s) {
			t.Error("Next tells the same change twice")
		}
	})
}

func TestChangesOfOneKeyBecomeOne(t *testing.T) {
	h := watch.NewHub[string, int]()
	s := h.Subscribe(nil)
	h.Set("gone", 1)
	next(t, s)
	for i := range 1000 {
		h.Set("a", i)
	}
	h.Delete("gone")
	h.Set("back", 1)
	h.Delete("back")
	h.Set("back", 2)
	expect(t, next(t, s), false, map[string]int{"a": 999, "back": 2}, "gone")
}

func TestAKeyThatCameAndWentUnseenIsNoChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := watch.NewHub[string, int]()
		s := h.Subscribe(nil)
		next(t, s)
		h.Set("a", 1)
		h.Delete("a")
		h.Delete("never")
		if !blocked(t, s) {
			t.Error("Next tells of a key that the reader never saw")
		}
		h.Set("b", 1)
		expect(t, next(t, s), false, map[string]int{"b": 1})
	})
}

func TestAChangeIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := watch.NewHub[string, int]()
		s := h.Subscribe(nil)
		next(t, s)
		h.Set("a", 1)
		expect(t, next(t, s), false, map[string]int{"a": 1})
		if !blocked(t, s) {
			t.Error("Next tells the same change twice")
		}
		h.Set("b", 2)
		expect(t, next(t, s), false, map[string]int{"b": 2})
	})
}

func TestReplaceIsOneChange(t *testing.T) {
	h := watch.NewHub[string, int]()
	h.Replace(map[string]int{"a": 1, "b": 2})
	s := h.Subscribe(nil)
	expect(t, next(t, s), true, map[string]int{"a": 1, "b": 2})
	all := map[string]int{"b": 3, "c": 4}
	h.Replace(all)
	all["d"] = 5 // the hub has its own copy
	expect(t, next(t, s), false, map[string]int{"b": 3, "c": 4}, "a")
	h.Replace(nil)
	expect(t, next(t, s), false, map[string]int{}, "b", "c")
	h.Set("e", 1) // after Replace(nil) there is still a map to write to
	if v, ok := h.Get("e"); !ok || v != 1 {
		t.Errorf("Get(e) = %d, %v", v, ok)
	}
}

func TestAFilterHidesKeysAndTellsWhenOneLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := watch.NewHub[string, int]()
		h.Set("a", 1)
		h.Set("b", -1)
		s := h.Subscribe(func(_ string, v int) bool { return v > 0 })
		expect(t, next(t, s), true, map[string]int{"a": 1})
		h.Set("b", -2)
		if !blocked(t, s) {
			t.Error("a hidden key is told of")
		}
		h.Set("a", -1)
		expect(t, next(t, s), false, map[string]int{}, "a")
		h.Set("b", 2)
		expect(t, next(t, s), false, map[string]int{"b": 2})
	})
}

func TestASleepingReaderIsWoken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := watch.NewHub[string, int]()
		s := h.Subscribe(nil)
		next(t, s)
		got := make(chan changes, 1)
		go func() {
			c, err := s.Next(t.Context())
			if err != nil {
				t.Error(err)
			}
			got <- c
		}()
		synctest.Wait() // it sleeps
		h.Set("a", 1)
		expect(t, <-got, false, map[string]int{"a": 1})
	})
}

func TestNextEndsWithItsContextAndLosesNothing(t *testing.T) {
	h := watch.NewHub[string, int]()
	s := h.Subscribe(nil)
	next(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h.Set("a", 1)
	if _, err := s.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want canceled", err)
	}
	expect(t, next(t, s), false, map[string]int{"a": 1})
}

func TestCloseWakesTheReaderAndIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := watch.NewHub[string, int]()
		s, other := h.Subscribe(nil), h.Subscribe(nil)
		next(t, s)
		next(t, other)
		got := make(chan error, 1)
		go func() {
			_, err := s.Next(t.Context())
			got <- err
		}()
		synctest.Wait()
		s.Close()
		s.Close()
		if err := <-got; !errors.Is(err, watch.ErrClosed) {
			t.Errorf("the sleeping Next gives %v, want ErrClosed", err)
		}
		h.Set("a", 1)
		if _, err := s.Next(t.Context()); !errors.Is(err, watch.ErrClosed) {
			t.Errorf("Next after Close gives %v, want ErrClosed", err)
		}
		expect(t, next(t, other), false, map[string]int{"a": 1})
	})
}

// However writers and a reader interleave, the reader ends with what the hub holds.
func TestAReaderThatFollowsEndsWithTheHubsContent(t *testing.T) {
	h := watch.NewHub[string, int]()
	s := h.Subscribe(nil)
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for i := range 2000 {
				key := strconv.Itoa((w*7 + i) % 20)
				if i%3 == 0 {
					h.Delete(key)
				} else {
					h.Set(key, i)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() {
		writers.Wait()
		h.Set("end", 1)
		close(done)
	}()
	held := make(map[string]int)
	for held["end"] == 0 {
		c := next(t, s)
		if c.Snapshot {
			clear(held)
		}
		maps.Copy(held, c.Set)
		for _, key := range c.Deleted {
			if _, ok := held[key]; !ok {
				t.Fatalf("key %s is deleted, but the reader does not hold it", key)
			}
			delete(held, key)
		}
	}
	<-done
	want := next(t, h.Subscribe(nil)).Set
	if !maps.Equal(held, want) {
		t.Errorf("the reader holds %v, the hub %v", held, want)
	}
}
