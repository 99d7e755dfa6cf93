package app

import (
	"errors"
	"fmt"
	"time"

	"github.com/slipway-deploy/slipway/platform/grpcserver"
	"github.com/slipway-deploy/slipway/platform/lease"
)

// Bounds of a lease: a shorter one is lost whenever the machine is busy, a longer one keeps work waiting.
const (
	minLease = 500 * time.Millisecond
	maxLease = time.Minute
)

// Config says where the service serves and where it keeps its state.
type Config struct {
	Listen      grpcserver.Config `flag:"" env:""`
	DatabaseURL string            `flag:"database-url" env:"DATABASE_URL" secret:"true" help:"PostgreSQL to keep the state in, postgres://user:password@host:port/database"`
	MetricsAddr string            `flag:"metrics" env:"SLIPWAY_METRICS" help:"address to serve /metrics on; empty serves none"`
	Version     string            `flag:"-"`
	Retention   time.Duration     `flag:"retention" env:"SLIPWAY_RETENTION" default:"168h" help:"how long pushed datapoints are kept; those that an alarm looks back at are kept longer"`
	Lease       time.Duration     `flag:"lease-duration" env:"SLIPWAY_LEASE_DURATION" help:"after which another replica evaluates the alarms of one that died"`
	Replica     string            `flag:"replica" env:"SLIPWAY_REPLICA" help:"name of this replica, different from the others'; empty: the machine's and a random one"`
	Sources     Sources           `flag:"" env:""`
	Place       Place             `flag:"" env:""`
}

// Default is the configuration with the service's usual address.
func Default() Config {
	return Config{
		Listen: grpcserver.Config{Addr: "127.0.0.1:7004"}, Retention: 7 * 24 * time.Hour, Lease: lease.DefaultDuration,
		Sources: Sources{Timeout: 10 * time.Second}, Place: Place{Account: "000000000000", Region: "local"},
	}
}

// Validate reports every rule that is broken.
func (c Config) Validate() error {
	errs := []error{c.Listen.Validate(), c.Sources.Validate(), c.Place.Validate()}
	if c.DatabaseURL == "" {
		errs = append(errs, errors.New("database-url: is needed (or the environment variable DATABASE_URL)"))
	}
	if c.Retention < time.Hour {
		errs = append(errs, errors.New("retention: must be at least 1h"))
	}
	if c.Lease < minLease || c.Lease > maxLease {
		errs = append(errs, fmt.Errorf("lease-duration: must be %s to %s, is %s", minLease, maxLease, c.Lease))
	}
	return errors.Join(errs...)
}
