// Package traffictest is the conformance suite of the traffic port: what the orchestrator relies on, asked of a driver
// from outside. Every driver runs it against the real thing, and the fake runs it too.
package traffictest

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/slipway-deploy/slipway/drivers/traffic"
)

// patience is how long the suite waits for what has to happen.
const patience = 20 * time.Second

// Plane is a data plane under test, as its driver and its clients see it.
type Plane struct {
	// Traffic is the driver.
	Traffic traffic.Traffic
	// Client sends requests to listeners; nil sends them over the network.
	Client http.RoundTripper
	// Restart ends the data plane without a word to the driver's callers, as a crash does, and starts it again with
	// what it had saved. Nil leaves out the tests that need it.
	Restart func(t *testing.T) traffic.Traffic
}

// Harness makes the data planes that the suite works with.
type Harness struct {
	// Open returns a data plane without routes; the end of the test closes it.
	Open func(t *testing.T) Plane
}

// Run runs the suite.
func Run(t *testing.T, h Harness) {
	t.Helper()
	for _, test := range []struct {
		name string
		run  func(*bed)
	}{
		{"RoutesAreInForceWhenApplyReturns", routesAreInForce},
		{"WeightsAreExactOverAThousandRequests", weightsAreExact},
		{"ApplyingTheSameAgainIsFine", applyIsIdempotent},
		{"AnOlderGenerationIsRefused", olderGenerationIsRefused},
		{"InvalidRoutesAreRefusedAndNothingChanges", invalidRoutesAreRefused},
		{"ATakenAddressIsRefusedAndNothingChanges", takenAddressIsRefused},
		{"AGroupWithoutTargetsIs503", emptyGroupIs503},
		{"DeleteEndsAService", deleteEndsService},
		{"AWatchStartsWithEverythingAndFollows", watchFollows},
		{"ATargetIsDrainedWhenNothingIsInFlight", drainedWhenIdle},
		{"TheEndOfTheDrainTimeCuts", drainTimeCuts},
		{"ATargetThatIsBackIsNotDrained", drainIsTakenBack},
		{"ARestartServesTheLastRoutes", restartServes},
		{"NoRequestIsLostOverSixtySwitches", noRequestIsLost},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(newBed(t, h.Open(t))) })
	}
}

const web = "shop/web"

// bed is one test's data plane, with a service on one listener.
type bed struct {
	*testing.T
	plane      Plane
	client     *http.Client
	address    string
	generation int64
	watch      *watcher
}

func newBed(t *testing.T, p Plane) *bed {
	t.Helper()
	if p.Client == nil {
		transport := &http.Transport{MaxIdleConnsPerHost: 32}
		t.Cleanup(transport.CloseIdleConnections)
		p.Client = transport
	}
	return &bed{T: t, plane: p, client: &http.Client{Transport: p.Client, Timeout: patience}, address: freeAddress(t)}
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

// routes are those of the service: a production listener over the groups with their weights.
func (b *bed) routes(groups ...weighted) traffic.Routes {
	r := traffic.Routes{Service: web, Listeners: []traffic.Listener{{Name: "production", Address: b.address}}}
	for _, g := range groups {
		r.TargetGroups = append(r.TargetGroups, traffic.TargetGroup{Name: g.name, Targets: g.targets})
		r.Listeners[0].Forward = append(r.Listeners[0].Forward, traffic.WeightedTargetGroup{TargetGroup: g.name, Weight: g.weight})
	}
	return r
}

type weighted struct {
	name    string
	weight  int
	targets []traffic.Target
}

func group(name string, weight int, targets ...traffic.Target) weighted {
	return weighted{name, weight, targets}
}

// apply puts the routes in force at the next generation.
func (b *bed) apply(groups ...weighted) {
	b.Helper()
	b.generation++
	if err := b.plane.Traffic.Apply(b.context(), b.generation, b.routes(groups...)); err != nil {
		b.Fatalf("apply generation %d: %v", b.generation, err)
	}
}

func (b *bed) context() context.Context {
	ctx, cancel := context.WithTimeout(b.Context(), patience)
	b.Cleanup(cancel)
	return ctx
}

// get sends one request to the service's listener.
func (b *bed) get(path string) (status int, body string, err error) {
	res, err := b.client.Get("http://" + b.address + path)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	return res.StatusCode, string(text), err
}

// expect sends one request and wants the target's word.
func (b *bed) expect(word string) {
	b.Helper()
	if status, body, err := b.get("/"); err != nil || status != http.StatusOK || body != word {
		b.Fatalf("got %d %q, %v, want %q", status, body, err, word)
	}
}

// backend is a target that answers with its name; requests to /hold wait until release.
type backend struct {
	name    string
	address string
	held    chan struct{}
	release func()
	close   func()
}

func newBackend(t *testing.T, name string) *backend {
	t.Helper()
	let := make(chan struct{})
	b := &backend{name: name, held: make(chan struct{}, 16), release: sync.OnceFunc(func() { close(let) })}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hold" {
			b.held <- struct{}{}
			select {
			case <-let:
			case <-r.Context().Done():
				return
			}
		}
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, name)
	}))
	b.address = s.Listener.Addr().String()
	b.close = sync.OnceFunc(s.Close)
	t.Cleanup(func() {
		b.release()
		b.close()
	})
	return b
}

