package h1

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const patience = 10 * time.Second

// scripted is a target that plays a script on each connection and keeps what it read.
type scripted struct {
	address string
	conns   atomic.Int64
}

// newTarget runs serve for each connection, which is closed when serve returns.
func newTarget(t *testing.T, serve func(n int64, c net.Conn, br *bufio.Reader)) *scripted {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	s := &scripted{address: l.Addr().String()}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			n := s.conns.Add(1)
			go func() {
				defer func() { _ = c.Close() }()
				serve(n, c, bufio.NewReader(c))
			}()
		}
	}()
	return s
}

func newClient(t *testing.T, address string) *Client {
	t.Helper()
	c := New(Config{
		Address: address, DialTimeout: patience, ResponseHeaderTimeout: patience, ContinueTimeout: patience,
		IdleTimeout: patience, MaxIdle: 8, MaxResponseHeaderBytes: 64 << 10,
	})
	t.Cleanup(c.CloseIdle)
	return c
}

var testHead = Head{ForwardedFor: "192.0.2.7", ForwardedProto: "http", ForwardedPort: "8080"}

// do sends one request and reads the whole response.
func do(t *testing.T, c *Client, r *http.Request) (*http.Response, string, error) {
	t.Helper()
	res, err := c.Do(r, testHead, &Call{})
	if err != nil {
		return nil, "", err
	}
	b, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	return res, string(b), err
}

func mustDo(t *testing.T, c *Client, r *http.Request) (*http.Response, string) {
	t.Helper()
	res, body, err := do(t, c, r)
	if err != nil {
		t.Fatalf("%s %s: %v", r.Method, r.URL, err)
	}
	return res, body
}

func get(path string) *http.Request { return httptest.NewRequest(http.MethodGet, path, nil) }

func post(body string) *http.Request {
	return httptest.NewRequest(http.MethodPost, "/orders", strings.NewReader(body))
}

// readHead reads a request's lines up to the empty one.
func readHead(br *bufio.Reader) ([]string, error) {
	var lines []string
	for {
		line, err := br.ReadString('\n')
		if err != nil {
			return lines, err
		}
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			return lines, nil
		}
		lines = append(lines, line)
	}
}

const hello = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

// answering reads requests without a body and answers each.
func answering(response string) func(int64, net.Conn, *bufio.Reader) {
	return func(_ int64, c net.Conn, br *bufio.Reader) {
		for {
			if _, err := readHead(br); err != nil {
				return
			}
			if _, err := io.WriteString(c, response); err != nil {
				return
			}
		}
	}
}

func receive[T any](t *testing.T, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("%s: nothing came within %v", what, patience)
		panic("unreachable")
	}
}

func isError[E error](err error) bool {
	var want E
	return errors.As(err, &want)
}
