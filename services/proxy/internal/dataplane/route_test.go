package dataplane

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/slipway-deploy/slipway/drivers/traffic"
	"github.com/slipway-deploy/slipway/platform/problem"
)

func TestWeightsAreExactOverAThousandRequests(t *testing.T) {
	blue, green := saying(t, "blue"), saying(t, "green")
	b := newTestbed(t, Config{})
	for _, weight := range []int{1, 105, 333} {
		b.apply(share{groupOf("green", "", open(green)), weight}, share{groupOf("blue", "", open(blue)), 1000 - weight})
		got := 0
		for range 1000 {
			if _, body := b.get("/"); body == "green" {
				got++
			}
		}
		if got != weight {
			t.Errorf("weight %d: %d of 1000 requests", weight, got)
		}
	}
}

func TestAGroupWithoutTargetsIsAnsweredWithTheReason(t *testing.T) {
	blue := saying(t, "blue")
	b := newTestbed(t, Config{})
	b.apply(share{groupOf("green", ""), 0}, share{groupOf("blue", "", open(blue)), 1000})
	for range 20 {
		if _, body := b.get("/"); body != "blue" {
			t.Fatalf("an empty group of weight 0 got a request: %q", body)
		}
	}
	b.apply(share{groupOf("green", ""), 500}, share{groupOf("blue", "", open(blue)), 500})
	failed := 0
	for range 1000 {
		res, body := b.get("/")
		if res.StatusCode == http.StatusServiceUnavailable {
			failed++
			if !strings.Contains(body, `target group "green" has no target (service shop/web, listener production)`) {
				t.Fatalf("body %q", body)
			}
		}
	}
	if failed != 500 {
		t.Errorf("%d of 1000 requests failed: there is no failover between groups", failed)
	}
	if got := b.count("HTTPCode_ELB_5XX_Count"); got != 500 {
		t.Errorf("%d were counted", got)
	}
	b.apply(all(groupOf("blue", "", draining(blue, time.Time{}))))
	if res, body := b.get("/"); res.StatusCode != 503 || !strings.Contains(body, "draining") {
		t.Errorf("got %d %q", res.StatusCode, body)
	}
}

