package requestmetrics

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// lines renders data one in a line, without times that a bucket rounds.
func lines(data []Datum) []string {
	var all []string
	for _, d := range data {
		var dims []string
		for _, dim := range d.Dimensions {
			dims = append(dims, dim.Name+"="+dim.Value)
		}
		all = append(all, fmt.Sprintf("%s{%s} %vx%v %s", d.Name, strings.Join(dims, ","), d.Values, d.Counts, d.Unit))
	}
	return all
}

func TestCollectHasTheNamesAndDimensionsOfALoadBalancer(t *testing.T) {
	r := NewRegistry()
	green := r.Group("shop/web", "green")
	r.Group("shop/web", "blue")
	other := r.Group("shop/api", "green")
	for range 3 {
		green.Request()
	}
	green.Answered(200, 250*time.Millisecond)
	green.Answered(503, 250*time.Millisecond)
	green.Failed()
	green.ConnectFailed()
	other.Request()
	other.Answered(404, 500*time.Millisecond)
	want := []string{
		"RequestCount{TargetGroup=blue} [0]x[1] Count",
		"RequestCount{TargetGroup=green} [1]x[4] Count",
		"HTTPCode_Target_2XX_Count{TargetGroup=green} [1]x[1] Count",
		"HTTPCode_Target_4XX_Count{TargetGroup=green} [1]x[1] Count",
		"HTTPCode_Target_5XX_Count{TargetGroup=green} [1]x[1] Count",
		"HTTPCode_ELB_5XX_Count{TargetGroup=green} [1]x[1] Count",
		"TargetConnectionErrorCount{TargetGroup=green} [1]x[1] Count",
		"TargetResponseTime{TargetGroup=green} [0.25 0.5]x[2 1] Seconds",
		"RequestCount{LoadBalancer=shop/api} [1]x[1] Count",
		"HTTPCode_Target_4XX_Count{LoadBalancer=shop/api} [1]x[1] Count",
		"TargetResponseTime{LoadBalancer=shop/api} [0.5]x[1] Seconds",
		"RequestCount{TargetGroup=green,LoadBalancer=shop/api} [1]x[1] Count",
		"HTTPCode_Target_4XX_Count{TargetGroup=green,LoadBalancer=shop/api} [1]x[1] Count",
		"TargetResponseTime{TargetGroup=green,LoadBalancer=shop/api} [0.5]x[1] Seconds",
		"RequestCount{LoadBalancer=shop/web} [1]x[3] Count",
		"HTTPCode_Target_2XX_Count{LoadBalancer=shop/web} [1]x[1] Count",
		"HTTPCode_Target_5XX_Count{LoadBalancer=shop/web} [1]x[1] Count",
		"HTTPCode_ELB_5XX_Count{LoadBalancer=shop/web} [1]x[1] Count",
		"TargetConnectionErrorCount{LoadBalancer=shop/web} [1]x[1] Count",
		"TargetResponseTime{LoadBalancer=shop/web} [0.25]x[2] Seconds",
		"RequestCount{TargetGroup=blue,LoadBalancer=shop/web} [0]x[1] Count",
		"RequestCount{TargetGroup=green,LoadBalancer=shop/web} [1]x[3] Count",
		"HTTPCode_Target_2XX_Count{TargetGroup=green,LoadBalancer=shop/web} [1]x[1] Count",
		"HTTPCode_Target_5XX_Count{TargetGroup=green,LoadBalancer=shop/web} [1]x[1] Count",
		"HTTPCode_ELB_5XX_Count{TargetGroup=green,LoadBalancer=shop/web} [1]x[1] Count",
		"TargetConnectionErrorCount{TargetGroup=green,LoadBalancer=shop/web} [1]x[1] Count",
		"TargetResponseTime{TargetGroup=green,LoadBalancer=shop/web} [0.25]x[2] Seconds",
	}
	if got := lines(r.Collect(noon)); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, d := range r.Collect(noon) {
		if d.Name != "RequestCount" || d.Values[0] != 0 || !d.Time.Equal(noon) {
			t.Errorf("a period without a request has %v", d)
		}
	}
}

func TestARemovedGroupIsStillCollectedWhenARequestEndsLate(t *testing.T) {
	r := NewRegistry()
	g := r.Group("shop/web", "blue")
	r.Retain("shop/web", nil)
	if data := r.Collect(noon); len(data) != 0 {
		t.Errorf("a removed group without a request has %v", lines(data))
	}
	g.Answered(200, time.Second)
	if got := lines(r.Collect(noon.Add(time.Minute))); !slices.Contains(got, "HTTPCode_Target_2XX_Count{TargetGroup=blue} [1]x[1] Count") {
		t.Errorf("the late answer is missing: %v", got)
	}
	g.Answered(200, time.Second)
	r.Group("shop/web", "blue").Answered(200, time.Second)
	if got := lines(r.Collect(noon.Add(2 * time.Minute))); !slices.Contains(got, "HTTPCode_Target_2XX_Count{TargetGroup=blue} [1]x[2] Count") {
		t.Errorf("the group that came back: %v", got)
	}
	r.Collect(noon.Add(2*time.Minute + keepRemoved))
	if len(r.removed) != 0 {
		t.Error("a removed group is kept for good")
	}
}

func TestResponseTimesKeepTheirSumAndAreNeverFarOff(t *testing.T) {
	h := &histogram{}
	var sum time.Duration
	for d := time.Duration(1); d < 2*time.Hour; d = d*11/10 + 1 {
		single := &histogram{}
		single.add(d)
		if i, j := bucket(d), bucket(d+d/8+1); i > j {
			t.Fatalf("%v is in bucket %d, a longer time in %d", d, i, j)
		}
		h.add(d)
		sum += d
	}
	values, counts := h.values()
	total := 0.0
	for i := range values {
		total += values[i] * counts[i]
	}
	if math.Abs(total-sum.Seconds()) > 1e-6*sum.Seconds() {
		t.Errorf("the sum is %v, want %v", total, sum.Seconds())
	}
	if !slices.IsSorted(values) {
		t.Error("values are out of order")
	}
	for d := 2 * time.Microsecond; d < time.Hour; d *= 3 {
		low := d
		for bucket(low-low/1000-1) == bucket(d) {
			low -= low/1000 + 1
		}
		if float64(d-low) > 0.0635*float64(low) {
			t.Errorf("the bucket of %v begins at %v", d, low)
		}
	}
}

func TestManyDistinctTimesAreSpreadOverData(t *testing.T) {
	r := NewRegistry()
	g := r.Group("shop/web", "blue")
	for d := time.Microsecond; d < time.Hour; d += d / 10 {
		g.Answered(200, d)
	}
	total := 0.0
	for _, d := range r.Collect(noon) {
		if len(d.Values) > maxValues || len(d.Values) != len(d.Counts) {
			t.Errorf("%s has %d values and %d counts", d.Name, len(d.Values), len(d.Counts))
		}
		if d.Name == "HTTPCode_Target_2XX_Count" {
			total -= d.Counts[0]
		}
		if d.Name == "TargetResponseTime" {
			for _, n := range d.Counts {
				total += n
			}
		}
	}
	if total != 0 {
		t.Errorf("response times and answers differ by %v", total)
	}
}
