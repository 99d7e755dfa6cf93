package fault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/slipway-deploy/slipway/platform/problem"
)

// carrier is an error that came over the network, as grpcclient keeps it.
type carrier struct{ st *status.Status }

func (c carrier) Error() string              { return c.st.Message() }
func (c carrier) GRPCStatus() *status.Status { return c.st }

func unavailable(message string) error {
	return problem.New(problem.Unavailable, "SERVICE_UNAVAILABLE", "orchestrator cannot be reached: %s", message).
		With("service", "orchestrator").Wrap(carrier{status.New(codes.Unavailable, message)})
}

func TestErrorsBecomeSentencesAndCodes(t *testing.T) {
	t.Parallel()
	dial := `connection error: desc = "transport: Error while dialing: dial tcp 127.0.0.1:7001: connect: connection refused"`
	tests := []struct {
		name string
		err  error
		code int
		want []string
	}{
		{"refused connection", unavailable(dial), Unreachable, []string{
			`error: cannot reach the orchestrator at 127.0.0.1:7001: connection refused; start it with "slipway dev" or set --orchestrator`,
		}},
		{"no such host", unavailable(`connection error: desc = "transport: Error while dialing: dial tcp: lookup nowhere: no such host"`), Unreachable, []string{
			`error: cannot reach the orchestrator at 127.0.0.1:7001: dial tcp: lookup nowhere: no such host; start it with "slipway dev" or set --orchestrator`,
		}},
		{"no gRPC there", unavailable(`connection error: desc = "error reading server preface: EOF"`), Unreachable, []string{
			`error: cannot reach the orchestrator at 127.0.0.1:7001: error reading server preface: EOF; is it a gRPC server, and does it want TLS (--tls-ca)?`,
		}},
		{"a connection that ends", unavailable("error reading from server: EOF"), Unreachable, []string{
			"error: cannot reach the orchestrator at 127.0.0.1:7001: it closed the connection",
		}},
		{"no TLS there", unavailable(`connection error: desc = "transport: authentication handshake failed: tls: first record does not look like a TLS handshake"`), Unreachable, []string{
			`error: cannot reach the orchestrator at 127.0.0.1:7001: tls: first record does not look like a TLS handshake; it speaks no TLS: set --insecure, and no --tls-ca`,
		}},
		{"what the service says about another", problem.New(problem.Unavailable, "DATABASE_UNAVAILABLE", "the database cannot be reached"), Unreachable, []string{
			"error: the database cannot be reached",
		}},
		{"one field", problem.Invalid("service.desired_count", "must be at most %d", 10000), Refused, []string{
			"error: service.desired_count: must be at most 10000",
		}},
		{"two fields", problem.Violated(problem.Violation{Field: "a", Rule: "b"}, problem.Violation{Field: "c", Rule: "d"}), Refused, []string{
			"error: the request is not valid:", "  a: b", "  c: d",
		}},
		{"a deployment at work", problem.New(problem.FailedPrecondition, "DEPLOYMENT_IN_PROGRESS", "deployment d-3 is at work").With("deployment", "d-3"), Refused, []string{
			`error: deployment d-3 is at work; follow it with "slipway watch d-3", stop it with "slipway stop d-3", or put this one in its place with --supersede`,
		}},
		{"no token", fmt.Errorf("create: %w", problem.New(problem.Unauthenticated, "UNAUTHENTICATED", "the token is missing")), Refused, []string{
			"error: the token is missing; set --token or SLIPWAY_TOKEN",
		}},
		{"time out", problem.New(problem.DeadlineExceeded, "", "context deadline exceeded"), TimedOut, []string{
			"error: no answer within 30s; give it longer with --timeout",
		}},
		{"unknown method", problem.New(problem.FailedPrecondition, "", "unknown service x").Wrap(carrier{status.New(codes.Unimplemented, "unknown service x")}), Refused, []string{
			"error: unknown service x; is it the right service, and of the version of this command?",
		}},
		{"escape sequences", problem.New(problem.Internal, "", "bad\x1b[2J\nluck"), Unreachable, []string{"error: bad[2J luck"}},
		{"usage", &Usage{Command: "slipway deploy", Cause: errors.New("unknown flag: --x")}, Refused, []string{
			`error: unknown flag: --x; see "slipway deploy --help"`,
		}},
		{"exit that said all", &Exit{Code: Failed}, Failed, nil},
		{"exit with text", &Exit{Code: TimedOut, Text: "it goes on"}, TimedOut, []string{"it goes on"}},
		{"Ctrl-C", fmt.Errorf("list: %w", context.Canceled), Interrupted, []string{"error: list: context canceled"}},
	}
	x := Explainer{Endpoints: map[string]Endpoint{"orchestrator": {"127.0.0.1:7001", "--orchestrator"}}, Timeout: 30 * time.Second}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := Code(test.err); got != test.code {
				t.Errorf("code %d, want %d", got, test.code)
			}
			if got := x.Lines(test.err); !slices.Equal(got, test.want) {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
	if Code(nil) != OK {
		t.Error("no error is not OK")
	}
}
