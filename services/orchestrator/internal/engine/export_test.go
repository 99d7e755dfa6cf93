package engine

import (
	"time"

	"github.com/slipway-deploy/slipway/services/orchestrator/internal/store"
)

// Works reports whether the engine has a worker for the service.
func (e *Engine) Works(key store.Key) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.workers[key] != nil
}

// Strand makes the service's worker look as if its deployment would never go on.
func (e *Engine) Strand(key store.Key, deployment string, due time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.workers[key].rest.Store(&rest{generation: 1 << 40, deployment: deployment, due: due})
}
