// Package balance decides which target group and which target a request goes to. It is pure: the number of the
// request and the load of the targets come in, a position comes out. It knows no network and imports the standard
// library only.
package balance

import "fmt"

// Full is what the weights of a split sum to: tenths of a percent.
const Full = 1000

// stride is coprime to Full, so any Full consecutive requests meet every slot exactly once. Among all such strides it
// keeps the shares of shorter runs closest: for every weight and every run of consecutive requests, the count of a
// group is off its exact share by less than 4 requests (tested).
const stride = 633

// Split shares requests among groups by weight. It is immutable.
type Split struct {
	slots [Full]uint8 // slot -> position of the group
}

// NewSplit returns the split of the weights, in tenths of a percent, which must not be negative and sum to Full.
func NewSplit(weights []int) (*Split, error) {
	if len(weights) > 256 {
		return nil, fmt.Errorf("split over %d groups: at most 256", len(weights))
	}
	s := &Split{}
	next := 0
	for i, w := range weights {
		if w < 0 || next+w > Full {
			return nil, fmt.Errorf("weights %v do not sum to %d", weights, Full)
		}
		for range w {
			s.slots[next] = uint8(i)
			next++
		}
	}
	if next != Full {
		return nil, fmt.Errorf("weights %v sum to %d, not %d", weights, next, Full)
	}
	return s, nil
}

// At returns the position of the group that gets request number n. Over any Full consecutive numbers each group comes
// up exactly as often as its weight says.
func (s *Split) At(n uint64) int {
	return int(s.slots[n%Full*stride%Full])
}
