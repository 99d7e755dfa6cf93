// Package probe checks targets over the network: HTTP, HTTPS, TCP and gRPC, as Elastic Load Balancing does. It opens a
// connection for each check unless it is asked to keep them.
package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"

	"github.com/slipway-deploy/slipway/services/healthcheck/internal/verdict"
)

const (
	maxBody        = 1 << 20 // what is read of an answer before the connection is given back
	maxDescription = 1024
	userAgent      = "Slipway-HealthChecker/1.0"
)

// Prober makes checks.
type Prober struct {
	fresh, kept *http.Client
}

// New returns a prober.
func New() *Prober {
	client := func(fresh bool) *http.Client {
		return &http.Client{
			Transport: &http.Transport{
				DisableKeepAlives: fresh, DisableCompression: true, MaxIdleConnsPerHost: 1, MaxIdleConns: 20_000,
				TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // ELB does not verify targets' certificates either
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	return &Prober{fresh: client(true), kept: client(false)}
}

// Close gives up kept connections.
func (p *Prober) Close() { p.kept.CloseIdleConnections() }

// Probe makes one check of the target at host:port.
func (p *Prober) Probe(ctx context.Context, c verdict.Check, address string) verdict.Result {
	if c.Port != 0 {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return failed(verdict.FailedHealthChecks, "the address %q is not host:port", address)
		}
		address = net.JoinHostPort(host, strconv.Itoa(c.Port))
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	var result verdict.Result
	switch c.Type {
	case verdict.TCP:
		result = p.tcp(ctx, address)
	case verdict.GRPC:
		result = p.grpc(ctx, c, address)
	default:
		result = p.http(ctx, c, address)
	}
	if !result.OK && !result.Inconclusive && result.Reason == verdict.FailedHealthChecks && ctx.Err() != nil {
		return failed(verdict.Timeout, "Request timed out")
	}
	return result
}

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

func (p *Prober) http(ctx context.Context, c verdict.Check, address string) verdict.Result {
	scheme, client := "http", p.fresh
	if c.Type == verdict.HTTPS {
		scheme = "https"
	}
	if c.KeepAlive {
		client = p.kept
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+address+c.Path, nil)
	if err != nil {
		return failed(verdict.FailedHealthChecks, "Health checks failed: %s", err)
	}
	req.Header.Set("User-Agent", userAgent)
	resp, err := client.Do(req)
	if err != nil {
		return unreachable(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxBody)) // the code decides; the body is read for the connection's sake
	matcher, err := verdict.ParseMatcher(c.Matcher, 200, 499)
	if err != nil || !matcher.Matches(resp.StatusCode) {
		return failed(verdict.ResponseCodeMismatch, "Health checks failed with these codes: [%d]", resp.StatusCode)
	}
	return verdict.Result{OK: true}
}
