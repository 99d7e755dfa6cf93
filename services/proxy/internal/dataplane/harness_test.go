package dataplane

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slipway-deploy/slipway/drivers/traffic"
	"github.com/slipway-deploy/slipway/services/proxy/internal/requestmetrics"
)

const (
	patience = 10 * time.Second
	web      = "shop/web"
)

// testbed is a plane with one service and the addresses of its listeners.
type testbed struct {
	t       *testing.T
	plane   *Plane
	address string
	idle    chan struct{}
	metrics *requestmetrics.Registry
}

func newTestbed(t *testing.T, config Config) *testbed {
	t.Helper()
	b := &testbed{t: t, address: freeAddress(t), idle: make(chan struct{}, 1), metrics: requestmetrics.NewRegistry()}
	config.Registry = b.metrics
	config.Log = slog.New(slog.NewTextHandler(panics{t}, nil))
	config.OnIdle = func(string) {
		select {
		case b.idle <- struct{}{}:
		default:
		}
	}
	b.plane = New(config)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		b.plane.Close(ctx)
	})
	return b
}

// panics fails the test when a handler panicked, which net/http logs and recovers.
type panics struct{ t *testing.T }

func (p panics) Write(line []byte) (int, error) {
	if strings.Contains(string(line), "panic") {
		p.t.Errorf("%s", line)
	}
	return len(line), nil
}

// freeAddress is an address that was free a moment ago.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// group is a target group of targets named like their addresses.
func groupOf(name, protocol string, targets ...traffic.Target) traffic.TargetGroup {
	return traffic.TargetGroup{Name: name, Protocol: protocol, Targets: targets}
}

func open(address string) traffic.Target { return traffic.Target{ID: address, Address: address} }

func draining(address string, until time.Time) traffic.Target {
	return traffic.Target{ID: address, Address: address, Draining: true, DrainTime: until}
}

// share is a group with its weight.
type share struct {
	group  traffic.TargetGroup
	weight int
}

func all(g traffic.TargetGroup) share { return share{g, 1000} }

func (b *testbed) routes(shares ...share) traffic.Routes {
	r := traffic.Routes{Service: web, Listeners: []traffic.Listener{{Name: "production", Address: b.address}}}
	for _, s := range shares {
		r.TargetGroups = append(r.TargetGroups, s.group)
		r.Listeners[0].Forward = append(r.Listeners[0].Forward, traffic.WeightedTargetGroup{TargetGroup: s.group.Name, Weight: s.weight})
	}
	return r
}

func (b *testbed) apply(shares ...share) {
	b.t.Helper()
	b.applyRoutes(b.routes(shares...))
}

func (b *testbed) applyRoutes(r traffic.Routes) {
	b.t.Helper()
	if err := r.Validate(); err != nil {
		b.t.Fatal(err)
	}
	change, err := b.plane.Prepare(r.WithDefaults())
	if err != nil {
		b.t.Fatal(err)
	}
	change.Commit()
}

// awaitDrained waits until exactly these targets are drained.
func (b *testbed) awaitDrained(want ...string) {
	b.t.Helper()
	deadline := time.After(patience)
	for strings.Join(b.plane.Drained(web), " ") != strings.Join(want, " ") {
		select {
		case <-b.idle:
		case <-deadline:
			b.t.Fatalf("drained are %v, want %v", b.plane.Drained(web), want)
		}
	}
}

func (b *testbed) get(path string) (*http.Response, string) {
	b.t.Helper()
	res, err := http.Get("http://" + b.address + path)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return res, string(body)
}

// count adds up a metric of the service.
func (b *testbed) count(metric string) int {
	total := 0.0
	for _, d := range b.metrics.Collect(time.Now()) {
		if d.Name == metric && len(d.Dimensions) == 1 && d.Dimensions[0].Name == "LoadBalancer" {
			for i := range d.Values {
				total += d.Values[i] * d.Counts[i]
			}
		}
	}
	return int(total)
}

// newBackend is a target that handles; it returns its address.
func newBackend(t *testing.T, handle http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewUnstartedServer(handle)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// saying is a target that says the word.
func saying(t *testing.T, word string) string {
	t.Helper()
	return newBackend(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, word) })
}

// holding is a target that holds each request until it is released, and says so when one has come.
type holding struct {
	address string
	came    chan struct{}
	release func()
}

func newHolding(t *testing.T) *holding {
	t.Helper()
	let := make(chan struct{})
	h := &holding{came: make(chan struct{}, 100), release: sync.OnceFunc(func() { close(let) })}
	h.address = newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		h.came <- struct{}{}
		select {
		case <-let:
		case <-r.Context().Done():
			return
		}
		_, _ = io.WriteString(w, "held")
	})
	t.Cleanup(h.release)
	return h
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

// h2c is a client that speaks HTTP/2 with prior knowledge.
func h2c(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func readAll(t *testing.T, res *http.Response, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
