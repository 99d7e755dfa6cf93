package lambda

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"time"
)

const (
	dialTimeout    = 10 * time.Second
	maxHeaderBytes = 64 << 10
)

// httpClient has a connection for each call: functions are called a few times in a deployment, and a kept connection would
// bring failures of its own into an attempt.
func httpClient(cfg Config) *http.Client {
	dialer := &net.Dialer{Timeout: dialTimeout} // with TCP keep-alive, which calls of minutes need
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            dialer.DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: cfg.RootCAs},
			TLSHandshakeTimeout:    dialTimeout,
			MaxResponseHeaderBytes: maxHeaderBytes,
			DisableKeepAlives:      true,
			DisableCompression:     true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// bounded ends an answer at the limit: the SDK reads all there is.
type bounded struct {
	client *http.Client
	limit  int64
}

// Do makes one call.
func (b bounded) Do(req *http.Request) (*http.Response, error) {
	resp, err := b.client.Do(req) //nolint:gosec // the operator names the endpoint
	if err != nil {
		return nil, err
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, b.limit), resp.Body}
	return resp, nil
}
