package invocation

import (
	"regexp"
	"time"
)

// Hook is the definition of a handler that deployments call at their lifecycle stages.
type Hook struct {
	Name        string
	Target      Target
	CallTimeout time.Duration // of one call
	MaxAttempts int           // calls in a row without an answer that fail the invocation
}

// Defaults and bounds of a hook's definition.
const (
	DefaultCallTimeout = 30 * time.Second
	MinCallTimeout     = 100 * time.Millisecond
	MaxCallTimeout     = 15 * time.Minute // AWS Lambda's bound, and so that of one call of an ECS hook
	DefaultMaxAttempts = 5
	MaxMaxAttempts     = 100
)

var hookName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_-]{0,126}$`)

// Rules are what an operator says about hooks.
type Rules struct {
	// AllowHTTP lets webhooks use http:// to any host, not only to loopback addresses.
	AllowHTTP bool
	// Commands are the programs that exec hooks may run: absolute paths of programs, or of directories for all below them.
	Commands []string
}

// NewHook fills in defaults and checks a definition. The error is an *InvalidError that names every field.
func NewHook(h Hook, rules Rules) (Hook, error) {
	if h.CallTimeout == 0 {
		h.CallTimeout = DefaultCallTimeout
		if h.Target.Kind == Lambda {
			h.CallTimeout = MaxCallTimeout // the function has a time-out of its own
		}
	}
	if h.MaxAttempts == 0 {
		h.MaxAttempts = DefaultMaxAttempts
	}
	var bad InvalidError
	bad.check(hookName.MatchString(h.Name), "name", "must have 1 to 127 letters, digits, - or _ and begin with a letter or digit")
	bad.check(h.CallTimeout >= MinCallTimeout && h.CallTimeout <= MaxCallTimeout, "call_timeout", "must be from 100ms to 15m, is %s", h.CallTimeout)
	bad.check(h.MaxAttempts >= 1 && h.MaxAttempts <= MaxMaxAttempts, "max_attempts", "must be from 1 to %d, is %d", MaxMaxAttempts, h.MaxAttempts)
	h.Target.check(&bad, rules)
	return h, bad.orNil()
}
