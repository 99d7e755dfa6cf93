package dataplane

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/slipway-deploy/slipway/platform/problem"
)

// listener accepts HTTP/1.1 and HTTP/2 (prior knowledge) on an address and forwards by its current table.
type listener struct {
	address string
	port    string
	server  *http.Server
	table   atomic.Pointer[table]
	turn    atomic.Uint64 // number of the next request; goes on over all tables
	buffers *bufferPool
	log     *slog.Logger

	gone chan struct{} // closed by retire

	mu     sync.Mutex
	bound  net.Listener  // nil while the address cannot be had
	served chan struct{} // closed when Serve returned; nil before it was called
}

func (p *Plane) newListener(address string) *listener {
	_, port, _ := net.SplitHostPort(address)
	l := &listener{address: address, port: port, buffers: &p.buffers, log: p.config.Log, gone: make(chan struct{})}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	l.server = &http.Server{
		Handler:           l,
		ReadHeaderTimeout: p.config.ReadHeaderTimeout,
		IdleTimeout:       p.config.ClientIdleTimeout,
		MaxHeaderBytes:    p.config.MaxHeaderBytes,
		Protocols:         protocols,
		// Long-lived gRPC streams share a connection; at the limit a client's next call would wait for one to end.
		HTTP2:    &http.HTTP2Config{MaxConcurrentStreams: 1000},
		ErrorLog: slog.NewLogLogger(p.config.Log.Handler(), slog.LevelWarn),
	}
	return l
}

// bind takes the address, if it is not had yet. The problem is FailedPrecondition, LISTENER_ADDRESS_IN_USE, for a taken
// one.
func (l *listener) bind() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.gone:
		return net.ErrClosed
	default:
	}
	if l.bound != nil {
		return nil
	}
	bound, err := net.Listen("tcp", l.address)
	if err != nil {
		return bindProblem(l.address, err)
	}
	l.bound = bound
	return nil
}

// open accepts connections if the address is had; false means that it is not.
func (l *listener) open() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.bound == nil || l.served != nil {
		return l.bound != nil
	}
	bound, served := l.bound, make(chan struct{})
	l.served = served
	go func() {
		defer close(served)
		if err := l.server.Serve(bound); !errors.Is(err, http.ErrServerClosed) {
			l.log.Error("a listener stopped accepting connections", "address", l.address, "error", err)
		}
	}()
	return true
}

// keepTrying tries to take and open the address once a second, until it could or the listener is retired.
func (l *listener) keepTrying(opened func()) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if l.bind() == nil && l.open() {
				opened()
				return
			}
		case <-l.gone:
			return
		}
	}
}

// retire stops accepting, which is done when it returns. wait then tells clients to go (Connection: close, GOAWAY) and
// lets what is in flight end until ctx does.
func (l *listener) retire(ctx context.Context) (wait func()) {
	close(l.gone)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.served == nil {
		l.unbindLocked()
		return func() {}
	}
	over := make(chan error, 1)
	go func() { over <- l.server.Shutdown(ctx) }()
	<-l.served // Shutdown closes the address at once
	return func() {
		if <-over != nil {
			_ = l.server.Close()
		}
	}
}

// unbind gives back an address that was never opened.
func (l *listener) unbind() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unbindLocked()
}

func (l *listener) unbindLocked() {
	if l.bound != nil {
		_ = l.bound.Close()
		l.bound = nil
	}
}

func bindProblem(address string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return addressInUse(address, "another program or listener").Wrap(err)
	case errors.Is(err, syscall.EACCES):
		return problem.New(problem.FailedPrecondition, "", "the proxy may not listen on %s: ports below 1024 need a privilege", address).Wrap(err)
	}
	return problem.New(problem.FailedPrecondition, "", "the proxy cannot listen on %s: %v", address, err).Wrap(err)
}

func addressInUse(address, by string) *problem.Error {
	return problem.New(problem.FailedPrecondition, "LISTENER_ADDRESS_IN_USE", "%s is in use by %s", address, by).With("address", address)
}

// problem says what is wrong with the listener.
func (l *listener) problem() string {
	l.mu.Lock()
	bound := l.bound != nil
	l.mu.Unlock()
	if bound {
		return ""
	}
	name := ""
	if t := l.table.Load(); t != nil {
		name = t.listener
	}
	return fmt.Sprintf("listener %s: %s cannot be had, it is tried again every second", name, l.address)
}

// bufferPool holds the buffers that bodies are copied with.
type bufferPool struct{ pool sync.Pool }

const copyBuffer = 32 << 10

func (b *bufferPool) get() *[]byte {
	if buf, ok := b.pool.Get().(*[]byte); ok {
		return buf
	}
	buf := make([]byte, copyBuffer)
	return &buf
}

func (b *bufferPool) put(buf *[]byte) { b.pool.Put(buf) }
