// Package app puts the service runtime together: a runtime driver behind gRPC. It is the only package of the service that others
// may import.
package app

import (
	"context"
	"errors"
	"log/slog"

	"github.com/slipway-deploy/slipway/drivers/runtime/local"
	"github.com/slipway-deploy/slipway/drivers/runtime/remote"
	runtimepb "github.com/slipway-deploy/slipway/gen/go/slipway/runtime/v1"
	"github.com/slipway-deploy/slipway/platform/grpcserver"
	"github.com/slipway-deploy/slipway/platform/telemetry"
)

// Config says where the service serves and where its tasks run.
type Config struct {
	Listen      grpcserver.Config  `flag:"" env:""`
	MetricsAddr string             `flag:"metrics" env:"SLIPWAY_METRICS" help:"address to serve /metrics on; empty serves none"`
	RuntimeDir  string             `flag:"runtime-dir" env:"SLIPWAY_RUNTIME_DIR" help:"folder in which the runtime keeps its tasks"`
	Runtime     string             `flag:"runtime" env:"SLIPWAY_RUNTIME" help:"where tasks run: process (on this machine) or docker"`
	Docker      local.DockerConfig `flag:"docker" env:"SLIPWAY_DOCKER"`
	Version     string             `flag:"-"`
}

// Default is the configuration with the service's usual address.
func Default() Config {
	return Config{Listen: grpcserver.Config{Addr: "127.0.0.1:7006"}, RuntimeDir: "/var/lib/slipway/runtime", Runtime: local.Process}
}

func (c Config) local() local.Config {
	return local.Config{Kind: c.Runtime, Dir: c.RuntimeDir, Docker: c.Docker}
}

// Validate reports every rule that is broken.
func (c Config) Validate() error { return errors.Join(c.Listen.Validate(), c.local().Validate()) }

// App is a runtime that is served.
type App struct {
	server   *grpcserver.Server
	driver   local.Driver
	endpoint *telemetry.Endpoint // nil when /metrics is not served
}

// New takes up the tasks of before a restart, but serves nothing yet. What was set up is taken down when it fails.
func New(ctx context.Context, cfg Config, log *slog.Logger) (_ *App, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	a := &App{}
	defer func() {
		if err != nil {
			a.Stop(ctx)
		}
	}()
	if cfg.MetricsAddr != "" {
		t, err := telemetry.New("slipway-runtime", cfg.Version)
		if err != nil {
			return nil, err
		}
		if a.endpoint, err = t.Serve(cfg.MetricsAddr); err != nil {
			return nil, err
		}
	}
	if a.server, err = grpcserver.New(log, cfg.Listen); err != nil {
		return nil, err
	}
	if a.driver, err = local.Open(cfg.local(), log); err != nil {
		return nil, err
	}
	runtimepb.RegisterRuntimeServiceServer(a.server, remote.NewServer(a.driver))
	return a, nil
}

// Start serves.
func (a *App) Start(context.Context) error {
	a.server.Start()
	return nil
}

// Stop ends serving. Tasks go on.
func (a *App) Stop(ctx context.Context) {
	if a.server != nil {
		a.server.Stop(ctx)
	}
	if a.driver != nil {
		_ = a.driver.Close()
	}
	if a.endpoint != nil {
		_ = a.endpoint.Stop(ctx)
	}
}

// Addr is the address it serves on.
func (a *App) Addr() string { return a.server.Addr() }
