package metrics

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/slipway-deploy/slipway/platform/problem"
)

func TestStatisticsAreSpelledAsCloudWatchDoes(t *testing.T) {
	for statistic, ok := range map[string]bool{
		"SampleCount": true, "Average": true, "Sum": true, "Minimum": true, "Maximum": true, "IQM": true,
		"p0": true, "p50": true, "p99.9": true, "p99.9999999999": true, "p100": true, "tm90": true, "tc99.5": true, "ts10": true, "wm98": true,
		"PR(:300)": true, "PR(100:2000)": true, "TM(10%:90%)": true, "TC(0.005:0.030)": true, "TS(80%:)": true, "WM(:95%)": true,
		"": false, "average": false, "p": false, "p101": false, "p-1": false, "p99.99999999999": false, "P99": false, "PR": false, "PR()": false,
		"tm": false, "iqm": false, "p50%": false,
	} {
		q := Query{MetricName: "x", Statistic: statistic, Period: time.Minute}
		if err := q.Validate(); (err == nil) != ok {
			t.Errorf("%q: %v", statistic, err)
		}
	}
	if p, ok := Percentile("p99.9"); p != 99.9 || !ok {
		t.Error(p, ok)
	}
	if _, ok := Percentile("tm99"); ok {
		t.Error("tm99 is no percentile")
	}
}

func TestEveryBrokenRuleIsReported(t *testing.T) {
	dimensions := map[string]string{}
	for i := range MaxDimensions + 1 {
		dimensions[strings.Repeat("d", i+1)] = "v"
	}
	q := Query{Namespace: strings.Repeat("n", 256), Dimensions: dimensions, Period: 1500 * time.Millisecond}
	var p *problem.Error
	if err := q.Validate(); !errors.As(err, &p) || len(p.Violations) != 5 {
		t.Errorf("%v", err)
	}
	if err := (Query{Expr: "up", Period: time.Minute, Namespace: "x", Unit: "Count"}).Validate(); err != nil {
		t.Error(err)
	}
	if err := (Query{Expr: strings.Repeat("x", MaxExprLength+1), Period: time.Minute}).Validate(); !errors.Is(err, problem.InvalidArgument) {
		t.Error(err)
	}
}

func TestPeriods(t *testing.T) {
	q := Query{Expr: "up", Period: time.Minute}
	from := time.Unix(1000, 0)
	for after, want := range map[time.Duration]int{-time.Hour: 0, 0: 0, 1: 1, time.Minute: 1, time.Minute + 1: 2, MaxPoints * time.Minute: MaxPoints} {
		if got, err := q.Periods(from, from.Add(after)); got != want || err != nil {
			t.Errorf("%s: %d %v, want %d", after, got, err, want)
		}
	}
	if _, err := q.Periods(from, from.Add(MaxPoints*time.Minute+1)); !errors.Is(err, problem.InvalidArgument) {
		t.Error(err)
	}
	if _, err := q.Periods(from.Add(1), from.Add(time.Hour)); !errors.Is(err, problem.InvalidArgument) {
		t.Error(err)
	}
}
