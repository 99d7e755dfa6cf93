package traffictest

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/slipway-deploy/slipway/drivers/traffic"
	"github.com/slipway-deploy/slipway/platform/problem"
)

func routesAreInForce(b *bed) {
	blue, green := newBackend(b.T, "blue"), newBackend(b.T, "green")
	test := freeAddress(b.T)
	for i := range 20 {
		first, second := blue, green
		if i%2 == 1 {
			first, second = green, blue
		}
		r := b.routes(group("blue", 1000, first.open()), group("green", 0, second.open()))
		r.Listeners = append(r.Listeners, traffic.Listener{
			Name: "test", Address: test, Forward: []traffic.WeightedTargetGroup{{TargetGroup: "green", Weight: 1000}},
		})
		b.generation++
		if err := b.plane.Traffic.Apply(b.context(), b.generation, r); err != nil {
			b.Fatal(err)
		}
		b.expect(first.name)
		production := b.address
		b.address = test
		b.expect(second.name)
		b.address = production
	}
}

func weightsAreExact(b *bed) {
	blue, green := newBackend(b.T, "blue"), newBackend(b.T, "green")
	for _, weight := range []int{1, 105, 333} {
		b.apply(group("green", weight, green.open()), group("blue", 1000-weight, blue.open()))
		got := 0
		for range 1000 {
			_, body, err := b.get("/")
			if err != nil {
				b.Fatal(err)
			}
			if body == "green" {
				got++
			}
		}
		if got != weight {
			b.Errorf("weight %d: %d of 1000 requests", weight, got)
		}
	}
}

func applyIsIdempotent(b *bed) {
	blue := newBackend(b.T, "blue")
	for range 3 {
		b.generation = 6
		b.apply(group("blue", 1000, blue.open()))
		b.expect("blue")
	}
}

func olderGenerationIsRefused(b *bed) {
	blue, green := newBackend(b.T, "blue"), newBackend(b.T, "green")
	b.generation = 9
	b.apply(group("blue", 1000, blue.open()))
	stale := func(what string, err error) {
		b.Helper()
		if !errors.Is(err, problem.Aborted) || problem.ReasonOf(err) != "STALE_GENERATION" {
			b.Errorf("%s: %v", what, err)
		}
	}
	old := b.routes(group("green", 1000, green.open()))
	stale("apply", b.plane.Traffic.Apply(b.context(), 9, old))
	stale("delete", b.plane.Traffic.Delete(b.context(), 9, web))
	b.expect("blue")
	if err := b.plane.Traffic.Delete(b.context(), 12, web); err != nil {
		b.Fatal(err)
	}
	stale("apply after delete", b.plane.Traffic.Apply(b.context(), 11, old))
	other := b.routes(group("green", 1000, green.open()))
	other.Service = "shop/api"
	if err := b.plane.Traffic.Apply(b.context(), 1, other); err != nil {
		b.Errorf("another service's generations are its own: %v", err)
	}
	b.expect("green")
	if b.plane.Restart != nil {
		b.plane.Traffic = b.plane.Restart(b.T)
		stale("apply after delete and a restart", b.plane.Traffic.Apply(b.context(), 11, old))
	}
}

func invalidRoutesAreRefused(b *bed) {
	blue := newBackend(b.T, "blue")
	b.apply(group("blue", 1000, blue.open()))
	for field, spoil := range map[string]func(*traffic.Routes){
		"forward":      func(r *traffic.Routes) { r.Listeners[0].Forward[0].Weight = 999 },
		"target_group": func(r *traffic.Routes) { r.Listeners[0].Forward[0].TargetGroup = "none" },
		"address":      func(r *traffic.Routes) { r.TargetGroups[0].Targets[0].Address = "nowhere" },
		"name":         func(r *traffic.Routes) { r.Listeners = append(r.Listeners, r.Listeners[0]) },
	} {
		r := b.routes(group("blue", 1000, blue.open()))
		spoil(&r)
		err := b.plane.Traffic.Apply(b.context(), b.generation+1, r)
		p := problem.As(err)
		if p == nil || p.Kind != problem.InvalidArgument || !strings.Contains(fmt.Sprint(p.Violations), field) {
			b.Errorf("%s: %v", field, err)
		}
	}
	b.expect("blue")
	b.apply(group("blue", 1000, blue.open())) // the generation was not used up
}

