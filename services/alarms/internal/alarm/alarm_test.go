package alarm

import (
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// row reads "0-X-X": 0 not breaching, X breaching, - missing, newest right.
func row(text string) []Point {
	var points []Point
	for i, r := range text {
		p := Point{Time: epoch.Add(time.Duration(i) * time.Minute), Samples: 1}
		switch r {
		case 'X':
			p.Value = 1
		case '-':
			p.Missing = true
		}
		points = append(points, p)
	}
	return points
}

func definition(n, m int, missing Missing) Definition {
	return Definition{Statistic: Sum, Period: time.Minute, EvaluationPeriods: n, DatapointsToAlarm: m, Comparison: Greater, Missing: missing}
}

// The rows of CloudWatch's "Configuring how CloudWatch alarms treat missing data", in the order missing, ignore, breaching,
// notBreaching. RETAIN keeps the state.
func TestDocumentedRowsOfMissingData(t *testing.T) {
	t.Parallel()
	const retain = State("RETAIN")
	for _, c := range []struct {
		m      int
		points string
		want   [4]State
	}{
		{3, "0-X-X", [4]State{OK, OK, OK, OK}},
		{3, "0----", [4]State{OK, OK, OK, OK}},
		{3, "-----", [4]State{InsufficientData, retain, Alarm, OK}},
		{3, "0XX-X", [4]State{Alarm, Alarm, Alarm, Alarm}},
		{3, "--X--", [4]State{Alarm, retain, Alarm, OK}},
		{2, "0-X-X", [4]State{Alarm, Alarm, Alarm, Alarm}},
		{2, "00X0X", [4]State{Alarm, Alarm, Alarm, Alarm}},
		{2, "0-X--", [4]State{OK, OK, Alarm, OK}},
		{2, "----0", [4]State{OK, OK, Alarm, OK}},
		{2, "---X-", [4]State{Alarm, retain, Alarm, OK}},
		{3, "---X0", [4]State{OK, OK, OK, OK}},
		{3, "--X-0", [4]State{OK, OK, OK, OK}},
		{3, "----X", [4]State{retain, retain, Alarm, OK}},
	} {
		for i, missing := range []Missing{AsMissing, Ignore, Breaching, NotBreaches} {
			for _, was := range States() {
				want := c.want[i]
				if want == retain {
					want = was
				}
				if got := Evaluate(definition(3, c.m, missing), was, row(c.points), epoch); got.State != want {
					t.Errorf("%s M=%d %s in %s: %s, want %s", c.points, c.m, missing, was, got.State, want)
				}
			}
		}
	}
}

func TestNoAlarmWithFewerThanMBreachingPoints(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 6).Draw(t, "n")
		m := rapid.IntRange(1, n).Draw(t, "m")
		d := definition(n, m, NotBreaches)
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"0", "X", "-"}), d.Range(), d.Range()).Draw(t, "points"), "")
		got := Evaluate(d, OK, row(text), epoch)
		if breaching := strings.Count(text, "X"); got.State == Alarm && breaching < m {
			t.Fatalf("%s with %d breaching points: ALARM", text, breaching)
		}
		if strings.Count(text, "X") == d.Range() && got.State != Alarm {
			t.Fatalf("%s: %s", text, got.State)
		}
	})
}

func TestReasonsHaveTheShapesOfCloudWatch(t *testing.T) {
	t.Parallel()
	at := time.Date(2019, 10, 2, 16, 59, 0, 0, time.UTC)
	one := definition(1, 1, AsMissing)
	one.Threshold = 21
	if got := Evaluate(one, OK, []Point{{Time: at, Value: 21.5, Samples: 1}}, epoch); got.Reason != "Threshold Crossed: 1 datapoint [21.5 (02/10/19 16:59:00)] was greater than the threshold (21.0)." {
		t.Error(got.Reason)
	}
	two := definition(2, 1, Breaching)
	if got := Evaluate(two, OK, row("----"), epoch); got.Reason != "Threshold Crossed: no datapoints were received for 2 periods and 2 missing datapoints were treated as [Breaching]." {
		t.Error(got.Reason)
	}
	two.Threshold = 0.5
	if got := Evaluate(two, OK, row("00X"), epoch); got.Reason != "Threshold Crossed: 1 out of the last 2 datapoints [1.0 (01/01/26 00:02:00)] was greater than the threshold (0.5) (minimum 1 datapoint for OK -> ALARM transition)." {
		t.Error(got.Reason)
	}
}

