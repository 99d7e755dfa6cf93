package app

import (
	"errors"
	"fmt"
	"time"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	"github.com/slipway-deploy/slipway/drivers/runtime/local"
	"github.com/slipway-deploy/slipway/drivers/traffic"
	"github.com/slipway-deploy/slipway/platform/grpcclient"
	"github.com/slipway-deploy/slipway/platform/grpcserver"
	"github.com/slipway-deploy/slipway/platform/lease"
)

// Bounds of a lease: a shorter one is lost whenever the machine is busy, a longer one keeps work waiting.
const (
	minLease = 500 * time.Millisecond
	maxLease = time.Minute
)

// Config says where the orchestrator serves, whom it calls and where it keeps its state.
type Config struct {
	Listen      grpcserver.Config `flag:"" env:""`
	DatabaseURL string            `flag:"database-url" env:"DATABASE_URL" secret:"true" help:"PostgreSQL to keep the state in, postgres://user:password@host:port/database"`
	MetricsAddr string            `flag:"metrics" env:"SLIPWAY_METRICS" help:"address to serve /metrics on; empty serves none"`
	Hooks       grpcclient.Config `flag:"hooks" env:"SLIPWAY_HOOKS"`
	Healthcheck grpcclient.Config `flag:"healthcheck" env:"SLIPWAY_HEALTHCHECK"`
	Alarms      grpcclient.Config `flag:"alarms" env:"SLIPWAY_ALARMS"`
	Traffic     grpcclient.Config `flag:"traffic" env:"SLIPWAY_TRAFFIC"`
	RuntimeDir  string            `flag:"runtime-dir" env:"SLIPWAY_RUNTIME_DIR" default:"/var/lib/slipway/runtime" help:"folder in which the runtime keeps its tasks"`
	Runtime     string            `flag:"runtime" env:"SLIPWAY_RUNTIME" help:"where tasks run: process (on this machine), docker, or remote (slipway-runtime, for several orchestrators)"`
	Docker      DockerConfig      `flag:"docker" env:"SLIPWAY_DOCKER"`
	Remote      grpcclient.Config `flag:"runtime-remote" env:"SLIPWAY_RUNTIME_REMOTE"`
	Lease       time.Duration     `flag:"lease-duration" env:"SLIPWAY_LEASE_DURATION" help:"after which another replica goes on with the services of one that died"`
	Replica     string            `flag:"replica" env:"SLIPWAY_REPLICA" help:"name of this replica, different from the others'; empty: the machine's and a random one"`
	Retention   time.Duration     `flag:"retention" env:"SLIPWAY_RETENTION" help:"how long a finished deployment is kept with its events; a service's last 10 always are; 0: for ever"`
	Version     string            `flag:"-"`
	Clock       func() time.Time  `flag:"-"` // nil: the machine's
	Driver      runtime.Runtime   `flag:"-"` // of a program that brings its own, which also closes it; nil: what Runtime names
	DataPlane   traffic.Traffic   `flag:"-"` // of a program that brings its own; nil: the one that Traffic names
}

// Default is the configuration with the addresses that the services have by default.
func Default() Config {
	return Config{
		Listen:      grpcserver.Config{Addr: "127.0.0.1:7001"},
		Hooks:       grpcclient.Config{Target: "127.0.0.1:7002"},
		Healthcheck: grpcclient.Config{Target: "127.0.0.1:7003"},
		Alarms:      grpcclient.Config{Target: "127.0.0.1:7004"},
		Traffic:     grpcclient.Config{Target: "127.0.0.1:7005"},
		Runtime:     local.Process,
		Remote:      grpcclient.Config{Target: "127.0.0.1:7006"},
		Lease:       lease.DefaultDuration,
		Retention:   DefaultRetention,
	}
}

// Validate reports every rule that is broken.
func (c Config) Validate() error {
	var errs []error
	errs = append(errs, c.Listen.Validate())
	if c.DatabaseURL == "" {
		errs = append(errs, errors.New("database-url: is needed (or the environment variable DATABASE_URL)"))
	}
	if c.Lease < minLease || c.Lease > maxLease {
		errs = append(errs, fmt.Errorf("lease-duration: must be %s to %s, is %s", minLease, maxLease, c.Lease))
	}
	if c.Retention != 0 && c.Retention < minRetention {
		errs = append(errs, fmt.Errorf("retention: must be at least %s, or 0 to keep everything, is %s", minRetention, c.Retention))
	}
	return errors.Join(append(errs, c.validateRuntime())...)
}
