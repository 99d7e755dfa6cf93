package expression

import (
	"math"
	"time"
)

// Grid is the points in time that all the series of an alarm share.
type Grid struct {
	// Start is the first point.
	Start time.Time
	// Period is the time from a point to the next, at least a second.
	Period time.Duration
	// Count is the number of points.
	Count int
}

// Time is the time of point i, from 0.
func (g Grid) Time(i int) time.Time { return g.Start.Add(time.Duration(i) * g.Period) }

// Index is the point of a time, or -1 if the grid has none there.
func (g Grid) Index(t time.Time) int {
	since := t.Sub(g.Start)
	if since < 0 || since%g.Period != 0 || int(since/g.Period) >= g.Count {
		return -1
	}
	return int(since / g.Period)
}

// Empty returns a series without any value.
func (g Grid) Empty() Series {
	s := make(Series, g.Count)
	for i := range s {
		s[i] = Missing()
	}
	return s
}

// Series has one value for each point of a grid, the oldest first. Where there is none it has NaN, which Missing makes and
// IsMissing knows.
type Series []float64

// Missing is the value of a point that has none.
func Missing() float64 { return math.NaN() }

// IsMissing tells whether the point has no value.
func IsMissing(value float64) bool { return math.IsNaN(value) }

// finite is the value, or none if it is infinite.
func finite(value float64) float64 {
	if math.IsInf(value, 0) {
		return Missing()
	}
	return value
}

func orZero(value float64) float64 {
	if IsMissing(value) {
		return 0
	}
	return value
}

// each maps the points that have a value.
func (s Series) each(f func(float64) float64) Series {
	out := make(Series, len(s))
	for i, value := range s {
		out[i] = value
		if !IsMissing(value) {
			out[i] = finite(f(value))
		}
	}
	return out
}

// real returns the values without the missing ones.
func (s Series) real() []float64 {
	var out []float64
	for _, value := range s {
		if !IsMissing(value) {
			out = append(out, value)
		}
	}
	return out
}
