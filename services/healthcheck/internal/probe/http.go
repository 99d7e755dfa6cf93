package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/slipway-deploy/slipway/services/healthcheck/internal/verdict"
)

// http makes an HTTP check: GET, redirects not followed, no proxy. The code decides, as soon as the header is here; the body is read
// for the connection's sake.
func (p *Prober) http(ctx context.Context, c verdict.Check, address string) verdict.Result {
	code, err := p.get(ctx, c, address)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), err != nil && ctx.Err() != nil:
		return timedOut()
	case err != nil:
		return unreachable(err)
	}
	matcher, err := verdict.ParseMatcher(c.Matcher, 200, 499)
	if err != nil || !matcher.Matches(code) {
		return failed(verdict.ResponseCodeMismatch, "Health checks failed with these codes: [%d]", code)
	}
	return verdict.Result{OK: true}
}

// get returns the code that the target answers with. The time-out holds for all of it.
func (p *Prober) get(ctx context.Context, c verdict.Check, address string) (code int, err error) {
	deadline := time.Now().Add(c.Timeout)
	request, err := request(c, address)
	if err != nil {
		return 0, err
	}
	where := place{tls: c.Type == verdict.HTTPS, address: address}
	if c.KeepAlive {
		if cn := p.kept.take(where); cn != nil {
			code, err := cn.exchange(ctx, request, deadline)
			if err == nil || cn.answered || errors.Is(err, os.ErrDeadlineExceeded) || ctx.Err() != nil {
				p.done(cn, c)
				return code, err
			}
			cn.close() // the target gave it up as the request was sent, which says nothing of the target
		}
	}
	cn, err := dial(ctx, where, deadline)
	if err != nil {
		return 0, err
	}
	code, err = cn.exchange(ctx, request, deadline)
	p.done(cn, c)
	return code, err
}

// done keeps a connection for the next check, if both sides want it.
func (p *Prober) done(cn *conn, c verdict.Check) {
	if c.KeepAlive && cn.reusable {
		p.kept.put(cn, time.Now().Add(2*c.Interval+c.Timeout))
		return
	}
	cn.close()
}

// dial connects. TCP's own keep-alive is left off: a check has a deadline.
func dial(ctx context.Context, where place, deadline time.Time) (*conn, error) {
	nc, err := (&net.Dialer{Deadline: deadline, KeepAlive: -1}).DialContext(ctx, "tcp", where.address)
	if err != nil {
		return nil, err
	}
	cn := newConn(where, nc)
	if !where.tls {
		return cn, nil
	}
	host, _, _ := net.SplitHostPort(where.address)
	secure := tls.Client(nc, &tls.Config{ServerName: host, InsecureSkipVerify: true}) //nolint:gosec // ELB does not verify targets' certificates either
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	if err := secure.HandshakeContext(ctx); err != nil {
		cn.close()
		return nil, err
	}
	cn.nc = secure
	return cn, nil
}

// request is the request of a check, as it is sent.
func request(c verdict.Check, address string) (string, error) {
	target := c.Path
	if strings.ContainsFunc(target, unusual) {
		u, err := url.Parse("http://target" + target)
		if err != nil {
			return "", err
		}
		target = u.RequestURI()
	}
	if zone := strings.IndexByte(address, '%'); zone >= 0 {
		address = address[:zone] + address[strings.LastIndexByte(address, ']'):] // it means something on this machine only
	}
	connection := ""
	if !c.KeepAlive {
		connection = "\r\nConnection: close"
	}
	return "GET " + target + " HTTP/1.1\r\nHost: " + address + "\r\nUser-Agent: " + userAgent + connection + "\r\n\r\n", nil
}

// unusual reports whether a path with r in it may have to be written in another way.
func unusual(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("/-._~?=&", r)
}
