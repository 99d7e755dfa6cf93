package app

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/slipway-deploy/slipway/platform/grpcserver"
)

// Config says where the hooks service serves, where it keeps its state and how it calls handlers.
type Config struct {
	Listen      grpcserver.Config `flag:"" env:""`
	DatabaseURL string            `flag:"database-url" env:"DATABASE_URL" secret:"true" help:"PostgreSQL to keep the state in, postgres://user:pass@host/db"`
	MetricsAddr string            `flag:"metrics" env:"SLIPWAY_METRICS" help:"address to serve /metrics on; empty serves none"`
	AllowHTTP   bool              `flag:"allow-http-webhooks" env:"SLIPWAY_ALLOW_HTTP_WEBHOOKS" help:"let webhooks use http:// to other machines too"`
	HandlerCA   string            `flag:"handler-ca" env:"SLIPWAY_HANDLER_CA" help:"file with authorities (PEM) to trust for handlers, beside the system's"`
	Workers     int               `flag:"workers" env:"SLIPWAY_WORKERS" help:"calls of handlers at the same time"`
	Grace       time.Duration     `flag:"grace" env:"SLIPWAY_GRACE" help:"how long calls under way may take to finish when the service stops"`
	Lease       time.Duration     `flag:"lease" env:"SLIPWAY_LEASE" help:"after which another replica takes over the calls of one that died"`
	Failures    int               `flag:"circuit-failures" env:"SLIPWAY_CIRCUIT_FAILURES" help:"calls in a row without an answer that open a handler's circuit"`
	Open        time.Duration     `flag:"circuit-open" env:"SLIPWAY_CIRCUIT_OPEN" help:"how long a handler's circuit stays open before one call tries it"`
	Window      time.Duration     `flag:"watch-window" env:"SLIPWAY_WATCH_WINDOW" help:"how long watchers of all deployments see an invocation after its end"`
	Retention   time.Duration     `flag:"retention" env:"SLIPWAY_RETENTION" help:"how long an invocation is kept after its end"`
	Targets     TargetsConfig     `flag:"" env:""`
	Events      EventsConfig      `flag:"" env:""`
	Version     string            `flag:"-"`
}

// Default is the configuration with the service's usual address.
func Default() Config {
	return Config{
		Listen:    grpcserver.Config{Addr: "127.0.0.1:7002"},
		Workers:   256,
		Grace:     5 * time.Second,
		Lease:     2 * time.Second,
		Failures:  5,
		Open:      10 * time.Second,
		Window:    time.Hour,
		Retention: 90 * 24 * time.Hour,
		Events:    defaultEvents(),
	}
}

// Validate reports every rule that is broken.
func (c Config) Validate() error {
	errs := []error{c.Listen.Validate()}
	want := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	want(c.DatabaseURL != "", "database-url: is needed (or the environment variable DATABASE_URL)")
	want(c.Workers >= 1, "workers: must be at least 1, is %d", c.Workers)
	want(c.Grace >= 0, "grace: must not be negative, is %s", c.Grace)
	want(c.Lease >= time.Second, "lease: must be at least 1s, is %s", c.Lease)
	want(c.Failures >= 1, "circuit-failures: must be at least 1, is %d", c.Failures)
	want(c.Open > 0, "circuit-open: must be more than 0, is %s", c.Open)
	want(c.Window > 0, "watch-window: must be more than 0, is %s", c.Window)
	want(c.Retention >= c.Window, "retention: must be at least watch-window (%s), is %s", c.Window, c.Retention)
	errs = append(errs, c.Targets.broken()...)
	return errors.Join(append(errs, c.Events.broken()...)...)
}

// roots is the system's authorities and those of HandlerCA.
func (c Config) roots() (*x509.CertPool, error) {
	pem, err := os.ReadFile(c.HandlerCA)
	if err != nil {
		return nil, fmt.Errorf("handler-ca: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("handler-ca: %s holds no certificate", c.HandlerCA)
	}
	return pool, nil
}
