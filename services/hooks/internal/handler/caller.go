// Package handler calls users' hook handlers, over gRPC, as HTTPS webhooks, AWS Lambda functions and commands, and says what a call brought back. It
// makes one call for one attempt and decides nothing: whether and when to call again is package invocation's.
//
// Each call has a connection of its own: hooks are called a few times in a deployment, and a kept connection would
// bring failures of its own (a peer that went away meanwhile) into an attempt.
package handler

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/slipway-deploy/slipway/drivers/hook/lambda"
	"github.com/slipway-deploy/slipway/services/hooks/internal/invocation"
)

// MaxAnswer bounds what is read of an answer, in bytes. A longer one fails the invocation.
const MaxAnswer = 64 << 10

// Call is one attempt to be sent.
type Call struct {
	Target     invocation.Target
	Invocation string
	Deployment string
	Stage      string
	Contract   invocation.Contract
	Attempt    int
	Request    string // JSON, as Request made it when the attempt was recorded
	Timeout    time.Duration
}

// Reply is what a call brought back.
type Reply struct {
	Event      invocation.Event // Answered or Unanswered
	Response   string           // as received, cut at MaxAnswer; "" when nothing came
	HookStatus string           // as received; "" when there was none
	Error      string           // why there was no answer; "" when there was one
}

// Caller calls handlers.
type Caller struct {
	Names
	webhook  webhook
	lambda   *lambda.Client
	commands []string
	rootCAs  *x509.CertPool
}

// Config is what an operator may say about calls.
type Config struct {
	AllowHTTP bool           // webhooks may use http:// to any host, not only to loopback addresses
	RootCAs   *x509.CertPool // that TLS handlers are checked with; nil for the system's
	Names     Names
	// Lambda says where functions are called.
	Lambda lambda.Config
	// Commands are the programs that may be run, as invocation.Rules has them.
	Commands []string
	Now      func() time.Time // the time in signatures
}

// NewCaller returns a caller.
func NewCaller(cfg Config, log *slog.Logger) *Caller {
	at := cfg.Lambda
	at.RootCAs, at.MaxBody = cfg.RootCAs, MaxAnswer
	return &Caller{Names: cfg.Names, webhook: newWebhook(cfg, log), lambda: lambda.New(at), commands: cfg.Commands, rootCAs: cfg.RootCAs}
}

// Call sends one attempt and waits for its answer, at most c.Timeout and until ctx ends.
func (h *Caller) Call(ctx context.Context, c Call) Reply {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	switch c.Target.Kind {
	case invocation.GRPC:
		return h.callGRPC(ctx, c)
	case invocation.Webhook:
		return h.webhook.call(ctx, c)
	case invocation.Lambda:
		return h.callLambda(ctx, c)
	case invocation.Exec:
		return h.callCommand(ctx, c)
	default:
		return c.unanswered(true, "no way to call a target of kind %q", c.Target.Kind)
	}
}

func (c Call) unanswered(final bool, format string, args ...any) Reply {
	text := clean(fmt.Sprintf(format, args...))
	return Reply{Event: invocation.Unanswered{Attempt: c.Attempt, Error: text, Final: final}, Error: text}
}

func (c Call) answered(a invocation.Answer, response string) Reply {
	return Reply{
		Event:    invocation.Answered{Attempt: c.Attempt, Answer: a},
		Response: clean(response), HookStatus: a.Status,
	}
}

// failed is a call that broke off. begun says that the handler was reached and may have begun.
func (c Call) failed(ctx context.Context, err error, begun bool) Reply {
	reply := c.unanswered(false, "%s", err)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		reply = c.unanswered(false, "no answer within %s", c.Timeout)
	}
	return reply.reached(begun)
}

// reached says whether the handler may have begun.
func (r Reply) reached(begun bool) Reply {
	if e, ok := r.Event.(invocation.Unanswered); ok {
		e.Begun = begun
		r.Event = e
	}
	return r
}

// said is an answer of which nothing but its text is known yet.
func (c Call) said(body []byte) Reply {
	if len(body) > MaxAnswer {
		return c.answered(invocation.Answer{Broken: fmt.Sprintf("answered more than %d bytes", MaxAnswer)}, string(body))
	}
	return c.answered(parseAnswer(body), string(body))
}

// clean makes foreign text storable: valid UTF-8 without NUL, bounded.
func clean(s string) string {
	if len(s) > MaxAnswer {
		s = s[:MaxAnswer]
	}
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
	if len(s) > MaxAnswer { // what was put in is longer than what it stands for
		s = strings.ToValidUTF8(s[:MaxAnswer], "")
	}
	return s
}
