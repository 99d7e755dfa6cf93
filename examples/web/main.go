// Command web is a small server to deploy: it says which version, task and process answers, and misbehaves on
// request. It uses the standard library only and speaks HTTP/1.1, HTTP/2 without TLS and, at /ws, WebSocket.
//
//	GET /        {"version":"v1","task":"web-3-7","pid":4711}
//	GET /health  200, or HEALTH_STATUS
//	GET /ws      a WebSocket that echoes what it is sent
//
// It is told what to do by its environment:
//
//	HOST           the address to listen on (default 127.0.0.1)
//	PORT           the port (default 8080)
//	VERSION        the version to tell (default v1)
//	FAIL_RATE      the share of the requests of / that are answered 500, from 0 to 1: 0.25 is every fourth
//	LATENCY        how long an answer of / takes, e.g. 50ms
//	HEALTH_STATUS  the status of /health (default 200)
//	START_DELAY    how long it waits before it listens
//	EXIT_AFTER     how long after its start it exits with code 1; 0s: at once
//
// At SIGTERM it takes no new connections, finishes the requests it has and exits with code 0.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// finishWithin bounds the time for the last requests; it is less than the 30 s after which a task is killed.
const finishWithin = 25 * time.Second

func main() {
	log := slog.New(slog.NewTextHandler(os.Stdout, nil))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	cfg, err := configFrom(os.LookupEnv)
	if err == nil {
		err = run(ctx, cfg, log)
	}
	stop()
	if err != nil {
		log.Error("The server ended.", "version", cfg.version, "error", err)
		os.Exit(1)
	}
}

var errExitAfter = errors.New("EXIT_AFTER has passed")

// run serves until ctx ends (nil) or something goes wrong.
func run(ctx context.Context, cfg config, log *slog.Logger) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if cfg.exits {
		if cfg.exitAfter <= 0 {
			return errExitAfter
		}
		timer := time.AfterFunc(cfg.exitAfter, func() { cancel(errExitAfter) })
		defer timer.Stop()
	}
	if !wait(ctx, cfg.startDelay) {
		return reason(ctx)
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(cfg.host, cfg.port))
	if err != nil {
		return fmt.Errorf("listen on PORT: %w", err)
	}
	server := newServer(cfg)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	log.Info("The server listens.", "version", cfg.version, "address", listener.Addr().String())
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	if err := reason(ctx); err != nil {
		return err
	}
	log.Info("The server finishes its requests.", "version", cfg.version)
	last, done := context.WithTimeout(context.WithoutCancel(ctx), finishWithin)
	defer done()
	return server.Shutdown(last)
}

// reason is why ctx ended; nil when it was asked to.
func reason(ctx context.Context) error {
	if err := context.Cause(ctx); errors.Is(err, errExitAfter) {
		return err
	}
	return nil
}

// wait waits for d and says whether ctx still goes on.
func wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// newServer serves HTTP/1.1 and HTTP/2, both without TLS.
func newServer(cfg config) *http.Server {
	server := &http.Server{Handler: newHandler(cfg), ReadHeaderTimeout: 10 * time.Second}
	server.Protocols = new(http.Protocols)
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	return server
}
