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
	"github.com/slipway-deploy/slipway/platform/grpcserver"
)

const stopTimeout = 10 * time.Second

// Service is a service's app.
type Service interface {
	Start(ctx context.Context) error
	Stop(ctx context.Context)
	Addr() string
}

// Failing is a Service that may find that it cannot go on.
type Failing interface {
	Failed() <-chan error // has the reason
}

// Program is a service and how to run it.
type Program struct {
	Name   string
	Config any                // a pointer to the service's configuration
	Listen *grpcserver.Config // the part of Config that says where the service serves
	New    func(ctx context.Context, log *slog.Logger) (Service, error)
}

// Main fills the configuration, makes the service and runs it until SIGINT or SIGTERM. With "healthcheck" as the first
// argument it asks the running service instead, and with "version" it prints that. It ends the process: with 1 and one
// sentence on standard error when the service cannot run or is not healthy.
func Main(p Program) {
	if err := p.main(os.Args[1:]); err != nil && !errors.Is(err, config.ErrHelp) {
		fmt.Fprintln(os.Stderr, p.Name+":", err)
		os.Exit(1)
	}
}

func (p Program) main(args []string) error {
	switch {
	case len(args) > 0 && args[0] == "version":
		_, err := fmt.Fprintln(os.Stdout, p.Name, Version())
		return err
	case len(args) > 0 && args[0] == "healthcheck":
		if err := config.Load(p.Name+" healthcheck", args[1:], p.Config); err != nil {
			return err
		}
		return healthcheck(context.Background(), *p.Listen)
	default:
		return p.run(args)
	}
}

func (p Program) run(args []string) error {
	if err := config.Load(p.Name+" [healthcheck | version]", args, p.Config); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	service, err := p.New(ctx, log)
	if err != nil {
		return err
	}
	if err := service.Start(ctx); err != nil {
		return err
	}
	log.Info("serving", "address", service.Addr(), "version", Version())
	var failed <-chan error
	if f, ok := service.(Failing); ok {
		failed = f.Failed()
	}
	var failure error
	select {
	case <-ctx.Done():
	case failure = <-failed:
	}
	ended, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	service.Stop(ended)
	return failure
}

// Version is what the build was stamped with: a tag, a commit, or "(devel)".
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return info.Main.Version
}
