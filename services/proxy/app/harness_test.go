package app

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/slipway-deploy/slipway/drivers/traffic"
	"github.com/slipway-deploy/slipway/drivers/traffic/proxy"
	trafficpb "github.com/slipway-deploy/slipway/gen/go/slipway/traffic/v1"
	"github.com/slipway-deploy/slipway/platform/grpcclient"
	"github.com/slipway-deploy/slipway/platform/grpcserver"
)

const patience = 20 * time.Second

// start starts a proxy, which the end of the test stops, and returns its driver.
func start(t *testing.T, cfg Config) (*App, *proxy.Driver) {
	t.Helper()
	cfg.Listen = grpcserver.Config{Addr: "127.0.0.1:0"}
	cfg.MetricsPeriod = max(cfg.MetricsPeriod, 100*time.Millisecond)
	if cfg.RoutesDir == "" {
		cfg.RoutesDir = t.TempDir()
	}
	a, err := New(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		a.Stop(ctx)
	}))
	return a, drive(t, a.Addr())
}

func drive(t *testing.T, address string) *proxy.Driver {
	t.Helper()
	conn, err := grpcclient.Dial(grpcclient.Config{Target: address, Name: "proxy"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return proxy.New(trafficpb.NewTrafficServiceClient(conn))
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// service is a service with two target groups behind one listener.
type service struct {
	t          *testing.T
	driver     *proxy.Driver
	name       string
	address    string
	protocol   string
	generation int64

	mu      sync.Mutex
	drained []string
	at      int64
	changed chan struct{}
}

func newService(t *testing.T, driver *proxy.Driver, name, protocol string) *service {
	t.Helper()
	s := &service{t: t, driver: driver, name: name, address: freeAddress(t), protocol: protocol, changed: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- driver.Watch(ctx, s.take) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("watch: %v", err)
		}
	})
	return s
}

func (s *service) take(u traffic.Update) {
	for _, applied := range u.Services {
		if applied.Service == s.name {
			s.mu.Lock()
			s.at, s.drained = applied.Generation, applied.Drained
			s.mu.Unlock()
		}
	}
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// apply shares requests between the targets of two groups, by the weight of the first.
func (s *service) apply(weight int, blue, green []traffic.Target) {
	s.t.Helper()
	s.generation++
	err := s.driver.Apply(s.t.Context(), s.generation, traffic.Routes{
		Service: s.name,
		Listeners: []traffic.Listener{{
			Name: "production", Address: s.address,
			Forward: []traffic.WeightedTargetGroup{{TargetGroup: "blue", Weight: weight}, {TargetGroup: "green", Weight: 1000 - weight}},
		}},
		TargetGroups: []traffic.TargetGroup{{Name: "blue", Protocol: s.protocol, Targets: blue}, {Name: "green", Protocol: s.protocol, Targets: green}},
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *service) awaitDrained(ids ...string) {
	s.t.Helper()
	deadline := time.After(patience)
	for {
		s.mu.Lock()
		at, drained := s.at, s.drained
		s.mu.Unlock()
		if at == s.generation && slices.Equal(drained, ids) {
			return
		}
		select {
		case <-s.changed:
		case <-deadline:
			s.t.Fatalf("generation %d, drained %v, want %d, %v", at, drained, s.generation, ids)
		}
	}
}

func open(id, address string) []traffic.Target {
	return []traffic.Target{{ID: id, Address: address}}
}

func draining(id, address string) []traffic.Target {
	return []traffic.Target{{ID: id, Address: address, Draining: true, DrainTime: time.Now().Add(patience)}}
}

// switchOver moves all requests from one new target to the next, with drain, as often as asked. A target is stopped
// when it is reported drained. weight is what the listener's first group has when the target in it serves.
func (s *service) switchOver(times int, newTarget func() (address string, stop func())) {
	s.t.Helper()
	name := func(n int) string { return fmt.Sprintf("task-%d", n) }
	old, stopOld := newTarget()
	s.apply(1000, open(name(0), old), nil)
	for n := range times {
		fresh, stopFresh := newTarget()
		was, is := open(name(n), old), open(name(n+1), fresh)
		if n%2 == 0 {
			s.apply(1000, was, is)
			s.apply(0, was, is)
			s.apply(0, draining(name(n), old), is)
		} else {
			s.apply(0, is, was)
			s.apply(1000, is, was)
			s.apply(1000, is, draining(name(n), old))
		}
		s.awaitDrained(name(n))
		stopOld()
		old, stopOld = fresh, stopFresh
	}
	s.t.Cleanup(stopOld)
}

// clients run until stop, which returns what they lost.
type clients struct {
	ctx    context.Context
	cancel context.CancelFunc
	group  sync.WaitGroup
	mu     sync.Mutex
	sent   map[string]int
	lost   []error
}

func newClients() *clients {
	c := &clients{sent: make(map[string]int)}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// run repeats one, which is a whole exchange, in so many goroutines.
func (c *clients) run(kind string, goroutines int, one func() error) {
	for range goroutines {
		c.group.Go(func() {
			for c.ctx.Err() == nil {
				err := one()
				c.mu.Lock()
				c.sent[kind]++
				if err != nil {
					c.lost = append(c.lost, fmt.Errorf("%s %d: %w", kind, c.sent[kind], err))
				}
				c.mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
}

func (c *clients) stop(t *testing.T) {
	t.Helper()
	c.cancel()
	c.group.Wait()
	t.Logf("sent %v", c.sent)
	for _, err := range c.lost {
		t.Errorf("lost: %v", err)
	}
}
