package postgrestest

import (
	"net"
	"net/url"
	"sync"
	"testing"
)

// Relay is a way to a database that can be cut: no byte comes through, and no connection ends, as when a cable is pulled.
type Relay struct {
	url string

	mu   sync.Mutex
	open chan struct{} // closed while bytes come through
}

// NewRelay opens a way to the database at a URL. It closes with the test.
func NewRelay(t testing.TB, database string) *Relay {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatalf("postgrestest: %v", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("postgrestest: %v", err)
	}
	r := &Relay{open: make(chan struct{})}
	close(r.open)
	target := u.Host
	u.Host = listener.Addr().String()
	r.url = u.String()
	go r.accept(listener, target)
	t.Cleanup(func() {
		r.Mend()
		_ = listener.Close()
	})
	return r
}

// URL is the database's, by this way.
func (r *Relay) URL() string { return r.url }

// Cut cuts the way.
func (r *Relay) Cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open = make(chan struct{})
}

// Mend opens it again. What was sent meanwhile arrives.
func (r *Relay) Mend() {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.open:
	default:
		close(r.open)
	}
}

func (r *Relay) accept(listener net.Listener, target string) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", target) //nolint:noctx // to this machine
		if err != nil {
			_ = client.Close()
			continue
		}
		go r.pump(client, server)
		go r.pump(server, client)
	}
}

func (r *Relay) pump(to, from net.Conn) {
	defer func() {
		_ = to.Close()
		_ = from.Close()
	}()
	buffer := make([]byte, 16<<10)
	for {
		n, err := from.Read(buffer)
		r.mu.Lock()
		open := r.open
		r.mu.Unlock()
		<-open
		if _, failed := to.Write(buffer[:n]); err != nil || failed != nil {
			return
		}
	}
}
