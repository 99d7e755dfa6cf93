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

// of computes the statistic. Bounds that are values are exclusive below and inclusive above. Bounds in percent are places in the
// order of the samples; a sample that lies on one counts in part, so that the middle of equal samples is not empty.
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
	count, sum := b.between(s, values, low, high)
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

// between is the number and the sum of the samples between the bounds.
func (b Bucket) between(s statistic, values []float64, low, high float64) (count, sum float64) {
	percent := s.lower.percent || s.upper.percent
	if percent {
		low, high = s.lower.value/100*b.Count, b.Count
		if s.upper.set {
			high = s.upper.value / 100 * b.Count
		}
	}
	seen := 0.0
	for _, v := range values {
		n := b.Values[v]
		switch {
		case percent:
			seen += n
			n = max(0, min(seen, high)-max(seen-n, low))
		case v <= low || v > high:
			n = 0
		}
		count, sum = count+n, sum+v*n
	}
	return count, sum
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

// Extended reports whether a statistic needs every single sample: percentiles, trimmed means and the like.
func Extended(text string) bool {
	_, ok := parseStatistic(text)
	return ok
}

// ValidStatistic reports whether a text is a statistic in CloudWatch's spelling.
func ValidStatistic(text string) bool {
	switch text {
	case SampleCount, Average, Sum, Minimum, Maximum:
		return true
	}
	return Extended(text)
}
