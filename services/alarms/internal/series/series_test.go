package series

import (
	"slices"
	"testing"
	"time"

	"github.com/slipway-deploy/slipway/services/alarms/internal/alarm"
	"github.com/slipway-deploy/slipway/services/alarms/internal/expression"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func on(n int, period time.Duration) Definition {
	return Definition{
		Definition: alarm.Definition{
			Name: "a", Statistic: alarm.Sum, Period: period, EvaluationPeriods: n, DatapointsToAlarm: n, Comparison: alarm.Greater, Missing: alarm.AsMissing,
		},
		Metrics: []Metric{{Namespace: "n", Name: "m", Statistic: alarm.Sum, Source: Pushed, Field: "alarm."}},
	}
}

func TestCadenceIsCloudWatchs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		n            int
		period, want time.Duration
	}{
		{1, time.Second, time.Second},
		{1, 5 * time.Second, 5 * time.Second},
		{3, 10 * time.Second, 10 * time.Second},
		{3, 30 * time.Second, 10 * time.Second},
		{3, time.Minute, time.Minute},
		{3, 5 * time.Minute, time.Minute},
		{24, time.Hour, time.Minute},
		{25, time.Hour, time.Hour},
		{2, 24 * time.Hour, time.Hour},
	} {
		if got := on(c.n, c.period).Step(); got != c.want {
			t.Errorf("%d periods of %s: %s, want %s", c.n, c.period, got, c.want)
		}
	}
}

func TestPeriodsSlideOrFollowTheClock(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 12, 7, 30, 0, time.UTC)
	clock := func(hour, minute int) time.Time { return time.Date(2026, 1, 1, hour, minute, 0, 0, time.UTC) }
	sliding := on(1, 5*time.Minute)
	if got := sliding.End(now); !got.Equal(clock(12, 7)) {
		t.Errorf("a sliding period ends at %s", got)
	}
	if got := sliding.NextEnd(now); !got.Equal(clock(12, 8)) {
		t.Errorf("the next sliding period ends at %s", got)
	}
	wall := sliding
	wall.WallClock = true
	if got := wall.End(now); !got.Equal(clock(12, 5)) {
		t.Errorf("a period of the clock ends at %s", got)
	}
	wall.Period, wall.Offset = time.Hour, 30*time.Minute
	if got := wall.End(now); !got.Equal(clock(11, 30)) {
		t.Errorf("an hour of a clock that is 30 minutes ahead ends at %s", got)
	}
	if got := wall.NextEnd(now); !got.Equal(clock(12, 30)) {
		t.Errorf("and the next at %s", got)
	}
}

func TestPointsOfASlidingPeriod(t *testing.T) {
	t.Parallel()
	d := on(1, 5*time.Minute)
	b := Buckets{}
	for minute := range 20 {
		var samples alarm.Bucket
		samples.Add(1, 1)
		b.Add(epoch.Add(time.Duration(minute)*time.Minute+time.Second), d.Step(), alarm.Sum, samples)
	}
	read := func(_ int, from time.Time) Value { return Of(b.Between(from, from.Add(d.Period), d.Step()), alarm.Sum) }
	points, err := d.Points(epoch.Add(23*time.Minute), read)
	if err != nil {
		t.Fatal(err)
	}
	var sums []float64
	for _, p := range points {
		sums = append(sums, p.Value)
	}
	if !slices.Equal(sums, []float64{5, 5, 2}) || !points[0].Time.Equal(epoch.Add(8*time.Minute)) {
		t.Errorf("%v from %s", sums, points[0].Time)
	}
	b.Forget(epoch.Add(10 * time.Minute))
	if len(b) != 10 {
		t.Errorf("%d buckets are left", len(b))
	}
}

func TestPointsOfMetricMath(t *testing.T) {
	t.Parallel()
	set, err := expression.NewSet([]expression.Query{{ID: "e"}, {ID: "r"}, {ID: "x", Expression: "100 * e / r", ReturnData: true}})
	if err != nil {
		t.Fatal(err)
	}
	d := on(2, time.Minute)
	d.Math, d.Metrics = set, []Metric{{ID: "e"}, {ID: "r"}}
	data := [][]Value{
		{{Value: 1}, {Missing: true}, {Value: 3}, {Value: 4}},
		{{Value: 10}, {Value: 10}, {Missing: true}, {Value: 8}},
	}
	points, err := d.Points(epoch.Add(4*time.Minute), func(metric int, from time.Time) Value { return data[metric][int(from.Sub(epoch)/time.Minute)] })
	if err != nil {
		t.Fatal(err)
	}
	want := []alarm.Point{
		{Time: epoch, Value: 10},
		{Time: epoch.Add(time.Minute), Value: 0},          // a missing operand is 0
		{Time: epoch.Add(2 * time.Minute), Missing: true}, // division by it gives nothing
		{Time: epoch.Add(3 * time.Minute), Value: 50},
	}
	if !slices.Equal(points, want) {
		t.Errorf("got  %+v\nwant %+v", points, want)
	}
}

func TestValidateNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	if v := on(1, time.Minute).Validate(); len(v) > 0 {
		t.Fatal(v)
	}
	for field, change := range map[string]func(*Definition){
		"alarm.namespace":                    func(d *Definition) { d.Metrics[0].Namespace = "" },
		"alarm.metric_name":                  func(d *Definition) { d.Metrics[0].Name = "" },
		"alarm.source.query":                 func(d *Definition) { d.Metrics[0].Query = "up" },
		"alarm.source":                       func(d *Definition) { d.Metrics[0].Source, d.Metrics[0].Statistic = Prometheus, "tm90" },
		"alarm.evaluation_window":            func(d *Definition) { d.WallClock, d.Period = true, 2*time.Minute },
		"alarm.evaluation_window.utc_offset": func(d *Definition) { d.WallClock, d.Offset = true, 3*time.Minute },
		"alarm.warm_up":                      func(d *Definition) { d.WarmUp = 2881 * time.Minute },
		"alarm.period":                       func(d *Definition) { d.Period = 90 * time.Second },
	} {
		d := on(1, time.Minute)
		change(&d)
		if v := d.Validate(); len(v) == 0 || v[0].Field != field {
			t.Errorf("%s: %v", field, v)
		}
	}
}
