package dataplane

import (
	"math"
	"testing"
	"time"
)

// shares chooses many times and tells each target's part.
func shares(p *pool) []float64 {
	const requests = 12_000
	counts := map[*target]int{}
	for range requests {
		t, ok := p.choose(nil)
		if !ok {
			return nil
		}
		counts[t]++
	}
	var parts []float64
	for _, t := range p.open {
		parts = append(parts, float64(counts[t])/requests)
	}
	return parts
}

// poolOf has a target for each fraction of a slow start of an hour.
func poolOf(fractions ...float64) *pool {
	p := &pool{name: "a", slow: time.Hour, group: &group{}}
	for _, f := range fractions {
		t := &target{}
		t.start.Store(time.Now().Add(-time.Duration(f * float64(time.Hour))).UnixNano())
		p.open = append(p.open, t)
	}
	return p
}

// ELB: in its slow start a target's share grows linearly to its full part, once another target has its own.
func TestAShareGrowsInTheSlowStart(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ fractions, want []float64 }{
		{[]float64{2, 2, 2, 2}, []float64{0.25, 0.25, 0.25, 0.25}},
		{[]float64{2, 2, 2, 0.5}, []float64{0.2917, 0.2917, 0.2917, 0.125}},
		{[]float64{0.1, 2, 2, 2}, []float64{0.025, 0.325, 0.325, 0.325}},
		{[]float64{2, 0}, []float64{1, 0}},
		{[]float64{0.2, 0.2}, []float64{0.5, 0.5}}, // none has its full part
	} {
		got := shares(poolOf(c.fractions...))
		for i := range c.want {
			if math.Abs(got[i]-c.want[i]) > 0.01 {
				t.Errorf("%v: shares %v, want %v", c.fractions, got, c.want)
				break
			}
		}
	}
	off := poolOf(2, 0)
	off.slow = 0
	if got := shares(off); got[0] != 0.5 {
		t.Errorf("without a slow start: %v", got)
	}
}

// A target in its slow start is better than one that cannot be reached.
func TestASlowStartDoesNotPreferTheUnreachable(t *testing.T) {
	t.Parallel()
	p := poolOf(2, 0)
	p.open[0].unreachable()
	if got := shares(p); got[1] != 1 {
		t.Errorf("shares %v", got)
	}
}
