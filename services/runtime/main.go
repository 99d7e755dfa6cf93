// Command slipway-runtime runs tasks for orchestrators.
package main

import (
	"context"
	"log/slog"

	"github.com/slipway-deploy/slipway/platform/program"
	"github.com/slipway-deploy/slipway/services/runtime/app"
)

func main() {
	cfg := app.Default()
	cfg.Version = program.Version()
	program.Main(program.Program{
		Name: "slipway-runtime", Config: &cfg, Listen: &cfg.Listen,
		New: func(ctx context.Context, log *slog.Logger) (program.Service, error) { return app.New(ctx, cfg, log) },
	})
}
