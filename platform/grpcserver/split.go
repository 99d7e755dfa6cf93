package grpcserver

import (
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"
)

// preface begins every HTTP/2 connection (RFC 9113, section 3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

const (
	firstBytes  = 10 * time.Second // for a client to say what it speaks
	acceptRetry = 50 * time.Millisecond
)

// split gives the connections of one listener to two servers: those of gRPC clients to gRPC, all others to HTTP. In plaintext
// HTTP/2's preface tells gRPC clients, with TLS what they offer.
type split struct {
	net.Listener
	tls        *tls.Config // nil for plaintext
	grpc, http *queue
}

func newSplit(l net.Listener, config *tls.Config) *split {
	return &split{Listener: l, tls: config, grpc: newQueue(l), http: newQueue(l)}
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

// sort reads as much of a connection as tells whose it is.
func (s *split) sort(conn net.Conn) {
	_ = conn.SetDeadline(time.Now().Add(firstBytes))
	conn, to := s.choose(conn)
	if conn == nil {
		return
	}
	_ = conn.SetDeadline(time.Time{})
	to.put(conn)
}

// choose returns no connection when it closed it.
func (s *split) choose(conn net.Conn) (net.Conn, *queue) {
	if s.tls == nil {
		return s.byPreface(conn)
	}
	secure, client := shakeHands(conn, s.tls)
	switch client {
	case clientGRPC:
		return secure, s.grpc
	case clientHTTP:
		return secure, s.http
	case clientUnknown:
		return s.byPreface(secure)
	}
	_ = conn.Close()
	return nil, nil
}

func (s *split) byPreface(conn net.Conn) (net.Conn, *queue) {
	seen := make([]byte, 0, len(preface))
	for len(seen) < len(preface) && string(seen) == preface[:len(seen)] {
		n, err := conn.Read(seen[len(seen):cap(seen)])
		seen = seen[:len(seen)+n]
		if err != nil {
			_ = conn.Close()
			return nil, nil
		}
	}
	to := s.http
	if string(seen) == preface {
		to = s.grpc
	}
	return &seenConn{Conn: conn, seen: seen}, to
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
