// Command slipway-alarms runs the alarms service.
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
	"github.com/slipway-deploy/slipway/services/alarms/app"
)

const stopTimeout = 10 * time.Second

var version = "dev" // set by the linker

func main() {
	if err := run(); err != nil && !errors.Is(err, config.ErrHelp) {
		fmt.Fprintln(os.Stderr, "slipway-alarms:", err)
		os.Exit(1)
	}
}

func run() error {
	cfg := app.Default()
	cfg.Version = version
	if err := config.Load("slipway-alarms", os.Args[1:], &cfg); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	a, err := app.New(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer func() {
		ended, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		a.Stop(ended)
	}()
	if err := a.Start(ctx); err != nil {
		return err
	}
	log.Info("serving", "address", a.Addr())
	<-ctx.Done()
	return nil
}
