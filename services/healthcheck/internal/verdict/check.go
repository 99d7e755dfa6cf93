package verdict

import (
	"fmt"
	"strings"
	"time"
)

// Type is where a target's health comes from.
type Type string

// The types of health check.
const (
	HTTP      Type = "HTTP"
	HTTPS     Type = "HTTPS"
	TCP       Type = "TCP"
	GRPC      Type = "GRPC"
	Container Type = "CONTAINER"
	Custom    Type = "CUSTOM"
)

// HealthPath is the gRPC health protocol's method, the default path of gRPC checks.
const HealthPath = "/grpc.health.v1.Health/Check"

// Check says how targets are checked.
type Check struct {
	Type               Type
	Path               string
	Port               int // 0: the port of the traffic
	Interval           time.Duration
	Timeout            time.Duration
	HealthyThreshold   int
	UnhealthyThreshold int
	Matcher            string
	KeepAlive          bool
	CustomHealthDelay  time.Duration // of CUSTOM: from a report that changes the health to the change
}

// Defaults of ELBv2's CreateTargetGroup.
const (
	defaultInterval  = 30 * time.Second
	defaultTimeout   = 6 * time.Second
	defaultHealthy   = 5
	defaultUnhealthy = 2
)

// DefaultCustomHealthDelay is about what AWS Cloud Map waits.
const DefaultCustomHealthDelay = 30 * time.Second

// WithDefaults fills in what is not set.
func (c Check) WithDefaults() Check {
	if c.Type == "" {
		c.Type = HTTP
	}
	if c.Interval == 0 {
		c.Interval = defaultInterval
	}
	if c.Timeout == 0 {
		c.Timeout = min(defaultTimeout, c.Interval)
	}
	if c.HealthyThreshold == 0 {
		c.HealthyThreshold = defaultHealthy
	}
	if c.UnhealthyThreshold == 0 {
		c.UnhealthyThreshold = defaultUnhealthy
	}
	switch {
	case c.Path != "":
	case c.Type == GRPC:
		c.Path = HealthPath
	case c.Type == HTTP || c.Type == HTTPS:
		c.Path = "/"
	}
	switch {
	case c.Matcher != "":
	case c.Type == GRPC && c.Path == HealthPath:
		c.Matcher = "0"
	case c.Type == GRPC:
		c.Matcher = "12"
	case c.Type == HTTP || c.Type == HTTPS:
		c.Matcher = "200"
	}
	return c
}

// Probed reports whether targets are checked by probes, and not reported from outside.
func (c Check) Probed() bool { return c.Type != Container && c.Type != Custom }

// Violation is a field and the rule it breaks.
type Violation struct{ Field, Rule string }

// Validate returns every rule that a check with defaults breaks. Ranges are ELBv2's, but intervals and time-outs may be
// shorter, as documented in the contract.
func (c Check) Validate() []Violation {
	var v []Violation
	add := func(field, rule string, args ...any) {
		v = append(v, Violation{"health_check." + field, fmt.Sprintf(rule, args...)})
	}
	if c.Interval < 50*time.Millisecond || c.Interval > 300*time.Second {
		add("interval", "must be 50 ms to 300 s")
	}
	if c.Timeout < 10*time.Millisecond || c.Timeout > 120*time.Second {
		add("timeout", "must be 10 ms to 120 s")
	}
	if c.Timeout > c.Interval {
		add("timeout", "must not be longer than the interval (%s)", c.Interval)
	}
	if c.HealthyThreshold < 2 || c.HealthyThreshold > 10 {
		add("healthy_threshold", "must be 2 to 10")
	}
	if c.UnhealthyThreshold < 2 || c.UnhealthyThreshold > 10 {
		add("unhealthy_threshold", "must be 2 to 10")
	}
	if c.CustomHealthDelay != 0 && c.Type != Custom {
		add("custom_health_delay", "goes with the type CUSTOM alone")
	}
	if c.CustomHealthDelay < 0 || c.CustomHealthDelay > 300*time.Second {
		add("custom_health_delay", "must be 0 to 300 s")
	}
	if c.Path != "" && c.Path[0] != '/' {
		add("path", "must begin with /")
	}
	if strings.ContainsFunc(c.Path, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		add("path", "must not contain spaces or control characters; write them as %%20 and the like")
	}
	low, high := 200, 499
	if c.Type == GRPC {
		low, high = 0, 99
	}
	if c.Matcher == "" {
		return v
	}
	if _, err := ParseMatcher(c.Matcher, low, high); err != nil {
		add("matcher", "%s", err)
	}
	return v
}
