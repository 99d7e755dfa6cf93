package telemetry

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Endpoint serves /metrics.
type Endpoint struct {
	listener net.Listener
	server   *http.Server
	served   chan struct{} // closed when Serve has returned
	err      error         // why; read after served
}

// Serve installs t and answers /metrics on addr, host:port, in the background. The address is bound at once.
func (t *Telemetry) Serve(addr string) (*Endpoint, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("serve metrics: %w", err)
	}
	t.Install()
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", t.Handler())
	e := &Endpoint{
		listener: listener,
		server: &http.Server{
			Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second,
		},
		served: make(chan struct{}),
	}
	go func() {
		defer close(e.served)
		e.err = e.server.Serve(listener)
	}()
	return e, nil
}

// Addr is where the endpoint listens, with the real port.
func (e *Endpoint) Addr() string { return e.listener.Addr().String() }

// Stop answers what is under way until ctx ends, then cuts off. The error says why the endpoint had ended
// before, if it had.
func (e *Endpoint) Stop(ctx context.Context) error {
	if err := e.server.Shutdown(ctx); err != nil {
		_ = e.server.Close()
	}
	<-e.served
	if errors.Is(e.err, http.ErrServerClosed) {
		return nil
	}
	return e.err
}
