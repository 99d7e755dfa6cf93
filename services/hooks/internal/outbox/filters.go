package outbox

import (
	"sync"

	"github.com/slipway-deploy/slipway/services/hooks/internal/subscription"
)

// filters keeps compiled patterns, each as long as its subscription has that version.
type filters struct {
	compile subscription.Compiler

	mu sync.Mutex
	of map[string]compiled
}

type compiled struct {
	version int64
	filter  subscription.Filter
	err     error
}

func newFilters(compile subscription.Compiler) *filters {
	return &filters{compile: compile, of: make(map[string]compiled)}
}

// match reports whether an event is for a subscription. A pattern that does not compile any more was checked by another
// release; it matches nothing and the error says so.
func (f *filters) match(s subscriberRow, envelope []byte) (bool, error) {
	f.mu.Lock()
	have, ok := f.of[s.Name]
	if !ok || have.version != s.Version {
		filter, err := subscription.NewFilter(s.Pattern, f.compile)
		have = compiled{version: s.Version, filter: filter, err: err}
		f.of[s.Name] = have
	}
	f.mu.Unlock()
	if have.err != nil {
		return false, have.err
	}
	return have.filter.Match(envelope)
}

// keep forgets the subscriptions that are gone.
func (f *filters) keep(all []subscriberRow) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.of) <= len(all) {
		return
	}
	there := make(map[string]bool, len(all))
	for _, s := range all {
		there[s.Name] = true
	}
	for name := range f.of {
		if !there[name] {
			delete(f.of, name)
		}
	}
}
