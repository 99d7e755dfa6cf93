package event

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"
)

// ErrNotLoopback says that an http:// URL leads out of this machine.
var ErrNotLoopback = errors.New("http:// is allowed to loopback addresses only")

const (
	dialTimeout    = 10 * time.Second
	idleTimeout    = 30 * time.Second
	idleForEach    = 4
	maxHeaderBytes = 64 << 10
)

// ClientConfig is what an operator may say about calls.
type ClientConfig struct {
	AllowHTTP bool           // http:// may be used to any host, not only to loopback addresses
	RootCAs   *x509.CertPool // to check servers with; nil for the system's
}

// Client makes HTTP calls to places that users name: a redirect is not followed, http:// stays on this machine, and
// what comes back is bounded.
type Client struct{ https, http *http.Client }

// NewClient returns a client.
func NewClient(cfg ClientConfig) *Client {
	secure := transport(&net.Dialer{Timeout: dialTimeout})
	secure.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: cfg.RootCAs}
	secure.Proxy = http.ProxyFromEnvironment
	plain := &net.Dialer{Timeout: dialTimeout}
	if !cfg.AllowHTTP {
		// The URL was checked when it was put; what its host resolves to is known only now.
		plain.Control = loopbackOnly
	}
	return &Client{https: client(secure), http: client(transport(plain))}
}

// Do makes one call. An error has no URL in it, whose query may hold a secret.
func (c *Client) Do(req *http.Request) (*http.Response, error) {
	to := c.https
	if req.URL.Scheme == "http" {
		to = c.http
	}
	resp, err := to.Do(req) //nolint:gosec // users name the URL; the dialer and the redirect policy bound where it leads
	if in, ok := errors.AsType[*url.Error](err); ok {
		err = in.Err
	}
	return resp, err
}

func transport(dialer *net.Dialer) *http.Transport {
	return &http.Transport{
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    dialTimeout,
		MaxResponseHeaderBytes: maxHeaderBytes,
		MaxIdleConnsPerHost:    idleForEach,
		IdleConnTimeout:        idleTimeout,
		DisableCompression:     true,
		ForceAttemptHTTP2:      true,
	}
}

func client(t *http.Transport) *http.Client {
	return &http.Client{
		Transport: t,
		// A redirect could lead a signed event anywhere, also to http:// or into this machine.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func loopbackOnly(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil || !ap.Addr().Unmap().IsLoopback() {
		return ErrNotLoopback
	}
	return nil
}
