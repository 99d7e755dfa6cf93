package wire_test

import (
	"reflect"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/slipway-deploy/slipway/drivers/traffic"
	"github.com/slipway-deploy/slipway/drivers/traffic/wire"
	trafficpb "github.com/slipway-deploy/slipway/gen/go/slipway/traffic/v1"
)

// TestNothingIsLostOnTheWire sends routes with every field set there and back. A field that the port gets and the
// conversion does not know fails here.
func TestNothingIsLostOnTheWire(t *testing.T) {
	until := time.Date(2026, 3, 1, 12, 0, 0, 5, time.UTC)
	var groups []traffic.TargetGroup
	for _, protocol := range []string{traffic.HTTP1, traffic.HTTP2, traffic.GRPC} {
		for _, algorithm := range []string{traffic.RoundRobin, traffic.LeastOutstandingRequests} {
			groups = append(groups, traffic.TargetGroup{
				Name: protocol + algorithm, Protocol: protocol, Algorithm: algorithm,
				Targets: []traffic.Target{
					{ID: "web-1-1", Address: "127.0.0.1:9000", Draining: true, DrainTime: until},
					{ID: "web-1-2", Address: "127.0.0.1:9001"},
				},
			})
		}
	}
	routes := traffic.Routes{
		Service:      "shop/web",
		Listeners:    []traffic.Listener{{Name: "production", Address: "127.0.0.1:80", Forward: []traffic.WeightedTargetGroup{{TargetGroup: "a", Weight: 999}, {TargetGroup: "b", Weight: 1}}}},
		TargetGroups: groups,
	}
	data, err := proto.Marshal(wire.RoutesPB(routes))
	if err != nil {
		t.Fatal(err)
	}
	pb := &trafficpb.Routes{}
	if err := proto.Unmarshal(data, pb); err != nil {
		t.Fatal(err)
	}
	if got := wire.Routes(pb); !reflect.DeepEqual(got, routes) {
		t.Errorf("came back as\n%+v, want\n%+v", got, routes)
	}
	applied := traffic.Applied{Service: "shop/web", Generation: 7, Drained: []string{"web-1-1"}, Problem: "a port is taken"}
	if got := wire.Applied(wire.AppliedPB(applied)); !reflect.DeepEqual(got, applied) {
		t.Errorf("came back as %+v, want %+v", got, applied)
	}
}

func TestWhatIsNotSetHasTheDefaults(t *testing.T) {
	got := wire.Routes(&trafficpb.Routes{Service: "shop/web", TargetGroups: []*trafficpb.TargetGroup{{Name: "a"}}})
	want := traffic.TargetGroup{Name: "a", Protocol: traffic.HTTP1, Algorithm: traffic.LeastOutstandingRequests}
	if !reflect.DeepEqual(got.TargetGroups[0], want) {
		t.Errorf("got %+v, want %+v", got.TargetGroups[0], want)
	}
}
