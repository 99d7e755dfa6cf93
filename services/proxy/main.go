// Command slipway-proxy runs the built-in data plane.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/slipway-deploy/slipway/platform/config"
	"github.com/slipway-deploy/slipway/services/proxy/app"
)

// stopTimeout is how long requests in flight may take to end after SIGTERM.
const stopTimeout = 10 * time.Second

// gcPercent lets the heap, which is small and short-lived here, grow further between two collections: fewer of them
// under load, for some megabytes. GOGC overrides it.
const gcPercent = 400

// version is set by the linker.
var version = "dev"

func main() {
	if err := run(); err != nil && !errors.Is(err, config.ErrHelp) {
		fmt.Fprintln(os.Stderr, "slipway-proxy:", err)
		os.Exit(1)
	}
}

func run() error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	cfg := app.Default()
	cfg.Version = version
	if err := config.Load("slipway-proxy", os.Args[1:], &cfg); err != nil {
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
	log.InfoContext(ctx, "serving", "address", a.Addr())
	<-ctx.Done()
	ended, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	a.Stop(ended)
	return nil
}
