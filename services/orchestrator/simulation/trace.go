package simulation

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// trace is the story of a run: events, writes, faults and what users did.
type trace struct {
	began time.Time

	mu         sync.Mutex
	lines      []string
	violations []string
	faults     map[Fault]int
}

func newTrace() *trace { return &trace{began: time.Now(), faults: map[Fault]int{}} }

func (t *trace) add(who, format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = append(t.lines, fmt.Sprintf("%9.3fs %-9s ", time.Since(t.began).Seconds(), who)+fmt.Sprintf(format, args...))
}

// violated notes that an invariant does not hold. Of each kind the first is enough.
func (t *trace) violated(invariant, format string, args ...any) {
	what := invariant + ": " + fmt.Sprintf(format, args...)
	t.add("VIOLATION", "%s", what)
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, have := range t.violations {
		if strings.HasPrefix(have, invariant+":") {
			return
		}
	}
	t.violations = append(t.violations, what)
}

func (t *trace) fault(who string, f Fault, at string) {
	t.add(who, "FAULT %s at %s", f, at)
	t.mu.Lock()
	t.faults[f]++
	t.mu.Unlock()
}
