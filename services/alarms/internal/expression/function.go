package expression

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// function is one function: its signatures, e.g. "AS>T" for an array and a scalar in, a series out; and what it does with
// arguments that fit one of them.
type function struct {
	signatures []string
	apply      func(g Grid, args []value) value
	// words are the words that an argument may be, by its place.
	words map[int][]string
	// sorts: SORT may go by this function.
	sorts bool
}

// words are what stands in capitals and is no function.
var words = []string{"REPEAT", "LINEAR", "ASC", "DESC"}

// refusals are CloudWatch's functions that are not here.
var refusals = map[string]string{
	"ANOMALY_DETECTION_BAND": "ANOMALY_DETECTION_BAND is not supported: there are no anomaly detection models here; compare with a number " +
		"or with another series",
	"SEARCH":              "SEARCH is not supported: CloudWatch allows it in graphs but not in alarms; name the metrics",
	"INSIGHT_RULE_METRIC": "INSIGHT_RULE_METRIC is not supported: there are no Contributor Insights rules here",
	"SERVICE_QUOTA":       "SERVICE_QUOTA is not supported: there are no service quotas here; write the quota as a number",
	"DB_PERF_INSIGHTS":    "DB_PERF_INSIGHTS is not supported: there is no Performance Insights here",
	"LAMBDA":              "LAMBDA is not supported: there are no connectors to other data sources here",
}

// METRICS and PERIOD are read by the evaluator, which knows the metrics of the alarm.
var functions = map[string]function{
	"METRICS": {signatures: []string{">A", "X>A"}},
	"PERIOD":  {signatures: []string{"T>S"}, apply: func(g Grid, _ []value) value { return scalar(g.Period.Seconds()) }},

	"ABS":   pointwise(math.Abs),
	"CEIL":  pointwise(math.Ceil),
	"FLOOR": pointwise(math.Floor),
	"LOG":   pointwise(math.Log),
	"LOG10": pointwise(math.Log10),

	"AVG":             statistic(true, func(values []float64, of int) float64 { return sum(values) / float64(of) }),
	"SUM":             statistic(true, func(values []float64, _ int) float64 { return sum(values) }),
	"MAX":             statistic(true, func(values []float64, _ int) float64 { return extreme(values, slices.Max[[]float64]) }),
	"MIN":             statistic(true, func(values []float64, _ int) float64 { return extreme(values, slices.Min[[]float64]) }),
	"STDDEV":          statistic(false, func(values []float64, _ int) float64 { return extreme(values, deviation) }),
	"DATAPOINT_COUNT": statistic(false, func(values []float64, _ int) float64 { return float64(len(values)) }),

	"DIFF":      pairwise(func(before, now float64, _ time.Duration) float64 { return now - before }),
	"DIFF_TIME": pairwise(func(_, _ float64, since time.Duration) float64 { return since.Seconds() }),
	"RATE":      pairwise(func(before, now float64, since time.Duration) float64 { return (now - before) / since.Seconds() }),
	"RUNNING_SUM": serieswise(func(_ Grid, s Series) Series {
		total := 0.0
		return s.each(func(v float64) float64 { total += v; return total })
	}),

	"FILL": {signatures: []string{"TS>T", "TT>T", "TW>T", "AS>A", "AT>A", "AW>A"}, words: map[int][]string{1: {"REPEAT", "LINEAR"}}, apply: fill},
	"IF":   {signatures: []string{"TS>T", "TT>T", "TSS>T", "TST>T", "TTS>T", "TTT>T", "ST>T", "STT>T"}, apply: choose},

	"METRIC_COUNT": {signatures: []string{"A>S"}, apply: func(_ Grid, args []value) value { return scalar(float64(len(args[0].series))) }},
	"FIRST":        {signatures: []string{"A>T"}, apply: func(g Grid, args []value) value { return end(g, args[0].series, false) }},
	"LAST":         {signatures: []string{"A>T"}, apply: func(g Grid, args []value) value { return end(g, args[0].series, true) }},
	"SLICE":        {signatures: []string{"AS>A", "ASS>A"}, apply: slice},
	"SORT":         {signatures: []string{"AWW>A", "AWWS>A"}, words: map[int][]string{1: {"AVG", "MIN", "MAX", "SUM"}, 2: {"ASC", "DESC"}}, apply: sortBy},
	"REMOVE_EMPTY": {signatures: []string{"A>A"}, apply: func(_ Grid, args []value) value {
		return array(slices.DeleteFunc(slices.Clone(args[0].series), func(s Series) bool { return len(s.real()) == 0 }))
	}},
	"TIME_SERIES": {signatures: []string{"S>T"}, apply: func(g Grid, args []value) value { return one(everywhere(g, args[0].scalar)) }},

	"MINUTE": ofTime(time.Time.Minute),
	"HOUR":   ofTime(time.Time.Hour),
	"DAY":    ofTime(func(t time.Time) int { return (int(t.Weekday())+6)%7 + 1 }),
	"DATE":   ofTime(time.Time.Day),
	"MONTH":  ofTime(func(t time.Time) int { return int(t.Month()) }),
	"YEAR":   ofTime(time.Time.Year),
	"EPOCH":  ofTime(func(t time.Time) int { return int(t.Unix()) }),
}

// sortKey is what SORT compares.
func sortKey(name string, s Series) float64 {
	switch name {
	case "AVG":
		return sum(s.real()) / float64(len(s))
	case "SUM":
		return sum(s.real())
	case "MAX":
		return extreme(s.real(), slices.Max[[]float64])
	}
	return extreme(s.real(), slices.Min[[]float64])
}

func sortBy(_ Grid, args []value) value {
	out := slices.Clone(args[0].series)
	slices.SortStableFunc(out, func(a, b Series) int {
		x, y := sortKey(args[1].text, a), sortKey(args[1].text, b)
		switch {
		case IsMissing(x) || IsMissing(y): // what has no value is last, whatever the order
			return cmp.Compare(truth(IsMissing(x)), truth(IsMissing(y)))
		case args[2].text == "DESC":
			return cmp.Compare(y, x)
		}
		return cmp.Compare(x, y)
	})
	if len(args) == 4 {
		out = out[:index(args[3], len(out))]
	}
	return array(out)
}

func slice(_ Grid, args []value) value {
	all := args[0].series
	from, to := index(args[1], len(all)), len(all)
	if len(args) == 3 {
		to = max(from, index(args[2], len(all)))
	}
	return array(all[from:to])
}

// index is a scalar as a place from 0 to size.
func index(v value, size int) int {
	return int(math.Max(0, math.Min(math.Floor(orZero(v.scalar)), float64(size))))
}

func end(g Grid, of []Series, last bool) value {
	switch {
	case len(of) == 0:
		return one(g.Empty())
	case last:
		return one(of[len(of)-1])
	}
	return one(of[0])
}

func everywhere(g Grid, v float64) Series {
	out := make(Series, g.Count)
	for i := range out {
		out[i] = v
	}
	return out
}
