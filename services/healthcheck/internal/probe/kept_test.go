package probe

import (
	"bufio"
	"io"
	"net"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/slipway-deploy/slipway/services/healthcheck/internal/verdict"
)

func keepAlive() verdict.Check {
	return verdict.Check{KeepAlive: true, Interval: 10 * time.Second, Timeout: 10 * time.Second}.WithDefaults()
}

// TestAConnectionThatTheTargetGaveUpIsNoFailure has the target do with the first connection what targets do after their idle time, and
// serve the second.
func TestAConnectionThatTheTargetGaveUpIsNoFailure(t *testing.T) {
	t.Parallel()
	for name, giveUp := range map[string]func(nc net.Conn, br *bufio.Reader){
		"closed": func(net.Conn, *bufio.Reader) {},
		"closed with 408": func(nc net.Conn, _ *bufio.Reader) {
			_, _ = io.WriteString(nc, "HTTP/1.1 408 Timeout\r\nContent-Length: 0\r\n\r\n")
		},
		"closed as the request comes": func(_ net.Conn, br *bufio.Reader) { readHead(br) },
		"reset as the request comes":  func(nc net.Conn, br *bufio.Reader) { readHead(br); _ = nc.(*net.TCPConn).SetLinger(0) },
	} {
		gone := make(chan struct{})
		address, accepted := raw(t, func(nc net.Conn, br *bufio.Reader, n int) {
			readHead(br)
			_, _ = io.WriteString(nc, ok5)
			if n == 1 {
				if name == "closed" || name == "closed with 408" {
					defer close(gone)
				} else {
					close(gone)
				}
				giveUp(nc, br)
				_ = nc.Close()
				return
			}
			hangUp(br)
		})
		p := New()
		for n := range 2 {
			if got := p.Probe(t.Context(), keepAlive(), address); !got.OK {
				t.Errorf("%s: check %d: %+v", name, n, got)
			}
			<-gone
		}
		if n := accepted.Load(); n != 2 {
			t.Errorf("%s: %d connections", name, n)
		}
		p.Close()
	}
}

func TestATargetThatAnswersNoMoreFailsOverAKeptConnectionToo(t *testing.T) {
	t.Parallel()
	address, _ := raw(t, func(nc net.Conn, br *bufio.Reader, n int) {
		readHead(br)
		if n == 1 {
			_, _ = io.WriteString(nc, ok5)
			readHead(br)
		}
	})
	p := New()
	defer p.Close()
	if got := p.Probe(t.Context(), keepAlive(), address); !got.OK {
		t.Fatalf("got %+v", got)
	}
	got := p.Probe(t.Context(), keepAlive(), address)
	if got.OK || got.Description != "Health checks failed: "+errNothing.Error() {
		t.Errorf("got %+v", got)
	}
}

func TestTLSConnectionsAreKept(t *testing.T) {
	t.Parallel()
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	c := keepAlive()
	c.Type, c.Matcher = verdict.HTTPS, "404"
	p := New()
	defer p.Close()
	for range 3 {
		if got := p.Probe(t.Context(), c, s.Listener.Addr().String()); !got.OK {
			t.Fatalf("got %+v", got)
		}
		if p.kept.n != 1 {
			t.Fatalf("%d kept", p.kept.n)
		}
	}
	if p.kept.take(place{address: s.Listener.Addr().String()}) != nil {
		t.Error("a TLS connection was given for plain HTTP")
	}
}

func TestKeptConnectionsExpire(t *testing.T) {
	t.Parallel()
	ended := make(chan int, 3)
	address, _ := raw(t, func(nc net.Conn, br *bufio.Reader, n int) {
		readHead(br)
		_, _ = io.WriteString(nc, ok5)
		hangUp(br)
		ended <- n
	})
	p := New()
	now := time.Now()
	if got := p.Probe(t.Context(), keepAlive(), address); !got.OK {
		t.Fatalf("got %+v", got)
	}
	p.kept.closeExpired(now.Add(20 * time.Second))
	if p.kept.n != 1 {
		t.Error("closed before its time")
	}
	p.kept.closeExpired(now.Add(time.Minute))
	if p.kept.n != 0 || len(p.kept.conns) != 0 || p.kept.sweep != nil || <-ended != 1 {
		t.Errorf("kept %d", p.kept.n)
	}
	if got := p.Probe(t.Context(), keepAlive(), address); !got.OK {
		t.Fatalf("got %+v", got)
	}
	p.Close()
	if <-ended != 2 {
		t.Error("not closed")
	}
	if got := p.Probe(t.Context(), keepAlive(), address); !got.OK || <-ended != 3 || p.kept.n != 0 {
		t.Errorf("after the end: %+v, %d kept", got, p.kept.n)
	}
}
