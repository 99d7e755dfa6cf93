// Package program runs a service as a program: settings from flags and the environment, a log, signals and an orderly
// stop. It knows no service.
package program

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
)

const stopTimeout = 10 * time.Second

// Service is a service's app.
type Service interface {
	Start(ctx context.Context) error
	Stop(ctx context.Context)
	Addr() string
}

// Main fills cfg, a pointer to the service's configuration, makes the service and runs it until SIGINT or SIGTERM. It ends
// the process: with 1 and one sentence on standard error when the service cannot run.
func Main(name string, cfg any, newService func(ctx context.Context, log *slog.Logger) (Service, error)) {
	if err := run(name, cfg, newService); err != nil && !errors.Is(err, config.ErrHelp) {
		fmt.Fprintln(os.Stderr, name+":", err)
		os.Exit(1)
	}
}

func run(name string, cfg any, newService func(ctx context.Context, log *slog.Logger) (Service, error)) error {
	if err := config.Load(name, os.Args[1:], cfg); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	service, err := newService(ctx, log)
	if err != nil {
		return err
	}
	if err := service.Start(ctx); err != nil {
		return err
	}
	log.Info("serving", "address", service.Addr(), "version", Version())
	<-ctx.Done()
	ended, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	service.Stop(ended)
	return nil
}

// Version is what the build was stamped with: a tag, a commit, or "(devel)".
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return info.Main.Version
}
