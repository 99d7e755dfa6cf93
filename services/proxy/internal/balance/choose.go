package balance

import "slices"

// window is how many targets LeastOutstanding looks at: all of a usual group, a moving part of a huge one, so that a
// choice costs the same whatever the group's size.
const window = 64

// Candidate is a target as the choice sees it.
type Candidate interface {
	comparable
	// Outstanding is the number of requests in flight.
	Outstanding() int64
	// Avoid is true for a target that should be passed over while there is another, e.g. because it was unreachable
	// a moment ago.
	Avoid() bool
}

// RoundRobin returns the candidate whose turn it is at turn n. Candidates to avoid and those in tried are passed over;
// when only candidates to avoid are left, one of them is returned. The zero value and false mean that every candidate
// was tried.
func RoundRobin[C Candidate](n uint64, candidates, tried []C) (C, bool) {
	var fallback C
	found := false
	count := uint64(len(candidates))
	for i := range count {
		c := candidates[(n+i)%count]
		if slices.Contains(tried, c) {
			continue
		}
		if !c.Avoid() {
			return c, true
		}
		if !found {
			fallback, found = c, true
		}
	}
	return fallback, found
}

// LeastOutstanding returns the candidate with the fewest requests in flight, as RoundRobin does otherwise; n moves
// where it starts, so that equals take turns. Of more than 64 candidates it compares 64 neighbours.
func LeastOutstanding[C Candidate](n uint64, candidates, tried []C) (C, bool) {
	var best C
	var least int64
	found := false
	count := uint64(len(candidates))
	for i := range min(count, window) {
		c := candidates[(n+i)%count]
		if slices.Contains(tried, c) || c.Avoid() {
			continue
		}
		load := c.Outstanding()
		if !found || load < least {
			best, least, found = c, load, true
		}
		if least == 0 {
			return best, true
		}
	}
	if found {
		return best, true
	}
	return RoundRobin(n, candidates, tried)
}
