package dataplane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/slipway-deploy/slipway/drivers/traffic"
	"github.com/slipway-deploy/slipway/services/proxy/internal/h1"
)

// upstream speaks to one target. Its errors are those of h1.Client.Do.
type upstream interface {
	// begin makes the exchange one that can be cut and returns the request to do.
	begin(r *http.Request, x *exchange) *http.Request
	do(r *http.Request, head h1.Head, x *exchange) (*http.Response, error)
	closeIdle()
	reopen()
}

func newUpstream(protocol, address string, c Config) upstream {
	if protocol == traffic.HTTP1 {
		return overHTTP1{h1.New(h1.Config{
			Address: address, DialTimeout: c.DialTimeout, ResponseHeaderTimeout: c.ResponseHeaderTimeout,
			ContinueTimeout: time.Second, IdleTimeout: c.TargetIdleTimeout, MaxIdle: c.MaxIdlePerTarget,
			MaxResponseHeaderBytes: maxResponseHeader,
		})}
	}
	return newHTTP2(address, protocol == traffic.GRPC, c)
}

// maxResponseHeader bounds the header of a target's response.
const maxResponseHeader = 256 << 10

// exchange is one request at one target.
type exchange struct {
	call h1.Call
	// cancel and hints are for HTTP/2 and nil otherwise.
	cancel context.CancelFunc
	hints  *hints
	// wasCut is true when the drain budget ended it.
	wasCut atomic.Bool

	prev, next *exchange // of the target's list
}

// end cuts the exchange.
func (x *exchange) end() {
	x.wasCut.Store(true)
	x.call.Abort()
	if x.cancel != nil {
		x.cancel()
	}
}

type overHTTP1 struct{ client *h1.Client }

func (u overHTTP1) begin(r *http.Request, _ *exchange) *http.Request { return r }

func (u overHTTP1) do(r *http.Request, head h1.Head, x *exchange) (*http.Response, error) {
	return u.client.Do(r, head, &x.call)
}
func (u overHTTP1) closeIdle() { u.client.CloseIdle() }
func (u overHTTP1) reopen()    { u.client.Reopen() }

// overHTTP2 speaks HTTP/2 without TLS, by prior knowledge. A transport for each target: its idle connections can be closed
// when that target is drained.
type overHTTP2 struct {
	address   string
	transport *http.Transport
}

func newHTTP2(address string, grpc bool, c Config) *overHTTP2 {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	dialer := net.Dialer{Timeout: c.DialTimeout, KeepAliveConfig: h1.KeepAlive}
	t := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			nc, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, &h1.DialError{Address: address, Err: err}
			}
			return nc, nil
		},
		Protocols:              protocols,
		DisableCompression:     true,
		IdleConnTimeout:        c.TargetIdleTimeout,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: maxResponseHeader,
		// No HTTP2.SendPingTimeout: a gRPC server takes pings on a quiet connection for an attack and closes it, streams
		// and all (ENHANCE_YOUR_CALM, too_many_pings). TCP's keep-alive finds targets that are gone without a word.
	}
	if !grpc {
		t.ResponseHeaderTimeout = c.ResponseHeaderTimeout
	}
	return &overHTTP2{address: address, transport: t}
}

func (u *overHTTP2) closeIdle() { u.transport.CloseIdleConnections() }
func (u *overHTTP2) reopen()    {}

func (u *overHTTP2) begin(r *http.Request, x *exchange) *http.Request {
	ctx, cancel := context.WithCancel(r.Context())
	x.cancel = cancel
	x.hints = &hints{informational: x.call.Informational}
	return r.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: x.hints.pass}))
}

func (u *overHTTP2) do(r *http.Request, head h1.Head, x *exchange) (*http.Response, error) {
	out := new(http.Request)
	*out = *r
	out.URL = &url.URL{Scheme: "http", Host: u.address, Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery, ForceQuery: r.URL.ForceQuery}
	out.Header = head.Header(r)
	out.RequestURI, out.Close = "", false
	var body *clientBody
	if r.ContentLength != 0 && r.Body != nil && r.Body != http.NoBody {
		body = &clientBody{ReadCloser: r.Body}
		out.Body = body
	} else {
		out.Body = nil
	}
	res, err := u.transport.RoundTrip(out)
	x.hints.stop()
	if err == nil && res.StatusCode < http.StatusContinue { // which net/http's server would not send on
		_ = res.Body.Close()
		err = fmt.Errorf("the target answered with status %d", res.StatusCode)
	}
	if err == nil {
		return res, nil
	}
	return nil, u.classify(err, r, x, body)
}

// classify turns an error of net/http into one of h1.
func (u *overHTTP2) classify(err error, r *http.Request, x *exchange, body *clientBody) error {
	var dial *h1.DialError
	var netErr net.Error
	switch {
	case x.wasCut.Load() || r.Context().Err() != nil:
		return h1.ErrAborted
	case errors.As(err, &dial):
		return dial
	case body != nil && body.failed() != nil:
		return &h1.BodyError{Err: body.failed()}
	case errors.As(err, &netErr) && netErr.Timeout() && strings.Contains(err.Error(), "awaiting response headers"):
		return h1.ErrHeaderTimeout
	}
	return err
}

// hints passes informational responses on while the handler waits in RoundTrip, which is the only time at which the
// response writer is free: net/http calls from another goroutine.
type hints struct {
	mu            sync.Mutex
	over          bool
	informational func(int, http.Header)
}

func (h *hints) pass(code int, header textproto.MIMEHeader) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.over && h.informational != nil && code != http.StatusContinue {
		h.informational(code, http.Header(header))
	}
	return nil
}

func (h *hints) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.over = true
}

// clientBody is a request's body on its way to a target. The transport's Close must not close it: after a dial error
// the body, of which nothing was read, goes to another target.
type clientBody struct {
	io.ReadCloser
	mu  sync.Mutex
	err error
}

// Read reads from the client.
func (b *clientBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		b.mu.Lock()
		b.err = err
		b.mu.Unlock()
	}
	return n, err
}

// Close leaves the body to the server, which closes it when the handler returns.
func (b *clientBody) Close() error { return nil }

func (b *clientBody) failed() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}
