// Command slipway-orchestrator runs the orchestrator.
package main

import (
	"context"
	"log/slog"

	"github.com/slipway-deploy/slipway/platform/program"
	"github.com/slipway-deploy/slipway/services/orchestrator/app"
)

func main() {
	cfg := app.Default()
	cfg.Version = program.Version()
	program.Main(program.Program{
		Name: "slipway-orchestrator", Config: &cfg, Listen: &cfg.Listen,
		New: func(ctx context.Context, log *slog.Logger) (program.Service, error) { return app.New(ctx, cfg, log) },
	})
}
