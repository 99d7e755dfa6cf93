package watch_test

import (
	"sync"
	"testing"

	"github.com/slipway-deploy/slipway/platform/watch"
)

func rung(l *watch.Listener[string]) bool {
	select {
	case <-l.C:
		return true
	default:
		return false
	}
}

func TestABellWakesWhoListensToTheKey(t *testing.T) {
	t.Parallel()
	b := watch.NewBell[string]()
	b.Ring("a")
	one, two, other := b.Listen("a"), b.Listen("a"), b.Listen("b")
	if rung(one) || one.Count() != 0 {
		t.Error("is told of what was before")
	}
	b.Ring("a", "c")
	b.Ring("a")
	if !rung(one) || !rung(two) || rung(other) || rung(one) {
		t.Error("each listener to the key, and no other, is to be woken once")
	}
	if one.Count() != 2 || two.Count() != 2 || other.Count() != 0 {
		t.Errorf("counted %d, %d, %d", one.Count(), two.Count(), other.Count())
	}
	one.Close()
	one.Close()
	b.Ring("a")
	if rung(one) || !rung(two) {
		t.Error("only who still listens is to be woken")
	}
	two.Close()
	if b.Ring("a"); two.Count() != 0 {
		t.Error("a key that nobody listens to is to be forgotten")
	}
}

// Who is woken finds the ring counted, so that what it reads after is not older.
func TestARingIsCountedBeforeItWakes(t *testing.T) {
	t.Parallel()
	const listeners, rings = 8, 1000
	b := watch.NewBell[string]()
	var wg, woken sync.WaitGroup
	for range listeners {
		l := b.Listen("a")
		wg.Go(func() {
			defer l.Close()
			for n := range int64(rings) {
				<-l.C
				if now := l.Count(); now != n+1 {
					t.Errorf("woken by ring %d, which finds %d", n+1, now)
				}
				woken.Done()
			}
		})
	}
	for range rings {
		woken.Add(listeners)
		b.Ring("a")
		woken.Wait()
	}
	wg.Wait()
}
