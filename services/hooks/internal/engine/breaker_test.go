package engine

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func report(t *testing.T, b *breakers, endpoint string, c countAs) {
	t.Helper()
	done, closed := b.allow(endpoint)
	if closed != nil {
		t.Fatalf("%s takes no call: %s", endpoint, closed.reason)
	}
	done(c)
}

func TestACircuitOpensForItsEndpointAloneAndTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreakers(BreakerConfig{Failures: 3, Open: 10 * time.Second}, time.Now)
		for _, c := range []countAs{asFailure, asFailure, asSuccess, asFailure, asFailure, notCounted} {
			report(t, b, "a", c)
		}
		report(t, b, "a", asFailure) // the third in a row: what says nothing does not break the row
		_, closed := b.allow("a")
		if closed == nil || closed.delay < 10*time.Second || closed.delay > 11*time.Second || !strings.Contains(closed.reason, "a is open after 3 calls") {
			t.Fatalf("after three failures: %+v", closed)
		}
		report(t, b, "b", asSuccess)
		pass(t, closed.delay)
		done, stillClosed := b.allow("a")
		if stillClosed != nil {
			t.Fatalf("after the delay: %+v", stillClosed)
		}
		if _, other := b.allow("a"); other == nil || !strings.Contains(other.reason, "half-open") {
			t.Errorf("a second call tries too: %+v", other)
		}
		done(asFailure)
		if _, again := b.allow("a"); again == nil {
			t.Error("closed after the trial failed")
		}
		pass(t, 10*time.Second+time.Millisecond)
		report(t, b, "a", asSuccess)
		report(t, b, "a", asSuccess)
	})
}

func pass(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	<-timer.C
}

// Circuits that change state while others are made and forgotten must not wait for each other.
func TestCircuitsDoNotLockEachOther(t *testing.T) {
	b := newBreakers(BreakerConfig{Failures: 1, Open: time.Nanosecond}, time.Now)
	var callers sync.WaitGroup
	for n := range 4 {
		callers.Go(func() {
			for k := range maxEndpoints {
				done, closed := b.allow(fmt.Sprint(n%2, " ", k))
				if closed == nil {
					done(countAs(k % 3))
				}
			}
		})
	}
	callers.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.of) > 2*maxEndpoints {
		t.Errorf("%d circuits are remembered", len(b.of))
	}
}
