package engine

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"github.com/slipway-deploy/slipway/drivers/traffic"
	"github.com/slipway-deploy/slipway/platform/problem"
)

// admit refuses a writer that was overtaken, and one that gave up.
func (s *service) admit(ctx context.Context, generation int64) error {
	if generation < s.generation {
		return problem.New(problem.Aborted, "STALE_GENERATION",
			"generation %d of %s was overtaken by %d", generation, s.name, s.generation).With("service", s.name)
	}
	if err := ctx.Err(); err != nil {
		return problem.New(problem.Canceled, "", "the call ended before the routes of %s were applied", s.name).Wrap(err)
	}
	return nil
}

// check reports every rule that the routes break.
func (e *Engine) check(generation int64, routes traffic.Routes) error {
	var broken []problem.Violation
	if generation <= 0 {
		broken = append(broken, problem.Violation{Field: "generation", Rule: "must be greater than 0"})
	}
	if p := problem.As(routes.Validate()); p != nil {
		broken = append(broken, p.Violations...)
	}
	for i, l := range routes.Listeners {
		if !e.config.InsecureListeners && !loopback(l.Address) {
			broken = append(broken, problem.Violation{
				Field: fmt.Sprintf("listeners[%d].address", i),
				Rule:  fmt.Sprintf("%s can be reached by other machines, which the proxy serves only with -insecure-listeners", l.Address),
			})
		}
	}
	if len(broken) > 0 {
		return problem.Violated(broken...)
	}
	return nil
}

func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil || host == "localhost" {
		return true // Validate has said what is wrong
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
