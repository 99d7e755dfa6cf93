package dataplane

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/slipway-deploy/slipway/services/proxy/internal/h1"
)

// nowhere is an upstream that nothing is sent to.
type nowhere struct{}

func (nowhere) begin(r *http.Request, _ *exchange) *http.Request { return r }

func (nowhere) do(*http.Request, h1.Head, *exchange) (*http.Response, error) {
	return nil, h1.ErrAborted
}
func (nowhere) closeIdle() {}
func (nowhere) reopen()    {}

func newTarget(idle *atomic.Int64) *target {
	return &target{upstream: nowhere{}, onIdle: func(*target) { idle.Add(1) }, onCut: func(*target, int) {}}
}

func TestATargetThatRefusesTakesNothingAndIsDrainedWhenEmpty(t *testing.T) {
	var idle atomic.Int64
	target := newTarget(&idle)
	if !target.acquire() {
		t.Fatal("an open target refused")
	}
	target.drain(time.Time{})
	if target.acquire() {
		t.Error("a draining target took a request")
	}
	if target.drained() || idle.Load() != 0 {
		t.Error("drained with a request in flight")
	}
	target.release()
	if !target.drained() || idle.Load() == 0 {
		t.Error("not drained, or nobody was told")
	}
	target.accept()
	if target.drained() || !target.acquire() {
		t.Error("a target that is back refused")
	}
}

// TestARequestIsNeverTakenByATargetThatWasDrained lets a request and a drain race, many times: if the drain found the
// target empty, the request must not have got in.
func TestARequestIsNeverTakenByATargetThatWasDrained(t *testing.T) {
	for range 20000 {
		var idle atomic.Int64
		target := newTarget(&idle)
		var start, both sync.WaitGroup
		var taken, wasDrained bool
		start.Add(1)
		both.Go(func() {
			start.Wait()
			taken = target.acquire()
		})
		both.Go(func() {
			start.Wait()
			target.drain(time.Time{})
			wasDrained = target.drained()
		})
		start.Done()
		both.Wait()
		if taken && wasDrained {
			t.Fatal("a request is at a target that was reported drained")
		}
		if !taken && !target.drained() {
			t.Fatal("a request that was refused is still counted")
		}
	}
}

func TestWhatComesAfterTheCutIsCutToo(t *testing.T) {
	var idle atomic.Int64
	subject := newTarget(&idle)
	cut := make(chan int, 1)
	subject.onCut = func(_ *target, n int) { cut <- n }
	early, late := &exchange{}, &exchange{}
	subject.enlist(early)
	subject.drain(time.Now().Add(-time.Second))
	receive(t, "the cut", cut)
	if !early.wasCut.Load() {
		t.Error("not cut")
	}
	subject.enlist(late)
	if !late.wasCut.Load() {
		t.Error("an exchange that was enlisted after the cut goes on")
	}
	subject.delist(early)
	subject.delist(late)
	if subject.first != nil {
		t.Error("the list is not empty")
	}
}
