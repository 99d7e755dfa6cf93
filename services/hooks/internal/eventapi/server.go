// Package eventapi is slipway.hooks.v1.SubscriptionService: it converts, calls the outbox, and decides nothing.
package eventapi

import (
	"context"
	"log/slog"
	"time"

	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	"github.com/slipway-deploy/slipway/services/hooks/internal/outbox"
	"github.com/slipway-deploy/slipway/services/hooks/internal/subscription"
)

// Server is the service.
type Server struct {
	hookspb.UnimplementedSubscriptionServiceServer
	cfg Config
}

var _ hookspb.SubscriptionServiceServer = (*Server)(nil)

// Config says what a server works with.
type Config struct {
	Store     *outbox.Store
	Compile   subscription.Compiler
	Changed   func() <-chan struct{} // closed when there may be something new to stream
	AllowHTTP bool                   // http:// may be used to any host
	Log       *slog.Logger
}

// New returns the service.
func New(cfg Config) *Server { return &Server{cfg: cfg} }

const (
	defaultPage = 20
	maxPage     = 100
	dbTimeout   = 10 * time.Second // of a call whose caller gave no deadline
)

// bounded gives a call to the database a deadline, whatever its caller did.
func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, dbTimeout)
}
