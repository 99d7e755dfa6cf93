package verdict

import (
	"testing"
	"time"
)

var now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func TestThresholdsCountResultsInARow(t *testing.T) {
	t.Parallel()
	check := Check{HealthyThreshold: 3, UnhealthyThreshold: 2, Interval: time.Second}
	for _, c := range []struct {
		name, results string // + passed, - failed
		want          State
	}{
		{"nothing yet", "", Initial},
		{"the first success is enough", "+", Healthy},
		{"one failure is not", "-", Initial},
		{"failures make it unhealthy", "--", Unhealthy},
		{"a success after a failure", "-+", Healthy},
		{"one failure of a healthy target", "+-", Healthy},
		{"failures with a success between", "+-+-", Healthy},
		{"two failures in a row", "+--", Unhealthy},
		{"recovery needs the threshold", "+--++", Unhealthy},
		{"recovery", "+--+++", Healthy},
		{"recovery in a row only", "+--++-+", Unhealthy},
	} {
		h := Registered(now)
		for i, r := range c.results {
			at := now.Add(time.Duration(i+1) * check.Interval)
			h = Next(check, h, Result{OK: r == '+', Reason: Timeout, Description: "Request timed out"}, at)
		}
		if h.State != c.want {
			t.Errorf("%s (%s): %s, want %s", c.name, c.results, h.State, c.want)
		}
		if (h.State == Healthy) != (h.Reason == "") {
			t.Errorf("%s: state %s with reason %q", c.name, h.State, h.Reason)
		}
	}
}

func TestANewTargetDoesNotFailSoonerThanItsInterval(t *testing.T) {
	t.Parallel()
	check := Check{HealthyThreshold: 3, UnhealthyThreshold: 2, Interval: time.Second}
	h := Registered(now)
	for ms := 100; ms < 2000; ms += 100 {
		if h = Next(check, h, Result{Reason: Timeout}, now.Add(time.Duration(ms)*time.Millisecond)); h.State != Initial {
			t.Fatalf("%s after %d ms", h.State, ms)
		}
	}
	if h = Next(check, h, Result{Reason: Timeout}, now.Add(2*time.Second)); h.State != Unhealthy {
		t.Fatalf("%s after two intervals", h.State)
	}
}

func TestADrainingTargetStaysDraining(t *testing.T) {
	t.Parallel()
	h := Deregistered(Registered(now), now)
	if h = Next(Check{}, h, Result{OK: true}, now); h.State != Draining {
		t.Fatal(h.State)
	}
}

func TestMatcher(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text  string
		valid bool
		yes   []int
		no    []int
	}{
		{"200", true, []int{200}, []int{201, 199}},
		{"200,202", true, []int{200, 202}, []int{201}},
		{"200-299", true, []int{200, 250, 299}, []int{300}},
		{"200-204,301", true, []int{204, 301}, []int{205, 300}},
		{"", false, nil, nil},
		{"abc", false, nil, nil},
		{"199", false, nil, nil},
		{"200-500", false, nil, nil},
		{"299-200", false, nil, nil},
		{"200,", false, nil, nil},
	} {
		m, err := ParseMatcher(c.text, 200, 499)
		if (err == nil) != c.valid {
			t.Errorf("%q: %v", c.text, err)
		}
		for _, code := range c.yes {
			if !m.Matches(code) {
				t.Errorf("%q does not match %d", c.text, code)
			}
		}
		for _, code := range c.no {
			if m.Matches(code) {
				t.Errorf("%q matches %d", c.text, code)
			}
		}
	}
}

func TestValidateNamesFieldAndRule(t *testing.T) {
	t.Parallel()
	if v := (Check{}).WithDefaults().Validate(); len(v) > 0 {
		t.Fatal(v)
	}
	for field, check := range map[string]Check{
		"health_check.interval":            {Interval: time.Millisecond},
		"health_check.timeout":             {Interval: time.Second, Timeout: 2 * time.Second},
		"health_check.healthy_threshold":   {HealthyThreshold: 1},
		"health_check.unhealthy_threshold": {UnhealthyThreshold: 11},
		"health_check.path":                {Path: "health"},
		"health_check.matcher":             {Matcher: "99"},
	} {
		v := check.WithDefaults().Validate()
		if len(v) == 0 || v[0].Field != field && v[len(v)-1].Field != field {
			t.Errorf("%s: %v", field, v)
		}
	}
}

