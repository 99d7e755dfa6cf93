// Command slipway-hooks runs the hooks service.
package main

import (
	"context"
	"log/slog"

	"github.com/slipway-deploy/slipway/platform/program"
	"github.com/slipway-deploy/slipway/services/hooks/app"
)

func main() {
	cfg := app.Default()
	cfg.Version = program.Version()
	program.Main("slipway-hooks", &cfg, func(ctx context.Context, log *slog.Logger) (program.Service, error) {
		return app.New(ctx, cfg, log)
	})
}
