package dataplane

import (
	"math"
	"time"
)

// starting reports whether the target is in its slow start.
func (t *target) starting(now time.Time, slow time.Duration) bool {
	return now.Sub(time.Unix(0, t.start.Load())) < slow
}

// declines reports whether a target in its slow start leaves its turn to others: the less, the longer it has taken requests. Of any
// run of turns it takes the share that it should, without memory (the fractions of n times the golden ratio are spread evenly).
func (t *target) declines(turn uint64, now time.Time, slow time.Duration) bool {
	if !t.starting(now, slow) {
		return false
	}
	grown := float64(now.Sub(time.Unix(0, t.start.Load()))) / float64(slow)
	_, spread := math.Modf(float64(turn%(1<<32)) * math.Phi)
	return spread >= grown
}
