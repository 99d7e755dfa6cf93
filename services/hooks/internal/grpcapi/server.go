// Package grpcapi is slipway.hooks.v1.HookService and LifecycleEventService: it converts, calls the store and the feed, and decides nothing.
package grpcapi

import (
	"context"
	"errors"
	"log/slog"
	"time"

	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/hooks/internal/feed"
	"github.com/slipway-deploy/slipway/services/hooks/internal/invocation"
	"github.com/slipway-deploy/slipway/services/hooks/internal/store"
)

// Server is the service.
type Server struct {
	hookspb.UnimplementedHookServiceServer
	hookspb.UnimplementedLifecycleEventServiceServer
	store *store.Store
	feed  *feed.Feed
	wake  func() // the engine
	rules invocation.Rules
	log   *slog.Logger
}

var (
	_ hookspb.HookServiceServer           = (*Server)(nil)
	_ hookspb.LifecycleEventServiceServer = (*Server)(nil)
)

// Config says what a server works with.
type Config struct {
	Store *store.Store
	Feed  *feed.Feed
	Wake  func() // called when an invocation is due
	Rules invocation.Rules
	Log   *slog.Logger
}

// New returns the service.
func New(cfg Config) *Server {
	return &Server{store: cfg.Store, feed: cfg.Feed, wake: cfg.Wake, rules: cfg.Rules, log: cfg.Log}
}

const (
	defaultPage = 20
	maxPage     = 100
	dbTimeout   = 10 * time.Second // of a call whose caller gave no deadline
)

// bounded gives a call to the database a deadline, whatever its caller did.
func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, dbTimeout)
}

// invalid turns the core's violations into a problem; other errors stay as they are.
func invalid(err error, prefix string) error {
	in, ok := errors.AsType[*invocation.InvalidError](err)
	if !ok {
		return err
	}
	violations := make([]problem.Violation, len(in.Violations))
	for n, v := range in.Violations {
		violations[n] = problem.Violation{Field: prefix + v.Field, Rule: v.Rule}
	}
	return problem.Violated(violations...)
}
