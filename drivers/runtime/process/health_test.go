package process

import (
	"testing"
	"time"

	"github.com/slipway-deploy/slipway/drivers/runtime"
)

func TestAHealthCheckIsJudgedAsInECS(t *testing.T) {
	type result struct {
		began  time.Duration
		passed bool
		want   runtime.Health
	}
	const h, u, x = runtime.Healthy, runtime.Unhealthy, runtime.Unknown
	at := func(s int) time.Duration { return time.Duration(s) * time.Second }
	for _, row := range []struct {
		name    string
		check   runtime.HealthCheck
		results []result
	}{
		{"one success is enough", runtime.HealthCheck{Retries: 3}, []result{{at(1), true, h}}},
		{"failures in a row up to the retries", runtime.HealthCheck{Retries: 3}, []result{
			{at(1), false, x}, {at(2), false, x}, {at(3), false, u}, {at(4), false, u}, {at(5), true, h},
		}},
		{"a success begins the count again", runtime.HealthCheck{Retries: 2}, []result{
			{at(1), false, x}, {at(2), true, h}, {at(3), false, h}, {at(4), true, h}, {at(5), false, h}, {at(6), false, u},
		}},
		{"failures in the start period do not count", runtime.HealthCheck{Retries: 2, StartPeriod: at(10)}, []result{
			{at(3), false, x}, {at(6), false, x}, {at(9), false, x}, {at(10), false, x}, {at(13), false, u},
		}},
		{"after a success in the start period they do", runtime.HealthCheck{Retries: 2, StartPeriod: at(10)}, []result{
			{at(1), false, x}, {at(2), true, h}, {at(3), false, h}, {at(4), false, u},
		}},
		{"an unhealthy container gets well in the start period", runtime.HealthCheck{Retries: 1, StartPeriod: at(10)}, []result{
			{at(1), true, h}, {at(2), false, u}, {at(3), true, h},
		}},
	} {
		state := checkState{Health: runtime.Unknown}
		for i, r := range row.results {
			if state = state.after(row.check, r.began, r.passed); state.Health != r.want {
				t.Errorf("%s: after check %d: got %s, want %s", row.name, i+1, state.Health, r.want)
			}
		}
	}
}

func TestTheDefaultsOfAHealthCheckAreThoseOfECS(t *testing.T) {
	got := withCheckDefaults(runtime.HealthCheck{})
	if got.Interval != 30*time.Second || got.Timeout != 5*time.Second || got.Retries != 3 || got.StartPeriod != 0 {
		t.Errorf("got %+v", got)
	}
	set := runtime.HealthCheck{Interval: 1, Timeout: 2, Retries: 4, StartPeriod: 5}
	if got := withCheckDefaults(set); got.Interval != 1 || got.Timeout != 2 || got.Retries != 4 || got.StartPeriod != 5 {
		t.Errorf("what is set was changed: %+v", got)
	}
}
