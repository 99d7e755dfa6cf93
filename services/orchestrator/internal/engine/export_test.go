package engine

import "github.com/slipway-deploy/slipway/services/orchestrator/internal/store"

// Works reports whether the engine has a worker for the service.
func (e *Engine) Works(key store.Key) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.workers[key] != nil
}
