package traffictest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/slipway-deploy/slipway/drivers/traffic"
)

func watchFollows(b *bed) {
	blue := newBackend(b.T, "blue")
	b.apply(group("blue", 1000, blue.open()))
	w := b.startWatch()
	w.await(b.T, "the service that was there", func(known map[string]traffic.Applied) bool { return known[web].Generation == b.generation })
	other := b.routes(group("blue", 1000, blue.open()))
	other.Service, other.Listeners = "shop/api", nil
	if err := b.plane.Traffic.Apply(b.context(), 7, other); err != nil {
		b.Fatal(err)
	}
	w.await(b.T, "another service", func(known map[string]traffic.Applied) bool {
		return known["shop/api"].Generation == 7 && known[web].Generation == b.generation
	})
	b.apply(group("blue", 1000, blue.open()))
	w.await(b.T, "the next generation", func(known map[string]traffic.Applied) bool { return known[web].Generation == b.generation })
	if err := b.plane.Traffic.Delete(b.context(), b.generation, web); err != nil {
		b.Fatal(err)
	}
	w.await(b.T, "the end of the service", func(known map[string]traffic.Applied) bool {
		_, there := known[web]
		return !there && known["shop/api"].Generation == 7
	})
}

func drainedWhenIdle(b *bed) {
	blue, green := newBackend(b.T, "blue"), newBackend(b.T, "green")
	b.apply(group("web", 1000, blue.open()))
	b.watch = b.startWatch()
	held := b.hold(blue)
	b.apply(group("web", 1000, blue.draining(time.Now().Add(time.Hour)), green.open()))
	b.awaitDrained()
	for range 20 {
		b.expect("green")
	}
	blue.release()
	if got := receive(b.T, "the held request", held); got != "blue" {
		b.Errorf("the request in flight %s", got)
	}
	b.awaitDrained("blue")
	idle := newBackend(b.T, "idle")
	b.apply(group("web", 1000, blue.draining(time.Time{}), idle.draining(time.Time{}), green.open()))
	b.awaitDrained("blue", "idle")
}

func drainTimeCuts(b *bed) {
	blue, green := newBackend(b.T, "blue"), newBackend(b.T, "green")
	b.apply(group("web", 1000, blue.open()))
	held := b.hold(blue)
	b.apply(group("web", 1000, blue.draining(time.Now().Add(50*time.Millisecond)), green.open()))
	if got := receive(b.T, "the held request", held); got != "failed" && got != "refused" {
		b.Errorf("the request in flight was answered by %s", got)
	}
	b.awaitDrained("blue")
	b.expect("green")
}

func drainIsTakenBack(b *bed) {
	blue, green := newBackend(b.T, "blue"), newBackend(b.T, "green")
	b.apply(group("web", 1000, blue.draining(time.Now().Add(50*time.Millisecond)), green.open()))
	b.awaitDrained("blue")
	b.apply(group("web", 1000, blue.open(), green.draining(time.Time{})))
	b.awaitDrained("green")
	b.expect("blue")
	held := b.hold(blue)
	blue.release()
	if got := receive(b.T, "a request to the target that is back", held); got != "blue" {
		b.Errorf("the request %s", got)
	}
}

// noRequestIsLost switches between two groups and replaces every target, with drain, while clients send requests as
// fast as they can. A target is stopped when it is reported drained.
func noRequestIsLost(b *bed) {
	old := newBackend(b.T, "task-0")
	b.apply(group("blue", 1000, old.open()), group("green", 0))
	b.watch = b.startWatch()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	const clients = 8
	outcomes := make(chan error, clients)
	for range clients {
		go func() { outcomes <- b.sendUntil(ctx) }()
	}
	names := [2]string{"blue", "green"}
	for n := range 60 {
		fresh := newBackend(b.T, fmt.Sprintf("task-%d", n+1))
		from, to := names[n%2], names[(n+1)%2]
		// Raise, then lower: both groups have targets while the weights change.
		b.apply(group(from, 1000, old.open()), group(to, 0, fresh.open()))
		b.apply(group(from, 500, old.open()), group(to, 500, fresh.open()))
		b.apply(group(from, 0, old.open()), group(to, 1000, fresh.open()))
		b.apply(group(from, 0, old.draining(time.Now().Add(patience))), group(to, 1000, fresh.open()))
		b.awaitDrained(old.name)
		old.close()
		old = fresh
	}
	cancel()
	for range clients {
		if err := receive(b.T, "a client", outcomes); err != nil {
			b.Error(err)
		}
	}
}

// sendUntil sends one request after the other; any that fails is an error.
func (b *bed) sendUntil(ctx context.Context) error {
	for n := 0; ctx.Err() == nil; n++ {
		var body io.Reader
		method := http.MethodGet
		if n%2 == 1 { // which no client and no proxy may send twice
			method, body = http.MethodPost, strings.NewReader("order")
		}
		req, err := http.NewRequestWithContext(context.WithoutCancel(ctx), method, "http://"+b.address, body)
		if err != nil {
			return err
		}
		res, err := b.client.Do(req)
		if err != nil {
			return fmt.Errorf("request %d was lost: %w", n, err)
		}
		text, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || res.StatusCode != http.StatusOK {
			return fmt.Errorf("request %d was lost: %d %q, %w", n, res.StatusCode, text, err)
		}
	}
	return nil
}
