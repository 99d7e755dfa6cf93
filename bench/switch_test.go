package bench

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	switches      = 200
	switchClients = 16
	blueBody      = "blue!"
	greenBody     = "green"
)

// BenchmarkSwitch moves all requests from one target to another and back, two hundred times, under 16 closed-loop clients, and takes the
// time from the command to the first answer of the other target that any client gets, and to the command's acknowledgement: of our
// proxy by the call that the orchestrator makes, which saves the routes durably first, and of HAProxy by weights over its runtime API,
// which saves nothing. Both are processes of their own; clients and targets share the machine with them.
//
// Limit: p50 of the first answer 5 ms.
func BenchmarkSwitch(b *testing.B) {
	blue, green := rawTarget(b, blueBody), rawTarget(b, greenBody)
	b.Run("slipway", func(b *testing.B) {
		r := startSlipway(b, blue, green)
		benchSwitch(b, r.listener, r.weigh)
	})
	b.Run("HAProxy", func(b *testing.B) {
		address, weigh := haproxyPair(b, blue, green)
		benchSwitch(b, address, weigh)
	})
}

func benchSwitch(b *testing.B, address string, weigh func(blue int) error) {
	c, stop := startSwitching(b, address)
	defer stop()
	c.await(blueBody)
	for b.Loop() {
		var first, acknowledged []time.Duration
		for i := range switches {
			body, weight := greenBody, 0
			if i%2 == 1 {
				body, weight = blueBody, 1000
			}
			seen := c.watch(body)
			begin := time.Now()
			check(b, weigh(weight))
			acknowledged = append(acknowledged, time.Since(begin))
			select {
			case at := <-seen:
				first = append(first, at.Sub(begin))
			case <-time.After(10 * time.Second):
				b.Fatal("the other target never answered")
			}
			c.await(body)
		}
		report(b, "first", first)
		report(b, "acknowledged", acknowledged)
		b.ReportMetric(0, "ns/op")
	}
}

// switching is clients that send requests as fast as they are answered, each over its connection.
type switching struct {
	b       *testing.B
	latest  [switchClients]atomic.Pointer[string] // the body that each got last
	watched atomic.Pointer[watched]
}

// watched is a body that is waited for.
type watched struct {
	body string
	once sync.Once
	seen chan time.Time
}

func startSwitching(b *testing.B, address string) (_ *switching, end func()) {
	b.Helper()
	s := &switching{b: b}
	var group sync.WaitGroup
	var stop atomic.Bool
	lost := make(chan error, switchClients)
	for i := range switchClients {
		group.Go(func() {
			if err := s.client(i, address, &stop); err != nil {
				lost <- err
			}
		})
	}
	return s, func() {
		stop.Store(true)
		group.Wait()
		close(lost)
		for err := range lost {
			b.Errorf("a request was lost: %v", err)
		}
	}
}

func (s *switching) client(i int, address string, stop *atomic.Bool) error {
	nc, err := (&net.Dialer{Timeout: 5 * time.Second}).Dial("tcp", address)
	if err != nil {
		return err
	}
	defer func() { _ = nc.Close() }()
	_ = nc.SetDeadline(time.Now().Add(5 * time.Minute))
	br, bodies := bufio.NewReader(nc), []string{blueBody, greenBody}
	for !stop.Load() {
		if _, err := nc.Write([]byte(rawRequest)); err != nil {
			return err
		}
		body, err := readRaw(br)
		if err != nil {
			return err
		}
		n := slices.Index(bodies, body)
		if n < 0 {
			return fmt.Errorf("got %q", body)
		}
		if w := s.watched.Load(); w != nil && w.body == body {
			w.once.Do(func() { w.seen <- time.Now() })
		}
		s.latest[i].Store(&bodies[n])
	}
	return nil
}

// watch tells when the first answer with the body came. There must be none on its way yet: see await.
func (s *switching) watch(body string) <-chan time.Time {
	w := &watched{body: body, seen: make(chan time.Time, 1)}
	s.watched.Store(w)
	return w.seen
}

// await waits until every client has got the body last, so that no other answer is on its way.
func (s *switching) await(body string) {
	s.b.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for i := range s.latest {
		for latest := s.latest[i].Load(); latest == nil || *latest != body; latest = s.latest[i].Load() {
			if time.Now().After(deadline) {
				s.b.Fatalf("a client gets no %q", body)
			}
			<-time.After(time.Millisecond)
		}
	}
}

// haproxyPair is HAProxy with two servers, which the function gives their weights over its runtime API.
func haproxyPair(b *testing.B, blue, green string) (address string, weigh func(blue int) error) {
	b.Helper()
	address = freeAddress(b)
	socket := filepath.Join(b.TempDir(), "haproxy.sock")
	startHAProxy(b, fmt.Sprintf(`global
  stats socket %s level admin
defaults
  mode http
  option forwardfor
  timeout connect 2s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend f
  bind %s
  default_backend b
backend b
  balance roundrobin
  server blue %s weight 256
  server green %s weight 0
`, socket, address, blue, green), address)
	return address, func(weight int) error {
		nc, err := (&net.Dialer{Timeout: time.Second}).DialContext(b.Context(), "unix", socket)
		if err != nil {
			return err
		}
		defer func() { _ = nc.Close() }()
		command := "set server b/green weight 256; set server b/blue weight 0\n" // up before down, or there is a moment without any
		if weight > 0 {
			command = "set server b/blue weight 256; set server b/green weight 0\n"
		}
		if _, err := io.WriteString(nc, command); err != nil {
			return err
		}
		answer, err := io.ReadAll(nc) // it closes when it has done
		if err == nil && strings.TrimSpace(string(answer)) != "" {
			return fmt.Errorf("HAProxy says %q", answer)
		}
		return err
	}
}
