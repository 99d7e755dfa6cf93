package grpcserver

import (
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"sync"
	"time"
)

// preface begins every HTTP/2 connection (RFC 9113, section 3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

const (
	firstBytes  = 10 * time.Second // for a client to say what it speaks
	acceptRetry = 50 * time.Millisecond
)

// split gives the connections of one listener to two servers: those that begin with HTTP/2's preface to gRPC, all others to
// HTTP/1.1.
type split struct {
	net.Listener
	grpc, http *queue
}

func newSplit(l net.Listener) *split {
	return &split{Listener: l, grpc: newQueue(l), http: newQueue(l)}
}

// run accepts until the listener is closed.
func (s *split) run() {
	defer s.grpc.Close()
	defer s.http.Close()
	for {
		conn, err := s.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			time.Sleep(acceptRetry) // too many files are open, say
		default:
			go s.sort(conn)
		}
	}
}

// sort reads as much of a connection as tells what it speaks.
func (s *split) sort(conn net.Conn) {
	_ = conn.SetReadDeadline(time.Now().Add(firstBytes))
	seen := make([]byte, 0, len(preface))
	for len(seen) < len(preface) && string(seen) == preface[:len(seen)] {
		n, err := conn.Read(seen[len(seen):cap(seen)])
		seen = seen[:len(seen)+n]
		if err != nil {
			_ = conn.Close()
			return
		}
	}
	_ = conn.SetReadDeadline(time.Time{})
	to := s.http
	if string(seen) == preface {
		to = s.grpc
	}
	to.put(&seenConn{Conn: conn, seen: seen})
}

// seenConn is a connection of which the first bytes were read already.
type seenConn struct {
	net.Conn
	seen []byte
}

func (c *seenConn) Read(p []byte) (int, error) {
	if len(c.seen) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.seen)
	c.seen = c.seen[n:]
	return n, nil
}

// queue is a listener of the connections that are put into it.
type queue struct {
	addr   net.Addr
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newQueue(l net.Listener) *queue {
	return &queue{addr: l.Addr(), conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (q *queue) put(conn net.Conn) {
	select {
	case q.conns <- conn:
	case <-q.closed:
		_ = conn.Close()
	}
}

func (q *queue) Accept() (net.Conn, error) {
	select {
	case conn := <-q.conns:
		return conn, nil
	case <-q.closed:
		return nil, net.ErrClosed
	}
}

func (q *queue) Close() error {
	q.once.Do(func() { close(q.closed) })
	return nil
}

func (q *queue) Addr() net.Addr { return q.addr }

// withTLS lets clients that can speak HTTP/1.1 do so, and gRPC clients, which offer h2 alone, HTTP/2: browsers offer both, and a
// connection that begins with HTTP/2 would be taken for gRPC.
func withTLS(l net.Listener, cert tls.Certificate) net.Listener {
	config := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}
	both := config.Clone()
	both.NextProtos = []string{"http/1.1"}
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if slices.Contains(hello.SupportedProtos, "http/1.1") {
			return both, nil
		}
		return nil, nil //nolint:nilnil // that is how it says: the configuration as it is
	}
	return tls.NewListener(l, config)
}
