// Command slipway-hooks runs the hooks service.
package main

import (
	"context"
	"log/slog"

	_ "golang.org/x/crypto/x509roots/fallback" // for webhooks, where the system has no authorities: in an image with nothing else

	"github.com/slipway-deploy/slipway/platform/program"
	"github.com/slipway-deploy/slipway/services/hooks/app"
)

func main() {
	cfg := app.Default()
	cfg.Version = program.Version()
	program.Main(program.Program{
		Name: "slipway-hooks", Config: &cfg, Listen: &cfg.Listen,
		New: func(ctx context.Context, log *slog.Logger) (program.Service, error) { return app.New(ctx, cfg, log) },
	})
}