func TestComparisonOperators(t *testing.T) {
	t.Parallel()
	for c, want := range map[Comparison][3]bool{ // below, at, above the threshold
		Greater: {false, false, true}, GreaterOrEqual: {false, true, true}, Less: {true, false, false}, LessOrEqual: {true, true, false},
	} {
		for i, v := range []float64{1, 2, 3} {
			if c.breaches(v, 2) != want[i] {
				t.Errorf("%v %s 2", v, c)
			}
		}
	}
}

func TestStatistics(t *testing.T) {
	t.Parallel()
	var b Bucket
	for _, v := range []float64{1, 2, 3, 4} {
		b.Add(v, 1)
	}
	b.AddSet(2, 10, 5, 5)
	for statistic, want := range map[string]float64{SampleCount: 6, Sum: 20, Minimum: 1, Maximum: 5, Average: 20.0 / 6, "p0": 1, "p50": 3.5, "p100": 5} {
		if got, ok := b.Statistic(Definition{Statistic: statistic}); !ok || math.Abs(got-want) > 1e-9 {
			t.Errorf("%s: %v, want %v", statistic, got, want)
		}
	}
	b.AddSet(3, 9, 1, 5)
	if _, ok := b.Statistic(Definition{Statistic: "p50"}); ok {
		t.Error("a percentile of samples that are not known")
	}
}

func TestExtendedStatistics(t *testing.T) {
	t.Parallel()
	var b Bucket
	for v := range 10 {
		b.Add(float64(v+1), 1) // 1 to 10
	}
	b.Add(100, 10)
	for statistic, want := range map[string]float64{
		"p0": 1, "p50": 55, "p100": 100,
		"tm50": 5.5, "TM(:50%)": 5.5, "TM(2:4)": 3.5, "TM(10:)": 100, "TM(25%:75%)": (6 + 7 + 8 + 9 + 10 + 100*5) / 10.0,
		"tc50": 10, "TC(2:4)": 2, "ts50": 55, "TS(9:100)": 1010,
		"wm50": (55 + 550) / 20.0, "WM(2:4)": (2 + 2 + 3 + 4*17) / 20.0, "WM(:4)": (1 + 2 + 3 + 4*17) / 20.0,
		"IQM": (6 + 7 + 8 + 9 + 10 + 100*5) / 10.0, "PR(:10)": 50, "PR(2:4)": 10, "PR(10:)": 50,
	} {
		if got, ok := b.Statistic(Definition{Statistic: statistic}); !ok || math.Abs(got-want) > 1e-9 {
			t.Errorf("%s: %v %t, want %v", statistic, got, ok, want)
		}
	}
	if _, ok := b.Statistic(Definition{Statistic: "TM(20:30)"}); ok {
		t.Error("the mean of no sample")
	}
	for _, bad := range []string{
		"p", "p101", "p1.12345678901", "p-1", "tm", "tmm90", "xx90", "TM", "TM()", "TM(:)", "TM(1%:2)", "TM(5:4)", "TM(1:2", "PR(1%:2%)", "IQM(1:2)", "p1e1", "TM(:101%)",
	} {
		if _, ok := parseStatistic(bad); ok {
			t.Errorf("%s is taken", bad)
		}
	}
}

func TestMinSamplesOfPercentiles(t *testing.T) {
	t.Parallel()
	for p, want := range map[float64]float64{0.99: 1000, 0.95: 200, 0.9: 100, 0.5: 20, 0.1: 100, 0.01: 1000} {
		if got := MinSamples(p); got != want {
			t.Errorf("p%v: %v, want %v", p*100, got, want)
		}
	}
}

func TestValidateNamesFieldAndRule(t *testing.T) {
	t.Parallel()
	good := definition(3, 2, AsMissing)
	if v := good.Validate(); len(v) > 0 {
		t.Fatal(v)
	}
	for field, change := range map[string]func(*Definition){
		"alarm.period":                               func(d *Definition) { d.Period = 45 * time.Second },
		"alarm.evaluation_periods":                   func(d *Definition) { d.EvaluationPeriods = 2000 },
		"alarm.datapoints_to_alarm":                  func(d *Definition) { d.DatapointsToAlarm = 4 },
		"alarm.statistic":                            func(d *Definition) { d.Statistic = "" },
		"alarm.extended_statistic":                   func(d *Definition) { d.Statistic = "p101" },
		"alarm.evaluate_low_sample_count_percentile": func(d *Definition) { d.IgnoreLowSamples = true },
	} {
		d := good
		change(&d)
		if v := d.Validate(); len(v) != 1 || v[0].Field != field {
			t.Errorf("%s: %v", field, v)
		}
	}
	huge := good
	huge.EvaluationPeriods = 307_445_735 // times a minute overflows to 26 s
	if len(huge.Validate()) == 0 {
		t.Errorf("%d periods of %s are valid", huge.EvaluationPeriods, huge.Period)
	}
}
