package app

import (
	"errors"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	"github.com/slipway-deploy/slipway/platform/grpcclient"
	"github.com/slipway-deploy/slipway/platform/grpcserver"
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
	Runtime     string            `flag:"runtime" env:"SLIPWAY_RUNTIME" help:"where tasks run: process (on this machine) or docker"`
	Docker      DockerConfig      `flag:"docker" env:"SLIPWAY_DOCKER"`
	Version     string            `flag:"-"`
	Driver      runtime.Runtime   `flag:"-"` // of a program that brings its own, which also closes it; nil: what Runtime names
}

// Default is the configuration with the addresses that the services have by default.
func Default() Config {
	return Config{
		Listen:      grpcserver.Config{Addr: "127.0.0.1:7001"},
		Hooks:       grpcclient.Config{Target: "127.0.0.1:7002"},
		Healthcheck: grpcclient.Config{Target: "127.0.0.1:7003"},
		Alarms:      grpcclient.Config{Target: "127.0.0.1:7004"},
		Traffic:     grpcclient.Config{Target: "127.0.0.1:7005"},
		Runtime:     processRuntime,
	}
}

// Validate reports every rule that is broken.
func (c Config) Validate() error {
	var errs []error
	errs = append(errs, c.Listen.Validate())
	if c.DatabaseURL == "" {
		errs = append(errs, errors.New("database-url: is needed (or the environment variable DATABASE_URL)"))
	}
	return errors.Join(append(errs, c.validateRuntime())...)
}
