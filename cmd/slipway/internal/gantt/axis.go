package gantt

import (
	"slices"
	"time"
)

// Axis maps times to places between 0 and 1. Between two moments it is true to scale; a long wait beside short ones is drawn
// shorter than it is, and marked as such, so that the rest can be seen.
type Axis struct {
	Moments []time.Duration // from 0 on, growing
	places  []float64       // of the moments, from 0 to 1
	Breaks  []Break
}

// Break is a part of the axis that is drawn shorter than it is.
type Break struct{ From, To time.Duration }

const (
	mostOf  = 6.0  // a part is drawn at most so much longer than the part in the middle
	leastOf = 0.02 // of the whole axis, so that something is seen of each part
)

func newAxis(moments []time.Duration) Axis {
	a := Axis{Moments: append([]time.Duration{0}, moments...)}
	slices.Sort(a.Moments)
	a.Moments = slices.Compact(a.Moments)
	n := len(a.Moments) - 1
	if n == 0 {
		a.places = []float64{0}
		return a
	}
	parts := make([]float64, n)
	for i := range parts {
		parts[i] = (a.Moments[i+1] - a.Moments[i]).Seconds()
	}
	sorted := slices.Sorted(slices.Values(parts))
	limit := mostOf * sorted[(n-1)/2]
	total := 0.0
	for i, part := range parts {
		if part > limit {
			parts[i] = limit
			a.Breaks = append(a.Breaks, Break{a.Moments[i], a.Moments[i+1]})
		}
		total += parts[i]
	}
	least := min(leastOf, 1/float64(n)) * total
	total = 0
	for i := range parts {
		parts[i] = max(parts[i], least)
		total += parts[i]
	}
	a.places = make([]float64, n+1)
	for i, part := range parts {
		a.places[i+1] = a.places[i] + part/total
	}
	return a
}

// Place is where a time is drawn, from 0 to 1.
func (a Axis) Place(at time.Duration) float64 {
	i, found := slices.BinarySearch(a.Moments, at)
	switch {
	case found:
		return a.places[i]
	case i == 0:
		return 0
	case i == len(a.Moments):
		return a.places[i-1]
	}
	from, to := a.Moments[i-1], a.Moments[i]
	return a.places[i-1] + (a.places[i]-a.places[i-1])*float64(at-from)/float64(to-from)
}

// End is the last moment.
func (a Axis) End() time.Duration { return a.Moments[len(a.Moments)-1] }

// Ticks are the moments that are at least gap apart on an axis of the length, with the first and the last.
func (a Axis) Ticks(length, gap float64) []time.Duration {
	end := a.Place(a.End()) * length
	var ticks []time.Duration
	last := -gap
	for i, at := range a.Moments {
		place := a.places[i] * length
		final := i == len(a.Moments)-1
		if place-last < gap || !final && end-place < gap {
			if !final || len(ticks) == 0 {
				continue
			}
			ticks = ticks[:len(ticks)-1] // the end is always told
		}
		ticks = append(ticks, at)
		last = place
	}
	return ticks
}
