package client_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slipway-deploy/slipway/client"
)

// seen watches d-1 and returns the sequences that came and how often the connection was lost.
func seen(ctx context.Context, f *fakeDeployments) (sequences []int64, lost int, err error) {
	c := &client.Client{Deployments: f}
	for p, err := range c.Watch(ctx, "d-1") {
		if err != nil {
			return sequences, lost, err
		}
		if p.Lost != nil {
			lost++
		}
		for _, e := range p.Events {
			sequences = append(sequences, e.GetSequence())
		}
	}
	return sequences, lost, nil
}

func TestBrokenStreamsAreResumedWithoutGapOrRepeat(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakeDeployments{events: 6, plan: []stop{{2, down}, {-1, down}, {-1, down}, {4, io.EOF}, {0, nil}}}
		got, lost, err := seen(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		if want := []int64{1, 2, 3, 4, 5, 6}; !slices.Equal(got, want) {
			t.Errorf("passed on %v, want %v", got, want)
		}
		if want := []int64{0, 2, 2, 2, 4}; !slices.Equal(f.asked, want) || lost != 4 {
			t.Errorf("asked after %v with %d losses, want %v with 4", f.asked, lost, want)
		}
	})
}

func TestADeploymentIsFollowedUntilItsLastEvent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakeDeployments{events: 3, early: 1, plan: []stop{{2, down}, {0, nil}}}
		got, _, err := seen(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		if want := []int64{1, 2, 3}; !slices.Equal(got, want) {
			t.Errorf("passed on %v, want %v", got, want)
		}
	})
}

func TestPatienceEndsAndBeginsAnewWithEachAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		f := &fakeDeployments{plan: []stop{{-1, down}}}
		_, lost, err := seen(t.Context(), f)
		if !errors.Is(err, client.Unavailable) {
			t.Errorf("got %v, want that it is unavailable", err)
		}
		if took := time.Since(start); took < time.Minute || took > 70*time.Second {
			t.Errorf("gave up after %s, want a minute", took)
		}
		if lost < 10 || lost > 60 {
			t.Errorf("tried %d times in a minute", lost)
		}

		plan := make([]stop, 0, 100)
		for i := range int64(4) { // down for about 50 s, four times
			for range 18 {
				plan = append(plan, stop{-1, down})
			}
			plan = append(plan, stop{i + 1, down})
		}
		start = time.Now()
		f = &fakeDeployments{events: 5, plan: append(plan, stop{0, nil})}
		if got, _, err := seen(t.Context(), f); err != nil || len(got) != 5 {
			t.Errorf("passed on %v, %v", got, err)
		}
		if took := time.Since(start); took < 2*time.Minute {
			t.Errorf("down for %s only: the test proves nothing", took)
		}
	})
}

func TestSomeErrorsEndAWatchAtOnce(t *testing.T) {
	t.Parallel()
	for _, kind := range []client.Kind{client.NotFound, client.Unauthenticated, client.InvalidArgument, client.PermissionDenied, client.FailedPrecondition} {
		f := &fakeDeployments{plan: []stop{{-1, &client.Error{Kind: kind}}}}
		if _, lost, err := seen(t.Context(), f); !errors.Is(err, kind) || lost != 0 {
			t.Errorf("%v: got %v after %d losses", kind, err, lost)
		}
	}
}

func TestLeavingTheLoopEndsTheStream(t *testing.T) {
	t.Parallel()
	for name, plan := range map[string][]stop{"at news": nil, "at a loss": {{-1, down}}} {
		f := &contextKeeper{fakeDeployments: fakeDeployments{events: 3, plan: plan}}
		c := &client.Client{Deployments: f}
		times := 0
		for range c.Watch(t.Context(), "d-1") {
			times++
			break
		}
		if times != 1 || len(f.asked) != 1 || f.ctx.Err() == nil {
			t.Errorf("%s: %d times, %d streams, the stream's context is %v", name, times, len(f.asked), f.ctx.Err())
		}
	}
}

func TestAContextEndsAWatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if _, _, err := seen(ctx, &fakeDeployments{plan: []stop{{-1, down}}}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("while down: got %v", err)
		}
		ctx, cancel = context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if _, _, err := seen(ctx, &fakeDeployments{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("while it goes on: got %v", err)
		}
	})
}
