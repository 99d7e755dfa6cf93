package docker

import (
	"cmp"
	"slices"

	"github.com/slipway-deploy/slipway/drivers/runtime/internal/state"
)

// load is how many tasks an engine has.
type load struct {
	engine  string
	answers bool
	all     int
	bySet   map[state.Key]int
}

// place chooses the engine of a new task of a set (ECS: the spread strategy): one that answers, with the fewest tasks of the
// set, then the fewest of all, then the first by name.
func place(loads []load, key state.Key) string {
	best := slices.MinFunc(loads, func(a, b load) int {
		return cmp.Or(
			compareBool(b.answers, a.answers),
			cmp.Compare(a.bySet[key], b.bySet[key]),
			cmp.Compare(a.all, b.all),
			cmp.Compare(a.engine, b.engine),
		)
	})
	return best.engine
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	default:
		return -1
	}
}
