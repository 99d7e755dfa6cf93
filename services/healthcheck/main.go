// Command slipway-healthcheck runs the healthcheck service.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/slipway-deploy/slipway/platform/config"
	"github.com/slipway-deploy/slipway/services/healthcheck/app"
)

var version = "dev" // set by the linker

const stopTimeout = 10 * time.Second

func main() {
	if err := run(); err != nil && !errors.Is(err, config.ErrHelp) {
		fmt.Fprintln(os.Stderr, "slipway-healthcheck:", err)
		os.Exit(1)
	}
}

func run() error {
	cfg := app.Default()
	cfg.Version = version
	if err := config.Load("slipway-healthcheck", os.Args[1:], &cfg); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	a, err := app.New(ctx, cfg, log)
	if err != nil {
		return err
	}
	if err := a.Start(ctx); err != nil {
		return err
	}
	log.Info("serving", "address", a.Addr())
	<-ctx.Done()
	ended, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	a.Stop(ended)
	return nil
}
