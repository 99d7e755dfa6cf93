// Package fault makes of an error what a person reads, a sentence, the broken fields and how to mend it, and the
// exit code that a program reads. It knows problems and the slipway command's flags, and calls no server.
package fault

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/slipway-deploy/slipway/cmd/slipway/internal/words"
	"github.com/slipway-deploy/slipway/platform/problem"
)

// The exit codes of the slipway command.
const (
	// OK: done; for a deployment: the revision that was asked for is live.
	OK = 0
	// Failed: the deployment failed, was rolled back or was stopped.
	Failed = 1
	// Refused: bad usage, a file that is not right, or a request that a service refused.
	Refused = 2
	// Unreachable: a service cannot be reached, or does not work.
	Unreachable = 3
	// TimedOut: --timeout was reached; what was asked for goes on.
	TimedOut = 124
	// Interrupted: left with Ctrl-C; what was asked for goes on.
	Interrupted = 130
)

// Usage is a command line that is not right.
type Usage struct {
	// Command is what to ask for help, e.g. "slipway deploy".
	Command string
	// Cause is what is not right.
	Cause error
}

// Error is what is not right, and where to read on.
func (u *Usage) Error() string {
	return fmt.Sprintf("%s; see %q", u.Cause.Error(), u.Command+" --help")
}

// Unwrap returns the cause.
func (u *Usage) Unwrap() error { return u.Cause }

// Exit ends the command with a code. Its text, if any, was not told yet.
type Exit struct {
	Code int
	Text string
}

// Error is the text.
func (e *Exit) Error() string { return e.Text }

// Endpoint is where a service is looked for.
type Endpoint struct {
	// Address is host:port.
	Address string
	// Flag is the flag that sets it, e.g. "--orchestrator".
	Flag string
}

// Explainer explains errors of calls to services by their names.
type Explainer struct {
	// Endpoints is the services by the name that their connection has, e.g. "orchestrator".
	Endpoints map[string]Endpoint
	// Timeout is how long the command was allowed to take, for messages.
	Timeout time.Duration
}

// Code returns the exit code that an error ends the command with.
func Code(err error) int {
	var exit *Exit
	switch {
	case err == nil:
		return OK
	case errors.As(err, &exit):
		return exit.Code
	case errors.Is(err, context.Canceled) || errors.Is(err, problem.Canceled):
		return Interrupted
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, problem.DeadlineExceeded):
		return TimedOut
	case errors.Is(err, problem.Unavailable) || errors.Is(err, problem.Internal):
		return Unreachable
	}
	return Refused
}

// Lines returns what to tell of an error: a sentence, then a line for each broken field. Nothing for an Exit that has
// said all.
func (x Explainer) Lines(err error) []string {
	var exit *Exit
	p := problem.As(err)
	switch {
	case errors.As(err, &exit):
		if exit.Text == "" {
			return nil
		}
		return []string{exit.Text}
	case p == nil || p.Kind == 0:
		return []string{"error: " + strings.TrimSpace(err.Error())}
	case len(p.Violations) == 1:
		return []string{"error: " + violation(p.Violations[0])}
	case len(p.Violations) > 1:
		lines := []string{"error: the request is not valid:"}
		for _, v := range p.Violations {
			lines = append(lines, "  "+violation(v))
		}
		return lines
	}
	return []string{"error: " + x.sentence(p)}
}

func violation(v problem.Violation) string {
	return words.Clean(v.Field) + ": " + words.Clean(v.Rule)
}

// sentence is the problem and its mend.
func (x Explainer) sentence(p *problem.Error) string {
	st, onWire := wire(p)
	name := p.Metadata["service"]
	end, known := x.Endpoints[name]
	switch {
	case p.Kind == problem.Unavailable && known && len(st.Details()) == 0:
		return x.unreachable(name, end, st, onWire)
	case p.Kind == problem.DeadlineExceeded:
		return fmt.Sprintf("no answer within %s; give it longer with --timeout", x.Timeout)
	case onWire && st.Code() == codes.Unimplemented:
		return words.Sentence(p.Message) + "; is it the right service, and of the version of this command?"
	}
	return words.Clean(p.Message) + mend(p)
}

// wire returns the status that a problem came as.
func wire(p *problem.Error) (st *status.Status, ok bool) {
	var carrier interface{ GRPCStatus() *status.Status }
	if errors.As(p.Cause, &carrier) {
		return carrier.GRPCStatus(), true
	}
	return status.New(codes.Unavailable, ""), false
}

// unreachable is why a service cannot be reached, and what to do.
func (x Explainer) unreachable(name string, end Endpoint, st *status.Status, onWire bool) string {
	why := "it does not answer"
	if onWire {
		why = dialing(st.Message())
	}
	text := fmt.Sprintf("cannot reach the %s at %s: %s", name, end.Address, why)
	switch {
	case strings.Contains(why, "error reading from server"):
		return fmt.Sprintf("cannot reach the %s at %s: it closed the connection", name, end.Address)
	case strings.Contains(why, "preface"):
		return text + "; is it a gRPC server, and does it want TLS (--tls-ca)?"
	case strings.Contains(why, "first record does not look like a TLS handshake"):
		return text + "; it speaks no TLS: set --insecure, and no --tls-ca"
	case strings.Contains(why, "x509"):
		return text + "; name the authority of its certificate with --tls-ca"
	}
	return fmt.Sprintf("%s; start it with \"slipway dev\" or set %s", text, end.Flag)
}

// dialing takes the reason out of gRPC's message about a connection.
func dialing(message string) string {
	for _, cut := range []string{"Error while dialing: ", "authentication handshake failed: ", `desc = "transport: `, `desc = "`} {
		if i := strings.LastIndex(message, cut); i >= 0 {
			message = strings.TrimRight(message[i+len(cut):], `"`)
			break
		}
	}
	if i := strings.LastIndex(message, "connect: "); i >= 0 {
		message = message[i+len("connect: "):]
	}
	return words.Clean(message)
}
