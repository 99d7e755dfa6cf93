package alarm

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"
)

func TestReasonsOfEachCase(t *testing.T) {
	t.Parallel()
	explicit := func(n, m int, missing Missing) Definition {
		d := definition(n, m, missing)
		d.Explicit = true
		return d
	}
	low := definition(1, 1, AsMissing)
	low.Statistic, low.IgnoreLowSamples = "p99", true
	for _, c := range []struct {
		d      Definition
		points string
		want   string
	}{
		{explicit(1, 1, AsMissing), "--X", "Threshold Crossed: 1 out of the last 1 datapoints [1.0 (01/01/26 00:02:00)] was greater than the threshold (0.0) " +
			"(minimum 1 datapoint for OK -> ALARM transition)."},
		{definition(1, 1, AsMissing), "--0", "Threshold Crossed: 1 datapoint [0.0 (01/01/26 00:02:00)] was not greater than the threshold (0.0)."},
		{definition(3, 3, Breaching), "---XX", "Threshold Crossed: 2 out of the last 3 datapoints [1.0 (01/01/26 00:03:00), 1.0 (01/01/26 00:04:00)] were " +
			"greater than the threshold (0.0) and 1 missing datapoint was treated as [Breaching] (minimum 3 datapoints for OK -> ALARM transition)."},
		{definition(3, 2, NotBreaches), "----0", "Threshold Crossed: 1 out of the last 3 datapoints [0.0 (01/01/26 00:04:00)] was not greater than the " +
			"threshold (0.0) and 2 missing datapoints were treated as [NonBreaching] (minimum 2 datapoints for ALARM -> OK transition)."},
		{definition(2, 2, NotBreaches), "----", "Threshold Crossed: no datapoints were received for 2 periods and 2 missing datapoints were treated as [NonBreaching]."},
		{definition(1, 1, AsMissing), "---", "Insufficient Data: 1 datapoint was unknown."},
		{definition(2, 2, Ignore), "----", "State kept: 2 datapoints were missing and treated as [Ignored]."},
		{definition(3, 3, AsMissing), "----X", "State kept: the only datapoint received was greater than the threshold (0.0), which is not enough for ALARM (minimum 3 datapoints)."},
		{low, "--X", "State kept: p99 needs 1000.0 samples, and a datapoint has fewer."},
	} {
		if got := Evaluate(c.d, OK, row(c.points), epoch); got.Reason != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.points, got.Reason, c.want)
		}
	}
}

func TestReasonDataHasWhatWasEvaluated(t *testing.T) {
	t.Parallel()
	d := definition(3, 2, AsMissing)
	d.Unit = "Count"
	now := epoch.Add(5*time.Minute + 40*time.Second)
	got := Evaluate(d, OK, row("XX-X-"), now)
	want := `{"version":"1.0","queryDate":"2026-01-01T00:05:40.000+0000","startDate":"2026-01-01T00:00:00.000+0000","unit":"Count","statistic":"Sum",` +
		`"period":60,"recentDatapoints":[1,1,1],"threshold":0,"evaluatedDatapoints":[{"timestamp":"2026-01-01T00:04:00.000+0000"},` +
		`{"timestamp":"2026-01-01T00:03:00.000+0000","sampleCount":1,"value":1},{"timestamp":"2026-01-01T00:02:00.000+0000"},` +
		`{"timestamp":"2026-01-01T00:01:00.000+0000","sampleCount":1,"value":1},{"timestamp":"2026-01-01T00:00:00.000+0000","sampleCount":1,"value":1}]}`
	if got.Data != want {
		t.Errorf("got  %s\nwant %s", got.Data, want)
	}
	if got := Evaluate(d, OK, row("-----"), now); strings.Contains(got.Data, "startDate") || !strings.Contains(got.Data, `"recentDatapoints":[]`) {
		t.Errorf("without data: %s", got.Data)
	}
}

func TestReasonsKeepToTheLimits(t *testing.T) {
	t.Parallel()
	got := Evaluate(definition(1000, 1000, AsMissing), OK, row(strings.Repeat("X", 1333)), epoch)
	if len(got.Reason) > MaxReason || !strings.HasPrefix(got.Reason, "Threshold Crossed: 1000 out of the last 1000 datapoints [..., 1.0 (") ||
		!strings.HasSuffix(got.Reason, "(minimum 1000 datapoints for OK -> ALARM transition).") {
		t.Errorf("%d characters: %s", len(got.Reason), got.Reason)
	}
	var data reasonData
	if err := json.Unmarshal([]byte(got.Data), &data); err != nil || len(got.Data) > MaxReasonData || len(data.EvaluatedDatapoints) < 20 {
		t.Errorf("%d characters, %v: %s", len(got.Data), err, got.Data)
	}
	if newest := data.EvaluatedDatapoints[0].Timestamp; newest != "2026-01-01T22:12:00.000+0000" {
		t.Errorf("the newest is of %s", newest)
	}
}

func TestTooFewSamplesKeepTheState(t *testing.T) {
	t.Parallel()
	for statistic, need := range map[string]float64{"p99": 1000, "p95": 200, "p90": 100, "p50": 20, "p10": 100, "p1": 1000, "p99.99": 100_000, "p99.9999": 10_000_000} {
		d := definition(1, 1, AsMissing)
		d.Statistic, d.IgnoreLowSamples = statistic, true
		for samples, want := range map[float64]State{need - 1: OK, need: Alarm} {
			points := row("0-X")
			points[0].Samples, points[2].Samples = 1, samples // the old point is not evaluated
			if got := Evaluate(d, OK, points, epoch); got.State != want || got.Kept != (want == OK) {
				t.Errorf("%s of %v samples: %+v", statistic, samples, got)
			}
		}
		d.IgnoreLowSamples = false
		if got := Evaluate(d, OK, row("--X"), epoch); got.State != Alarm || got.Kept {
			t.Errorf("%s of 1 sample, evaluated: %+v", statistic, got)
		}
	}
}

func TestEqualSamplesHaveAMiddle(t *testing.T) {
	t.Parallel()
	var b Bucket
	b.Add(7, 3)
	for statistic, want := range map[string]float64{"IQM": 7, "tm90": 7, "TM(10%:90%)": 7, "wm98": 7, "p99": 7, "TC(0%:50%)": 1.5, "PR(:7)": 100, "PR(7:)": 0} {
		if got, ok := b.Statistic(Definition{Statistic: statistic}); !ok || math.Abs(got-want) > 1e-9 {
			t.Errorf("%s: %v %t, want %v", statistic, got, ok, want)
		}
	}
}