func TestARequestGoesToAnotherTargetWhenOneCannotBeReached(t *testing.T) {
	for _, protocol := range []string{traffic.HTTP1, traffic.HTTP2} {
		t.Run(protocol, func(t *testing.T) {
			alive := newBackend(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
			b := newTestbed(t, Config{})
			b.apply(all(groupOf("blue", protocol, open(freeAddress(t)), open(freeAddress(t)), open(alive))))
			for i := range 20 {
				want := fmt.Sprint("order ", i)
				res, err := http.Post("http://"+b.address, "text/plain", strings.NewReader(want))
				if body := readAll(t, res, err); body != want {
					t.Fatalf("got %d %q", res.StatusCode, body)
				}
			}
			if got := b.count("HTTPCode_Target_2XX_Count"); got != 20 {
				t.Errorf("%d answers were counted", got)
			}
			if p := b.plane.service(web); p.groups["blue"] == nil {
				t.Error("the group is gone")
			}
		})
	}
}

func TestAllTargetsUnreachableIsABadGateway(t *testing.T) {
	b := newTestbed(t, Config{})
	b.apply(all(groupOf("blue", "", open(freeAddress(t)), open(freeAddress(t)))))
	res, body := b.get("/")
	if res.StatusCode != http.StatusBadGateway || !strings.Contains(body, "refuses connections") {
		t.Errorf("got %d %q", res.StatusCode, body)
	}
	data := b.metrics.Collect(time.Now())
	counts := map[string]float64{}
	for _, d := range data {
		if len(d.Dimensions) == 2 {
			counts[d.Name] += d.Values[0] * d.Counts[0]
		}
	}
	if counts["RequestCount"] != 1 || counts["HTTPCode_ELB_5XX_Count"] != 1 || counts["TargetConnectionErrorCount"] != 2 {
		t.Errorf("counted %v", counts)
	}
}

func TestTargetsOfAGroupTakeTurnsByItsAlgorithm(t *testing.T) {
	slow := newHolding(t)
	fast := saying(t, "fast")
	b := newTestbed(t, Config{})
	b.apply(all(groupOf("blue", "", open(slow.address), open(fast))))
	held := make(chan string, 1)
	go func() {
		for { // until one request is held
			res, err := http.Get("http://" + b.address)
			if err != nil {
				held <- err.Error()
				return
			}
			body, _ := io.ReadAll(res.Body)
			_ = res.Body.Close()
			if string(body) == "held" {
				held <- "held"
				return
			}
		}
	}()
	receive(t, "a held request", slow.came)
	for range 50 {
		if _, body := b.get("/"); body != "fast" {
			t.Fatalf("least outstanding requests: got %q", body)
		}
	}
	slow.release()
	if got := receive(t, "the held request", held); got != "held" {
		t.Error(got)
	}
	one, two := saying(t, "one"), saying(t, "two")
	g := groupOf("blue", "", open(one), open(two))
	g.Algorithm = traffic.RoundRobin
	b.apply(all(g))
	counts := map[string]int{}
	for range 40 {
		_, body := b.get("/")
		counts[body]++
	}
	if counts["one"] != 20 || counts["two"] != 20 {
		t.Errorf("round robin: %v", counts)
	}
}

func TestTakenAddressesLeaveEverythingAsItWas(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	blue, green := saying(t, "blue"), saying(t, "green")
	b := newTestbed(t, Config{})
	b.apply(all(groupOf("blue", "", open(blue))))
	free := freeAddress(t)
	r := b.routes(all(groupOf("green", "", open(green))))
	forward := r.Listeners[0].Forward
	r.Listeners = append(r.Listeners, traffic.Listener{Name: "a", Address: free, Forward: forward},
		traffic.Listener{Name: "test", Address: taken.Addr().String(), Forward: forward})
	_, err = b.plane.Prepare(r.WithDefaults())
	p := problem.As(err)
	if p == nil || p.Kind != problem.FailedPrecondition || p.Reason != "LISTENER_ADDRESS_IN_USE" || !strings.Contains(p.Message, taken.Addr().String()) {
		t.Fatalf("error %v", err)
	}
	if _, body := b.get("/"); body != "blue" {
		t.Errorf("the routes in force say %q", body)
	}
	if l, err := net.Listen("tcp", free); err != nil {
		t.Errorf("the free address was kept: %v", err)
	} else {
		_ = l.Close()
	}
	// Another service's listener is as taken.
	other := b.routes(all(groupOf("green", "", open(green))))
	other.Service = "shop/api"
	if _, err := b.plane.Prepare(other.WithDefaults()); !errors.Is(err, problem.FailedPrecondition) || !strings.Contains(err.Error(), "service shop/web") {
		t.Errorf("error %v", err)
	}
}

func TestARestoredListenerIsBoundWhenItsAddressIsFreeAgain(t *testing.T) {
	blue := saying(t, "blue")
	b := newTestbed(t, Config{})
	taken, err := net.Listen("tcp", b.address)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.plane.Restore(b.routes(all(groupOf("blue", "", open(blue)))).WithDefaults()); err != nil {
		t.Fatal(err)
	}
	if got := b.plane.Problem(web); !strings.Contains(got, "production") || !strings.Contains(got, b.address) {
		t.Errorf("problem %q", got)
	}
	_ = taken.Close()
	receive(t, "the listener", b.idle)
	if got := b.plane.Problem(web); got != "" {
		t.Errorf("problem %q", got)
	}
	if _, body := b.get("/"); body != "blue" {
		t.Errorf("got %q", body)
	}
}

func TestARestoredListenerThatIsTakenIsBoundByTheNextApply(t *testing.T) {
	blue := saying(t, "blue")
	b := newTestbed(t, Config{})
	taken, err := net.Listen("tcp", b.address)
	if err != nil {
		t.Fatal(err)
	}
	routes := b.routes(all(groupOf("blue", "", open(blue)))).WithDefaults()
	if err := b.plane.Restore(routes); err != nil {
		t.Fatal(err)
	}
	if _, err := b.plane.Prepare(routes); !errors.Is(err, problem.FailedPrecondition) {
		t.Errorf("error %v", err)
	}
	_ = taken.Close()
	b.applyRoutes(routes)
	if _, body := b.get("/"); body != "blue" {
		t.Errorf("got %q", body)
	}
}
