package alarm

import (
	"math"
	"sort"
	"strconv"
	"strings"
)

// statistic is an extended statistic of CloudWatch: what is done with the samples between two bounds.
type statistic struct {
	kind         string // "p", "TM", "TC", "TS", "WM" or "PR"
	lower, upper limit
}

// limit is a bound of a range: a value, a percentile, or none.
type limit struct {
	set     bool
	percent bool
	value   float64
}

// parseStatistic reads p99.9, tm90, TM(10%:90%), IQM, PR(100:2000) and the like (CloudWatch: statistics definitions). tm90 is
// TM(:90%), and IQM is TM(25%:75%).
func parseStatistic(text string) (statistic, bool) {
	if text == "IQM" {
		return statistic{kind: "TM", lower: limit{true, true, 25}, upper: limit{true, true, 75}}, true
	}
	if kind, inner, found := strings.Cut(text, "("); found {
		return parseRange(kind, inner)
	}
	for prefix, kind := range map[string]string{"p": "p", "tm": "TM", "tc": "TC", "ts": "TS", "wm": "WM"} {
		if rest, found := strings.CutPrefix(text, prefix); found && rest != "" && rest[0] != 'm' {
			upper, ok := parseLimit(rest + "%")
			return statistic{kind: kind, upper: upper}, ok
		}
	}
	return statistic{}, false
}

func parseRange(kind, inner string) (statistic, bool) {
	inner, closed := strings.CutSuffix(inner, ")")
	from, to, both := strings.Cut(inner, ":")
	lower, ok1 := parseLimit(from)
	upper, ok2 := parseLimit(to)
	s := statistic{kind: kind, lower: lower, upper: upper}
	switch kind {
	case "TM", "TC", "TS", "WM", "PR":
	default:
		return s, false
	}
	alike := !lower.set || !upper.set || lower.percent == upper.percent && lower.value < upper.value
	percents := lower.percent || upper.percent
	return s, closed && both && ok1 && ok2 && (lower.set || upper.set) && alike && !(kind == "PR" && percents)
}

// parseLimit reads a bound: nothing, a number of at most ten decimals, or a percentage of 0 to 100.
func parseLimit(text string) (limit, bool) {
	if text == "" {
		return limit{}, true
	}
	text, percent := strings.CutSuffix(text, "%")
	whole, decimals, _ := strings.Cut(text, ".")
	if len(decimals) > 10 || strings.Trim(whole+decimals, "0123456789") != "" || whole == "" {
		return limit{}, false
	}
	v, err := strconv.ParseFloat(text, 64)
	return limit{true, percent, v}, err == nil && (!percent || v <= 100)
}

// of computes the statistic. Bounds are exclusive below and inclusive above; one in percent is the value at that percentile.
func (s statistic) of(b Bucket) (float64, bool) {
	values := b.sorted()
	if s.kind == "p" {
		return b.percentile(values, s.upper.value/100), true
	}
	low, high := math.Inf(-1), math.Inf(1)
	if s.lower.set {
		low = s.lower.at(b, values)
	}
	if s.upper.set {
		high = s.upper.at(b, values)
	}
	if s.kind == "WM" {
		return b.winsorized(low, high), true
	}
	count, sum := 0.0, 0.0
	for v, n := range b.Values {
		if v > low && v <= high {
			count, sum = count+n, sum+v*n
		}
	}
	switch s.kind {
	case "TC":
		return count, true
	case "TS":
		return sum, true
	case "PR":
		return 100 * count / b.Count, true
	default:
		return sum / count, count > 0
	}
}

func (l limit) at(b Bucket, values []float64) float64 {
	if l.percent {
		return b.percentile(values, l.value/100)
	}
	return l.value
}

// winsorized is the mean of the samples, where those outside the bounds count as the bound.
func (b Bucket) winsorized(low, high float64) float64 {
	sum := 0.0
	for v, n := range b.Values {
		sum += min(max(v, low), high) * n
	}
	return sum / b.Count
}

// sorted is the distinct samples.
func (b Bucket) sorted() []float64 {
	values := make([]float64, 0, len(b.Values))
	for v := range b.Values {
		values = append(values, v)
	}
	sort.Float64s(values)
	return values
}

// percentile is the value at rank p of the samples in order, interpolated between the two samples nearest to it.
func (b Bucket) percentile(values []float64, p float64) float64 {
	rank := p * (b.Count - 1)
	at := func(index float64) float64 {
		seen := 0.0
		for _, v := range values {
			if seen += b.Values[v]; index < seen {
				return v
			}
		}
		return values[len(values)-1]
	}
	low := math.Floor(rank)
	a, c := at(low), at(low+1)
	return a + (rank-low)*(c-a)
}
