// Package dataplane carries the requests: listeners, routing tables that are swapped whole, targets that drain, and the
// forwarding of HTTP/1.1, HTTP/2, gRPC, WebSocket and other upgrades. It is told its routes; which routes, and when,
// is not its business, nor is keeping them.
package dataplane

import (
	"log/slog"
	"time"

	"github.com/slipway-deploy/slipway/services/proxy/internal/requestmetrics"
)

// Config is what a plane works with. Zero times and numbers take the default that is named.
type Config struct {
	// ReadHeaderTimeout bounds how long a client may take over a request's header (10 s).
	ReadHeaderTimeout time.Duration
	// ClientIdleTimeout closes a client's connection that has no request (6 min, longer than browsers and client
	// libraries keep one, so that they never meet a connection that is just being closed).
	ClientIdleTimeout time.Duration
	// MaxHeaderBytes bounds a request's header (64 KiB, as an Application Load Balancer).
	MaxHeaderBytes int
	// DialTimeout bounds the connection to a target (2 s).
	DialTimeout time.Duration
	// ResponseHeaderTimeout bounds the wait for a target's answer after the request was sent (60 s, the idle timeout of
	// an Application Load Balancer; negative: none). It does not hold for GRPC target groups: calls have deadlines.
	ResponseHeaderTimeout time.Duration
	// TargetIdleTimeout closes an unused connection to a target (4 s, shorter than servers commonly keep one).
	TargetIdleTimeout time.Duration
	// MaxIdlePerTarget is how many unused connections to a target are kept (1024).
	MaxIdlePerTarget int
	// RemovedDrain is how long requests to a target that was removed without draining may go on, and how long a removed
	// listener waits for its own (300 s, the default deregistration delay of a target group).
	RemovedDrain time.Duration
	// Registry counts requests.
	Registry *requestmetrics.Registry
	// OnIdle is called, from any goroutine, when a service's draining target has nothing in flight any more, and when a
	// listener that could not be bound was. It must not block.
	OnIdle func(service string)
	// Log takes what goes wrong.
	Log *slog.Logger
}

func (c Config) withDefaults() Config {
	setDefault(&c.ReadHeaderTimeout, 10*time.Second)
	setDefault(&c.ClientIdleTimeout, 6*time.Minute)
	setDefault(&c.MaxHeaderBytes, 64<<10)
	setDefault(&c.DialTimeout, 2*time.Second)
	setDefault(&c.ResponseHeaderTimeout, time.Minute)
	setDefault(&c.TargetIdleTimeout, 4*time.Second)
	setDefault(&c.MaxIdlePerTarget, 1024)
	setDefault(&c.RemovedDrain, 5*time.Minute)
	c.ResponseHeaderTimeout = max(c.ResponseHeaderTimeout, 0)
	if c.Registry == nil {
		c.Registry = requestmetrics.NewRegistry()
	}
	if c.OnIdle == nil {
		c.OnIdle = func(string) {}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