func TestAPathHoldsNoControlCharacters(t *testing.T) {
	t.Parallel()
	for path, valid := range map[string]bool{"/a%20b?c=d": true, "/é": true, "/a b": false, "/a\x00": false, "/a\nHost: b": false} {
		v := Check{Path: path}.WithDefaults().Validate()
		if (len(v) == 0) != valid {
			t.Errorf("%q: %v", path, v)
		}
	}
}

func TestOnlyATargetNobodyKnowsIsLookedAtMoreOften(t *testing.T) {
	t.Parallel()
	for interval, want := range map[time.Duration]time.Duration{
		10 * time.Millisecond: 10 * time.Millisecond, 50 * time.Millisecond: 20 * time.Millisecond, 30 * time.Second: 3 * time.Second,
	} {
		check := Check{Interval: interval}
		if got := Pause(check, Registered(now)); got != want {
			t.Errorf("initial, every %s: %s, want %s", interval, got, want)
		}
		if got := Pause(check, Health{State: Unhealthy}); got != interval {
			t.Errorf("unhealthy, every %s: %s", interval, got)
		}
	}
}

func TestAnInconclusiveCheckChangesNothing(t *testing.T) {
	t.Parallel()
	for _, state := range States() {
		h := Health{State: state, Successes: 3, StateTime: now, CheckTime: now}
		if got := Next(Check{UnhealthyThreshold: 1}, h, Result{Inconclusive: true}, now.Add(time.Hour)); got != h {
			t.Errorf("%s: %+v", state, got)
		}
	}
}

func TestReports(t *testing.T) {
	t.Parallel()
	h := Reported(Registered(now), true, "up", 0, now)
	if h.State != Healthy || h.Reason != "" || h.Successes != 1 {
		t.Errorf("%+v", h)
	}
	later := now.Add(time.Minute)
	if h = Reported(h, true, "still up", 0, later); !h.StateTime.Equal(now) || h.Description != "still up" || !h.CheckTime.Equal(later) {
		t.Errorf("%+v", h)
	}
	if h = Reported(h, false, "down", 0, later); h.State != Unhealthy || h.Reason != FailedHealthChecks || h.Failures != 1 || !h.StateTime.Equal(later) {
		t.Errorf("%+v", h)
	}
	if h = Reported(Deregistered(h, later), true, "up", 0, later); h.State != Draining {
		t.Errorf("%+v", h)
	}
}

func TestAReportThatChangesTheHealthComesIntoForceLater(t *testing.T) {
	t.Parallel()
	const delay = 30 * time.Second
	at := func(n int) time.Time { return now.Add(time.Duration(n) * time.Second) }
	h := Reported(Registered(now), true, "up", delay, now)
	if h.State != Healthy || h.Flip != (Flip{}) {
		t.Fatalf("the first report: %+v", h)
	}
	down := Reported(h, false, "down", delay, at(1))
	if down.State != Healthy || down.Flip != (Flip{Description: "down", Time: at(31)}) {
		t.Fatalf("%+v", down)
	}
	again := Reported(down, false, "still down", delay, at(20))
	if again.Flip != (Flip{Description: "still down", Time: at(31)}) {
		t.Errorf("a second report of the same: %+v", again)
	}
	if back := Reported(again, true, "up again", delay, at(30)); back.State != Healthy || back.Flip != (Flip{}) || back.Description != "up again" {
		t.Errorf("reversed: %+v", back)
	}
	if early := Flipped(again, at(30)); early != again {
		t.Errorf("early: %+v", early)
	}
	late := Flipped(again, at(40))
	if late.State != Unhealthy || late.Description != "still down" || late.Reason != FailedHealthChecks || late.Failures != 1 || late.Flip != (Flip{}) {
		t.Errorf("after its time: %+v", late)
	}
	if after := Reported(again, true, "up", delay, at(40)); after.State != Unhealthy || after.Flip != (Flip{true, "up", at(70)}) {
		t.Errorf("a report after the change: %+v", after)
	}
	if gone := Deregistered(down, at(2)); gone.Flip != (Flip{}) || Flipped(gone, at(60)).State != Draining {
		t.Errorf("deregistered: %+v", gone)
	}
}
