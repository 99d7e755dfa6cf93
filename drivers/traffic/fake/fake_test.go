package fake_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slipway-deploy/slipway/drivers/traffic"
	"github.com/slipway-deploy/slipway/drivers/traffic/fake"
	"github.com/slipway-deploy/slipway/drivers/traffic/traffictest"
	"github.com/slipway-deploy/slipway/platform/problem"
)

func TestConformance(t *testing.T) {
	traffictest.Run(t, traffictest.Harness{Open: func(*testing.T) traffictest.Plane {
		f := fake.New()
		return traffictest.Plane{Traffic: f, Client: f}
	}})
}

func routes(targets ...traffic.Target) traffic.Routes {
	return traffic.Routes{
		Service:      "shop/web",
		Listeners:    []traffic.Listener{{Name: "production", Address: "127.0.0.1:80", Forward: []traffic.WeightedTargetGroup{{TargetGroup: "web", Weight: 1000}}}},
		TargetGroups: []traffic.TargetGroup{{Name: "web", Targets: targets}},
	}
}

func TestApplyCanBeHeldAndMadeToFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := fake.New()
		release := f.HoldApply()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := f.Apply(ctx, 1, routes()); !errors.Is(err, problem.DeadlineExceeded) {
			t.Errorf("a held apply ended with %v", err)
		}
		done := make(chan error, 1)
		go func() { done <- f.Apply(t.Context(), 1, routes()) }()
		synctest.Wait()
		if _, ok := f.Routes("shop/web"); ok {
			t.Error("a held apply is in force")
		}
		release()
		if err := <-done; err != nil || f.Weights("shop/web", "production")["web"] != 1000 || len(f.Applies()) != 1 {
			t.Errorf("a released apply: %v", err)
		}
		f.FailApply(errors.New("once"))
		if err := f.Apply(t.Context(), 2, routes()); err == nil {
			t.Error("no failure")
		}
		if err := f.Apply(t.Context(), 2, routes()); err != nil {
			t.Error(err)
		}
	})
}

func TestTargetsDrainByHandOrByTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := fake.New()
		f.DrainByHand()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var last atomic.Pointer[traffic.Applied]
		over := make(chan error, 1)
		go func() {
			over <- f.Watch(ctx, func(u traffic.Update) {
				if len(u.Services) > 0 {
					last.Store(&u.Services[0])
				}
			})
		}()
		target := func(id string, until time.Time) traffic.Target {
			return traffic.Target{ID: id, Address: "127.0.0.1:1", Draining: true, DrainTime: until}
		}
		drained := func(want int) {
			t.Helper()
			synctest.Wait()
			if got := last.Load().Drained; len(got) != want {
				t.Errorf("drained are %v, want %d", got, want)
			}
		}
		if err := f.Apply(ctx, 1, routes(target("a", time.Time{}), target("b", time.Now().Add(time.Minute)))); err != nil {
			t.Fatal(err)
		}
		drained(0)
		f.DrainTarget("shop/web", "a")
		drained(1)
		<-time.After(time.Minute)
		drained(2)
		f.SetProblem("shop/web", "a port is taken")
		synctest.Wait()
		if got := last.Load().Problem; got != "a port is taken" {
			t.Errorf("problem %q", got)
		}
		broken := errors.New("broken")
		f.BreakWatches(broken)
		if err := <-over; !errors.Is(err, broken) {
			t.Errorf("the watch ended with %v", err)
		}
	})
}

func TestATakenAddressIsRefused(t *testing.T) {
	f := fake.New()
	f.TakeAddress("127.0.0.1:80", true)
	if err := f.Apply(t.Context(), 1, routes()); problem.ReasonOf(err) != "LISTENER_ADDRESS_IN_USE" {
		t.Errorf("error %v", err)
	}
	f.TakeAddress("127.0.0.1:80", false)
	if err := f.Apply(t.Context(), 1, routes()); err != nil {
		t.Error(err)
	}
}
