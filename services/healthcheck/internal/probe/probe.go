// Package probe checks targets over the network: HTTP, HTTPS, TCP and gRPC, as Elastic Load Balancing does. It opens a
// connection for each check unless it is asked to keep them.
package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"

	"github.com/slipway-deploy/slipway/services/healthcheck/internal/verdict"
)

const (
	maxDescription = 1024
	userAgent      = "Slipway-HealthChecker/1.0"
)

// Prober makes checks.
type Prober struct {
	kept kept
}

// New returns a prober.
func New() *Prober { return &Prober{} }

// Close gives up kept connections.
func (p *Prober) Close() { p.kept.close() }

// Probe makes one check of the target at host:port.
func (p *Prober) Probe(ctx context.Context, c verdict.Check, address string) verdict.Result {
	if c.Port != 0 {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return failed(verdict.FailedHealthChecks, "the address %q is not host:port", address)
		}
		address = net.JoinHostPort(host, strconv.Itoa(c.Port))
	}
	if c.Type == verdict.HTTP || c.Type == verdict.HTTPS {
		return p.http(ctx, c, address)
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	var result verdict.Result
	if c.Type == verdict.TCP {
		result = p.tcp(ctx, address)
	} else {
		result = p.grpc(ctx, c, address)
	}
	if !result.OK && !result.Inconclusive && result.Reason == verdict.FailedHealthChecks && ctx.Err() != nil {
		return timedOut()
	}
	return result
}

func timedOut() verdict.Result { return failed(verdict.Timeout, "Request timed out") }

// failed is a failed check. What targets say ends in messages and in a database, which take neither broken text nor NUL.
func failed(reason, format string, args ...any) verdict.Result {
	text := strings.ReplaceAll(fmt.Sprintf(format, args...), "\x00", "")
	return verdict.Result{Reason: reason, Description: strings.ToValidUTF8(text[:min(len(text), maxDescription)], "")}
}

// unreachable is a check that got no answer. When this machine is out of files or ports that says nothing of the target.
func unreachable(err error) verdict.Result {
	result := failed(verdict.FailedHealthChecks, "Health checks failed: %s", cause(err))
	for _, own := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		result.Inconclusive = result.Inconclusive || errors.Is(err, own)
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && errors.Is(err, syscall.EADDRNOTAVAIL) {
		// No port is left; for an IPv6 address it may also mean that this machine has no IPv6, for ever.
		address, ok := op.Addr.(*net.TCPAddr)
		result.Inconclusive = ok && address.IP.To4() != nil
	}
	return result
}

// cause is the innermost error that says something to a person.
func cause(err error) string {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err.Error()
	}
	return err.Error()
}

func (p *Prober) tcp(ctx context.Context, address string) verdict.Result {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return unreachable(err)
	}
	_ = conn.Close()
	return verdict.Result{OK: true}
}