func (b *backend) open() traffic.Target { return traffic.Target{ID: b.name, Address: b.address} }

func (b *backend) draining(until time.Time) traffic.Target {
	return traffic.Target{ID: b.name, Address: b.address, Draining: true, DrainTime: until}
}

// hold sends a request that the backend holds and returns the channel of its outcome.
func (b *bed) hold(target *backend) <-chan string {
	b.Helper()
	outcome := make(chan string, 1)
	go func() {
		status, body, err := b.get("/hold")
		switch {
		case err != nil:
			outcome <- "failed"
		case status != http.StatusOK:
			outcome <- "refused"
		default:
			outcome <- body
		}
	}()
	receive(b.T, "the held request at "+target.name, target.held)
	return outcome
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

// watcher follows what the driver reports.
type watcher struct {
	mu      sync.Mutex
	changed chan struct{}
	updates int
	known   map[string]traffic.Applied
}

// startWatch follows the driver until the test ends.
func (b *bed) startWatch() *watcher {
	b.Helper()
	w := &watcher{changed: make(chan struct{}, 1), known: make(map[string]traffic.Applied)}
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- b.plane.Traffic.Watch(ctx, w.take) }()
	b.Cleanup(func() {
		cancel()
		if err := receive(b.T, "the end of the watch", over); err != nil && !errors.Is(err, context.Canceled) {
			b.Errorf("the watch ended with %v, not with its context", err)
		}
	})
	w.await(b.T, "the snapshot", func(map[string]traffic.Applied) bool { return w.updates > 0 })
	return w
}

func (w *watcher) take(u traffic.Update) {
	w.mu.Lock()
	if u.Snapshot {
		clear(w.known)
	}
	for _, s := range u.Services {
		w.known[s.Service] = s
	}
	for _, name := range u.Removed {
		delete(w.known, name)
	}
	w.updates++
	w.mu.Unlock()
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

func (w *watcher) await(t *testing.T, what string, ok func(map[string]traffic.Applied) bool) {
	t.Helper()
	deadline := time.After(patience)
	for {
		w.mu.Lock()
		fine := ok(w.known)
		w.mu.Unlock()
		if fine {
			return
		}
		select {
		case <-w.changed:
		case <-deadline:
			t.Fatalf("%s was not reported within %v; reported is %v", what, patience, w.known)
		}
	}
}

// awaitDrained waits until the watch reports exactly these targets of the service drained, at its generation.
func (b *bed) awaitDrained(ids ...string) {
	b.Helper()
	if b.watch == nil {
		b.watch = b.startWatch()
	}
	b.watch.await(b.T, "the drain", func(known map[string]traffic.Applied) bool {
		s := known[web]
		return s.Generation == b.generation && slices.Equal(s.Drained, ids)
	})
}
