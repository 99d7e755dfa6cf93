package traffic_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/slipway-deploy/slipway/drivers/traffic"
	"github.com/slipway-deploy/slipway/platform/problem"
)

func valid() traffic.Routes {
	return traffic.Routes{
		Service: "shop/web",
		Listeners: []traffic.Listener{
			{Name: "production", Address: "127.0.0.1:80", Forward: []traffic.WeightedTargetGroup{{TargetGroup: "blue", Weight: 999}, {TargetGroup: "green", Weight: 1}}},
			{Name: "test", Address: ":8080", Forward: []traffic.WeightedTargetGroup{{TargetGroup: "green", Weight: 1000}}},
		},
		TargetGroups: []traffic.TargetGroup{
			{Name: "blue", Targets: []traffic.Target{{ID: "a", Address: "10.0.0.1:80"}, {ID: "b", Address: "[::1]:80"}}},
			{Name: "green", Protocol: traffic.GRPC, Algorithm: traffic.RoundRobin},
		},
	}
}

func TestEachBrokenRuleNamesItsField(t *testing.T) {
	if err := valid().Validate(); err != nil {
		t.Fatal(err)
	}
	if err := (traffic.Routes{Service: "shop/web"}).Validate(); err != nil {
		t.Errorf("a service without listeners: %v", err)
	}
	for field, spoil := range map[string]func(*traffic.Routes){
		"service":                              func(r *traffic.Routes) { r.Service = "" },
		"listeners":                            func(r *traffic.Routes) { r.Listeners = slices.Repeat(r.Listeners, 9) },
		"listeners[1].name":                    func(r *traffic.Routes) { r.Listeners[1].Name = "production" },
		"listeners[0].name":                    func(r *traffic.Routes) { r.Listeners[0].Name = "" },
		"listeners[1].address":                 func(r *traffic.Routes) { r.Listeners[1].Address = "127.0.0.1:80" },
		"listeners[0].address":                 func(r *traffic.Routes) { r.Listeners[0].Address = "127.0.0.1:0" },
		"listeners[1].forward":                 func(r *traffic.Routes) { r.Listeners[1].Forward = nil },
		"listeners[0].forward":                 func(r *traffic.Routes) { r.Listeners[0].Forward[1].Weight = 2 },
		"listeners[0].forward[1].weight":       func(r *traffic.Routes) { r.Listeners[0].Forward[1].Weight = -1 },
		"listeners[0].forward[1].target_group": func(r *traffic.Routes) { r.Listeners[0].Forward[1].TargetGroup = "blue" },
		"listeners[1].forward[0].target_group": func(r *traffic.Routes) { r.Listeners[1].Forward[0].TargetGroup = "red" },
		"target_groups":                        func(r *traffic.Routes) { r.TargetGroups = slices.Repeat(r.TargetGroups, 9) },
		"target_groups[1].name":                func(r *traffic.Routes) { r.TargetGroups[1].Name = "blue" },
		"target_groups[0].protocol":            func(r *traffic.Routes) { r.TargetGroups[0].Protocol = "http" },
		"target_groups[0].algorithm":           func(r *traffic.Routes) { r.TargetGroups[0].Algorithm = "random" },
		"target_groups[0].targets":             func(r *traffic.Routes) { r.TargetGroups[0].Targets = make([]traffic.Target, traffic.MaxTargets+1) },
		"target_groups[0].targets[1].id":       func(r *traffic.Routes) { r.TargetGroups[0].Targets[1].ID = "a" },
		"target_groups[0].targets[0].address":  func(r *traffic.Routes) { r.TargetGroups[0].Targets[0].Address = ":80" },
		"target_groups[0].targets[1].address":  func(r *traffic.Routes) { r.TargetGroups[0].Targets[1].Address = "10.0.0.1:99999" },
	} {
		r := valid()
		spoil(&r)
		p := problem.As(r.Validate())
		if p == nil || p.Kind != problem.InvalidArgument || !slices.ContainsFunc(p.Violations, func(v problem.Violation) bool { return v.Field == field && v.Rule != "" }) {
			t.Errorf("%s: %s", field, fmt.Sprint(p))
		}
	}
}

func TestDefaultsAreMadeExplicitInACopy(t *testing.T) {
	r := valid()
	got := r.WithDefaults()
	if got.TargetGroups[0].Protocol != traffic.HTTP1 || got.TargetGroups[0].Algorithm != traffic.LeastOutstandingRequests {
		t.Errorf("got %+v", got.TargetGroups[0])
	}
	if got.TargetGroups[1].Protocol != traffic.GRPC || got.TargetGroups[1].Algorithm != traffic.RoundRobin {
		t.Errorf("got %+v", got.TargetGroups[1])
	}
	if r.TargetGroups[0].Protocol != "" {
		t.Error("the original was changed")
	}
}