func takenAddressIsRefused(b *bed) {
	blue, green := newBackend(b.T, "blue"), newBackend(b.T, "green")
	b.apply(group("blue", 1000, blue.open()))
	free := freeAddress(b.T)
	r := b.routes(group("green", 1000, green.open()))
	r.Service = "shop/api"
	r.Listeners[0].Name = "test"
	r.Listeners = append([]traffic.Listener{{Name: "production", Address: free, Forward: r.Listeners[0].Forward}}, r.Listeners...)
	err := b.plane.Traffic.Apply(b.context(), 1, r)
	p := problem.As(err)
	if p == nil || p.Kind != problem.FailedPrecondition || p.Reason != "LISTENER_ADDRESS_IN_USE" || !strings.Contains(p.Message, b.address) {
		b.Errorf("a taken address: %v", err)
	}
	b.expect("blue")
	taken := b.address
	b.address = free
	if _, body, err := b.get("/"); err == nil {
		b.Errorf("the listener that was free is in force: %q", body)
	}
	b.address = taken
	if err := b.plane.Traffic.Delete(b.context(), b.generation, web); err != nil {
		b.Fatal(err)
	}
	if err := b.plane.Traffic.Apply(b.context(), 1, r); err != nil {
		b.Fatalf("after the address was given back: %v", err)
	}
	b.expect("green")
}

func emptyGroupIs503(b *bed) {
	blue := newBackend(b.T, "blue")
	b.apply(group("green", 0), group("blue", 1000, blue.open()))
	for range 20 {
		b.expect("blue")
	}
	b.apply(group("green", 100), group("blue", 900, blue.open()))
	failed := 0
	for range 1000 {
		status, body, err := b.get("/")
		if err != nil {
			b.Fatal(err)
		}
		if status == http.StatusServiceUnavailable {
			failed++
			if !strings.Contains(body, "green") {
				b.Fatalf("the body does not name the group: %q", body)
			}
		}
	}
	if failed != 100 {
		b.Errorf("%d of 1000 requests failed, want the empty group's 100", failed)
	}
}

func deleteEndsService(b *bed) {
	if err := b.plane.Traffic.Delete(b.context(), 1, "shop/unknown"); err != nil {
		b.Errorf("an unknown service: %v", err)
	}
	blue := newBackend(b.T, "blue")
	b.apply(group("blue", 1000, blue.open()))
	b.expect("blue")
	for range 2 {
		if err := b.plane.Traffic.Delete(b.context(), b.generation, web); err != nil {
			b.Fatal(err)
		}
	}
	if status, body, err := b.get("/"); err == nil {
		b.Errorf("a deleted service answers %d %q", status, body)
	}
	b.apply(group("blue", 1000, blue.open()))
	b.expect("blue")
}

func restartServes(b *bed) {
	if b.plane.Restart == nil {
		b.Skip("this data plane keeps nothing over a restart")
	}
	blue, green := newBackend(b.T, "blue"), newBackend(b.T, "green")
	b.apply(group("blue", 1000, blue.open()), group("green", 0, green.open()))
	b.apply(group("blue", 0, blue.open()), group("green", 1000, green.open()))
	b.plane.Traffic = b.plane.Restart(b.T)
	b.expect("green")
	b.watch = b.startWatch()
	b.awaitDrained()
	if err := b.plane.Traffic.Apply(b.context(), b.generation-1, b.routes(group("blue", 1000, blue.open()))); problem.ReasonOf(err) != "STALE_GENERATION" {
		b.Errorf("an older generation after a restart: %v", err)
	}
	b.expect("green")
}
