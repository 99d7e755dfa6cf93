// Package h1 forwards requests to one target over HTTP/1.1. It is a client made for a proxy: it takes the request as
// the server received it, writes its head without copying the header map, and runs the exchange in the caller's
// goroutine, which is where it beats net/http's Transport. It knows no target group and no routing.
package h1

import (
	"context"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// KeepAlive finds a target that is gone without a word within half a minute.
var KeepAlive = net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3} //nolint:gochecknoglobals // a constant

// Config says how to reach the target. Times of zero mean no limit.
type Config struct {
	// Address is host:port.
	Address string
	// DialTimeout bounds the set-up of a connection.
	DialTimeout time.Duration
	// ResponseHeaderTimeout bounds the wait for a response's header after the request was sent.
	ResponseHeaderTimeout time.Duration
	// ContinueTimeout bounds the wait for "100 Continue" before a body is sent all the same.
	ContinueTimeout time.Duration
	// IdleTimeout closes a connection that was not used for so long. It should be shorter than the target's own.
	IdleTimeout time.Duration
	// MaxIdle is how many unused connections are kept.
	MaxIdle int
	// MaxResponseHeaderBytes bounds a response's header.
	MaxResponseHeaderBytes int64
}

// Client keeps the connections to one target. All methods are safe for concurrent use.
type Client struct {
	config Config
	dialer net.Dialer

	mu      sync.Mutex
	idle    []*conn // the last is the one used last
	sweep   *time.Timer
	retired bool
}

// New returns a client without a connection.
func New(config Config) *Client {
	return &Client{config: config, dialer: net.Dialer{Timeout: config.DialTimeout, KeepAliveConfig: KeepAlive}}
}

// Do sends the request, as a server received it, to the target and returns the response. The caller closes the
// response's body. A response 101 has an *Upgraded as its body.
//
// The error is a *DialError when no connection could be made: nothing of the request was read or sent. It is a
// *BodyError when the request's body could not be read, ErrAborted after call.Abort or the end of the request's
// context, ErrHeaderTimeout when the target did not answer in time, ErrRequest when the request cannot be written as
// HTTP/1.1. Any other error is the target's.
//
// As in net/http's Transport, a request that met a kept connection which turned out dead is sent again on a new one
// if nothing of it had left, or if its method is idempotent and it has no body.
func (c *Client) Do(r *http.Request, head Head, call *Call) (*http.Response, error) {
	if err := head.check(r); err != nil {
		return nil, err
	}
	replayable := replayable(r)
	cn := c.takeIdle(!replayable)
	for {
		reused := cn != nil
		if !reused {
			var err error
			if cn, err = c.dial(r.Context()); err != nil {
				return nil, err
			}
		}
		if !call.attach(cn) {
			cn.close()
			return nil, ErrAborted
		}
		// Without this a request whose client has gone would hold its target until the response came.
		cn.stopWatch = context.AfterFunc(r.Context(), call.Abort)
		res, err := cn.exchange(r, head, call)
		if err == nil {
			return res, nil
		}
		aborted := !call.detach()
		cn.stopWatch()
		cn.close()
		switch {
		case aborted:
			return nil, ErrAborted
		case !reused || cn.gotBytes || cn.bodyTouched || (cn.sentBytes && !replayable):
			return nil, err
		}
		cn = nil // a second kept connection may be as dead: take a new one
	}
}

// CloseIdle closes the unused connections and keeps none from now on: those in use are closed after their exchange.
func (c *Client) CloseIdle() {
	c.mu.Lock()
	idle := c.idle
	c.idle, c.retired = nil, true
	c.mu.Unlock()
	for _, cn := range idle {
		cn.close()
	}
}

// Reopen undoes CloseIdle: connections are kept again.
func (c *Client) Reopen() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.retired = false
}

func (c *Client) dial(ctx context.Context) (*conn, error) {
	nc, err := c.dialer.DialContext(ctx, "tcp", c.config.Address)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ErrAborted
		}
		return nil, &DialError{Address: c.config.Address, Err: err}
	}
	return newConn(c, nc), nil
}

// takeIdle returns the connection used last, or nil. With probe it makes sure that the target has not closed it.
func (c *Client) takeIdle(probe bool) *conn {
	for {
		c.mu.Lock()
		n := len(c.idle)
		if n == 0 {
			c.mu.Unlock()
			return nil
		}
		cn := c.idle[n-1]
		c.idle[n-1] = nil
		c.idle = c.idle[:n-1]
		c.mu.Unlock()
		if !probe || cn.alive() {
			return cn
		}
		cn.close()
	}
}

// put keeps the connection for the next request.
func (c *Client) put(cn *conn) {
	cn.idleSince = time.Now()
	c.mu.Lock()
	if c.retired || len(c.idle) >= c.config.MaxIdle {
		c.mu.Unlock()
		cn.close()
		return
	}
	c.idle = append(c.idle, cn)
	if c.sweep == nil && c.config.IdleTimeout > 0 {
		c.sweep = time.AfterFunc(c.config.IdleTimeout, c.closeExpired)
	}
	c.mu.Unlock()
}

// closeExpired closes what was not used for IdleTimeout and comes back when the next one is due.
func (c *Client) closeExpired() {
	now := time.Now()
	c.mu.Lock()
	// The list is in order of last use.
	first := slices.IndexFunc(c.idle, func(cn *conn) bool { return now.Sub(cn.idleSince) < c.config.IdleTimeout })
	if first < 0 {
		first = len(c.idle)
	}
	expired := slices.Clone(c.idle[:first])
	c.idle = slices.Delete(c.idle, 0, first)
	c.sweep = nil
	if len(c.idle) > 0 {
		c.sweep = time.AfterFunc(c.config.IdleTimeout-now.Sub(c.idle[0].idleSince), c.closeExpired)
	}
	c.mu.Unlock()
	for _, cn := range expired {
		cn.close()
	}
}

// replayable says whether the request may be sent twice (RFC 9110 section 9.2.2, as net/http's Transport has it).
func replayable(r *http.Request) bool {
	if hasBody(r) {
		return false
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return len(r.Header["Idempotency-Key"]) > 0 || len(r.Header["X-Idempotency-Key"]) > 0
}

func hasBody(r *http.Request) bool {
	return r.ContentLength != 0 && r.Body != nil && r.Body != http.NoBody
}
