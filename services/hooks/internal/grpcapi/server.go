// Package grpcapi is slipway.hooks.v1.HookService: it converts, calls the store and the feed, and decides nothing.
package grpcapi

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/hooks/internal/feed"
	"github.com/slipway-deploy/slipway/services/hooks/internal/invocation"
	"github.com/slipway-deploy/slipway/services/hooks/internal/store"
)

// Store is what the API needs of the database.
type Store interface {
	InTx(ctx context.Context, f func(pgx.Tx) error) error
	HookPut(ctx context.Context, tx pgx.Tx, h invocation.Hook, etag string) (store.Hook, error)
	HookGet(ctx context.Context, name string) (store.Hook, error)
	HookList(ctx context.Context, after string, limit int) ([]store.Hook, error)
	HookDelete(ctx context.Context, tx pgx.Tx, name string) error
	InvocationBegin(ctx context.Context, b store.Begin) (invocation.Invocation, error)
	InvocationGet(ctx context.Context, id string) (invocation.Invocation, error)
	InvocationList(ctx context.Context, p store.Page) ([]invocation.Invocation, error)
	InvocationApply(ctx context.Context, tx pgx.Tx, id string, e invocation.Event, attempt int, r store.Reply) (invocation.Decision, error)
	InvocationCancel(ctx context.Context, id string, generation int64) (invocation.Invocation, error)
	AttemptList(ctx context.Context, id string) ([]store.Attempt, error)
	AnswerIgnored(ctx context.Context, id string, attempt int, cause string, r store.Reply) error
}

var _ Store = (*store.Store)(nil)

// Server is the service.
type Server struct {
	hookspb.UnimplementedHookServiceServer
	store     Store
	feed      *feed.Feed
	wake      func() // the engine
	allowHTTP bool
	log       *slog.Logger
}

var _ hookspb.HookServiceServer = (*Server)(nil)

// Config says what a server works with.
type Config struct {
	Store     Store
	Feed      *feed.Feed
	Wake      func() // called when an invocation is due
	AllowHTTP bool   // webhooks may use http:// to any host
	Log       *slog.Logger
}

// New returns the service.
func New(cfg Config) *Server {
	return &Server{store: cfg.Store, feed: cfg.Feed, wake: cfg.Wake, allowHTTP: cfg.AllowHTTP, log: cfg.Log}
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
	var in *invocation.InvalidError
	if !errors.As(err, &in) {
		return err
	}
	violations := make([]problem.Violation, len(in.Violations))
	for n, v := range in.Violations {
		violations[n] = problem.Violation{Field: prefix + v.Field, Rule: v.Rule}
	}
	return problem.Violated(violations...)
}
