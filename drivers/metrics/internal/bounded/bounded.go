// Package bounded keeps answers of outside servers from filling the memory.
package bounded

import (
	"errors"
	"io"
	"net/http"
)

// ErrTooLarge is what reading an answer beyond the limit gives.
var ErrTooLarge = errors.New("the answer is too large")

// Transport is an http.RoundTripper whose answers have bodies of at most Limit bytes; reading more gives ErrTooLarge.
type Transport struct {
	Base  http.RoundTripper
	Limit int64
}

// RoundTrip does one request.
func (t Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.Base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	resp.Body = &body{ReadCloser: resp.Body, left: t.Limit}
	return resp, nil
}

// CloseIdleConnections passes on what http.Client asks of its transport.
func (t Transport) CloseIdleConnections() {
	if c, ok := t.Base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// Doer does requests, as http.Client.
type Doer interface {
	Do(r *http.Request) (*http.Response, error)
}

// Client is a Doer whose answers have bodies of at most Limit bytes; reading more gives ErrTooLarge.
type Client struct {
	Base  Doer
	Limit int64
}

// Do does one request.
func (c Client) Do(r *http.Request) (*http.Response, error) {
	resp, err := c.Base.Do(r)
	if err != nil {
		return nil, err
	}
	resp.Body = &body{ReadCloser: resp.Body, left: c.Limit}
	return resp, nil
}

type body struct {
	io.ReadCloser
	left int64
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, ErrTooLarge
	}
	return n, err
}
