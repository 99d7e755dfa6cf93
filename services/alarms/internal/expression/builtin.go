package expression

import (
	"math"
	"time"
)

// serieswise is a function of each series by itself.
func serieswise(f func(Grid, Series) Series) function {
	return function{signatures: []string{"T>T", "A>A"}, apply: func(g Grid, args []value) value {
		return args[0].each(func(s Series) Series { return f(g, s) })
	}}
}

// pointwise is a function of each value by itself.
func pointwise(f func(float64) float64) function {
	return serieswise(func(_ Grid, s Series) Series { return s.each(f) })
}

// pairwise is a function of each value and the one before it, however long ago; the first value has none.
func pairwise(f func(before, now float64, since time.Duration) float64) function {
	return serieswise(func(g Grid, s Series) Series {
		out, last := g.Empty(), -1
		for i, now := range s {
			if IsMissing(now) {
				continue
			}
			if last >= 0 {
				out[i] = finite(f(s[last], now, time.Duration(i-last)*g.Period))
			}
			last = i
		}
		return out
	})
}

// ofTime is a function of the times of the points.
func ofTime(f func(time.Time) int) function {
	return function{signatures: []string{"T>T"}, apply: func(g Grid, _ []value) value {
		out := make(Series, g.Count)
		for i := range out {
			out[i] = float64(f(g.Time(i).UTC()))
		}
		return one(out)
	}}
}

// statistic is a function of the values of one series, or of the values that an array has at each point; of is how many there
// would be if none was missing. A point of an array without any value has no result.
func statistic(sorts bool, f func(values []float64, of int) float64) function {
	return function{signatures: []string{"T>S", "A>T"}, sorts: sorts, apply: func(g Grid, args []value) value {
		if args[0].kind == kindSeries {
			return scalar(finite(f(args[0].series[0].real(), g.Count)))
		}
		out := g.Empty()
		for i := range out {
			var across Series
			for _, s := range args[0].series {
				across = append(across, s[i])
			}
			if values := across.real(); len(values) > 0 {
				out[i] = finite(f(values, len(across)))
			}
		}
		return one(out)
	}}
}

func sum(values []float64) float64 {
	total := 0.0
	for _, v := range values {
		total += v
	}
	return total
}

// extreme is f of the values, or no value if there are none.
func extreme(values []float64, f func([]float64) float64) float64 {
	if len(values) == 0 {
		return Missing()
	}
	return f(values)
}

// deviation is the standard deviation of a whole population.
func deviation(values []float64) float64 {
	mean, squares := sum(values)/float64(len(values)), 0.0
	for _, v := range values {
		squares += (v - mean) * (v - mean)
	}
	return math.Sqrt(squares / float64(len(values)))
}

func fill(_ Grid, args []value) value {
	filler := args[1]
	return args[0].each(func(s Series) Series {
		out := append(Series(nil), s...)
		last := -1
		for i, v := range s {
			switch {
			case !IsMissing(v) && filler.text == "LINEAR" && last >= 0:
				for gap := last + 1; gap < i; gap++ {
					out[gap] = finite(s[last] + (v-s[last])*float64(gap-last)/float64(i-last))
				}
				last = i
			case !IsMissing(v):
				last = i
			case filler.text == "REPEAT" && last >= 0:
				out[i] = s[last]
			case filler.kind != kindWord:
				out[i] = filler.at(i)
			}
		}
		return out
	})
}

// choose is IF.
func choose(g Grid, args []value) value {
	condition, then := args[0], args[1]
	otherwise := scalar(Missing())
	if len(args) == 3 {
		otherwise = args[2]
	}
	out := g.Empty()
	for i := range out {
		switch holds := condition.at(i); {
		case IsMissing(holds):
		case holds != 0 && condition.kind == kindSeries:
			out[i] = orZero(then.at(i))
		case holds != 0:
			out[i] = then.at(i)
		default:
			out[i] = otherwise.at(i)
		}
	}
	return one(out)
}
