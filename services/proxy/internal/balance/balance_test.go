package balance

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestSplitIsExactOverAnyThousandRequests(t *testing.T) {
	for _, weight := range []int{0, 1, 105, 333, 500, 999, 1000} {
		split, err := NewSplit([]int{weight, Full - weight})
		if err != nil {
			t.Fatal(err)
		}
		for _, start := range []uint64{0, 1, 77, 999, 123456789} {
			got := 0
			for n := range uint64(Full) {
				if split.At(start+n) == 0 {
					got++
				}
			}
			if got != weight {
				t.Errorf("weight %d from request %d: %d of 1000", weight, start, got)
			}
		}
	}
}

func TestSplitStaysCloseToTheShareInEveryShortRun(t *testing.T) {
	const bound = 4.0
	for weight := 1; weight < Full; weight++ {
		split, err := NewSplit([]int{weight, Full - weight})
		if err != nil {
			t.Fatal(err)
		}
		hits, highest, lowest := 0, 0.0, 0.0
		for n := range uint64(Full) {
			if split.At(n) == 0 {
				hits++
			}
			off := float64(hits) - float64((n+1)*uint64(weight))/Full
			highest, lowest = math.Max(highest, off), math.Min(lowest, off)
		}
		if highest-lowest >= bound {
			t.Errorf("weight %d: a run is off its share by %.2f requests", weight, highest-lowest)
		}
	}
}

func TestSplitSharesAmongManyGroupsExactly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var weights []int
		left := Full
		for range rapid.IntRange(1, 4).Draw(t, "groups") {
			w := rapid.IntRange(0, left).Draw(t, "weight")
			weights, left = append(weights, w), left-w
		}
		weights = append(weights, left)
		split, err := NewSplit(weights)
		if err != nil {
			t.Fatal(err)
		}
		counts := make([]int, len(weights))
		start := rapid.Uint64Range(0, 1<<62).Draw(t, "start")
		for n := range uint64(Full) {
			counts[split.At(start+n)]++
		}
		for i := range weights {
			if counts[i] != weights[i] {
				t.Fatalf("weights %v gave %v", weights, counts)
			}
		}
	})
}

func TestSplitRefusesWeightsThatDoNotSumToThousand(t *testing.T) {
	for _, weights := range [][]int{nil, {999}, {1001}, {500, 501}, {-1, 1001}, {1001, -1}} {
		if _, err := NewSplit(weights); err == nil {
			t.Errorf("weights %v were accepted", weights)
		}
	}
}

type candidate struct {
	load  int64
	avoid bool
}

func (c *candidate) Outstanding() int64 { return c.load }
func (c *candidate) Avoid() bool        { return c.avoid }

func TestRoundRobinTakesTurnsAndPassesOver(t *testing.T) {
	a, b, c := &candidate{}, &candidate{avoid: true}, &candidate{}
	all := []*candidate{a, b, c}
	var got []*candidate
	for n := range uint64(4) {
		next, ok := RoundRobin(n, all, nil)
		if !ok {
			t.Fatal("nothing chosen")
		}
		got = append(got, next)
	}
	want := []*candidate{a, c, c, a}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("turn %d: the wrong candidate", i)
		}
	}
	if next, ok := RoundRobin(0, all, []*candidate{a, c}); !ok || next != b {
		t.Error("the candidate to avoid was not taken when nothing else was left")
	}
	if _, ok := RoundRobin(0, all, all); ok {
		t.Error("a candidate that was tried came up again")
	}
	if _, ok := RoundRobin[*candidate](0, nil, nil); ok {
		t.Error("something came out of nothing")
	}
}

func TestLeastOutstandingTakesTheIdlestAndSpreadsEquals(t *testing.T) {
	a, b, c := &candidate{load: 3}, &candidate{load: 1}, &candidate{load: 2}
	all := []*candidate{a, b, c}
	for n := range uint64(6) {
		if next, ok := LeastOutstanding(n, all, nil); !ok || next != b {
			t.Errorf("turn %d: not the idlest", n)
		}
	}
	if next, _ := LeastOutstanding(0, all, []*candidate{b}); next != c {
		t.Error("not the idlest of those not tried")
	}
	b.avoid = true
	if next, _ := LeastOutstanding(0, all, nil); next != c {
		t.Error("not the idlest of those not to avoid")
	}
	a.load, b.load, c.load, b.avoid = 0, 0, 0, false
	seen := map[*candidate]int{}
	for n := range uint64(30) {
		next, _ := LeastOutstanding(n, all, nil)
		seen[next]++
	}
	if seen[a] != 10 || seen[b] != 10 || seen[c] != 10 {
		t.Errorf("equals were not spread: %d %d %d", seen[a], seen[b], seen[c])
	}
}

func TestLeastOutstandingOfAHugeGroupStillReachesEveryTarget(t *testing.T) {
	all := make([]*candidate, 1000)
	for i := range all {
		all[i] = &candidate{load: 1}
	}
	seen := map[*candidate]bool{}
	for n := range uint64(1000) {
		next, _ := LeastOutstanding(n, all, nil)
		seen[next] = true
	}
	if len(seen) != len(all) {
		t.Errorf("%d of %d targets came up", len(seen), len(all))
	}
	for _, c := range all[:900] {
		c.avoid = true
	}
	if next, ok := LeastOutstanding(0, all, nil); !ok || next.avoid {
		t.Error("no good target found beyond the window")
	}
}
