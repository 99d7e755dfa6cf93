package grpcapi_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
)

// A list begun goes on where it was though newer deployments came in the meantime.
func TestNewDeploymentsDoNotShiftTheNextPage(t *testing.T) {
	t.Parallel()
	e := serve(t)
	e.register("web")
	for i := range 4 {
		e.clock.move(time.Second)
		e.plain(fmt.Sprintf("web-%d", i))
	}
	l := list{method: "ListDeployments", items: "deployments", req: &orchestratorpb.ListDeploymentsRequest{}, name: text("service")}
	first := e.page(l, "", 2)
	e.clock.move(time.Second)
	e.plain("late")
	second := e.page(l, first.next, 2)
	var got []string
	for _, m := range append(first.items, second.items...) {
		got = append(got, l.name(m))
	}
	if want := []string{"web-3 ", "web-2 ", "web-1 ", "web-0 "}; !slices.Equal(got, want) || second.next != "" {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestDeploymentsAreSelectedByStateAndTime(t *testing.T) {
	t.Parallel()
	e := serve(t)
	e.register("web")
	for _, name := range []string{"a", "b", "c"} {
		e.clock.move(time.Minute)
		e.plain(name)
	}
	e.finish("b")
	for _, c := range []struct {
		name string
		req  *orchestratorpb.ListDeploymentsRequest
		want []string
	}{
		{"all", &orchestratorpb.ListDeploymentsRequest{}, []string{"c", "b", "a"}},
		{"ended", &orchestratorpb.ListDeploymentsRequest{States: []orchestratorpb.Deployment_State{orchestratorpb.Deployment_STATE_SUCCESSFUL}}, []string{"b"}},
		{"either", &orchestratorpb.ListDeploymentsRequest{States: []orchestratorpb.Deployment_State{
			orchestratorpb.Deployment_STATE_SUCCESSFUL, orchestratorpb.Deployment_STATE_PENDING,
		}}, []string{"c", "b", "a"}},
		{"after", &orchestratorpb.ListDeploymentsRequest{CreatedAfter: timestamppb.New(epoch.Add(time.Minute))}, []string{"c", "b"}},
		{"before", &orchestratorpb.ListDeploymentsRequest{CreatedBefore: timestamppb.New(epoch.Add(3 * time.Minute))}, []string{"b", "a"}},
		{"between", &orchestratorpb.ListDeploymentsRequest{
			CreatedAfter: timestamppb.New(epoch.Add(time.Minute)), CreatedBefore: timestamppb.New(epoch.Add(3 * time.Minute)),
		}, []string{"b"}},
		{"another cluster", &orchestratorpb.ListDeploymentsRequest{Cluster: "other"}, nil},
	} {
		resp := must[*orchestratorpb.ListDeploymentsResponse](t)(e.Deployments.ListDeployments(e.ctx(), c.req))
		var got []string
		for _, d := range resp.GetDeployments() {
			got = append(got, d.GetService())
			if want := e.deployment(d.GetId()); !proto.Equal(d, want) {
				t.Errorf("%s: listed\n%v\ngot\n%v", c.name, d, want)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	for field, req := range map[string]*orchestratorpb.ListDeploymentsRequest{
		"created_after":  {CreatedAfter: &timestamppb.Timestamp{Seconds: 1 << 50}},
		"created_before": {CreatedBefore: &timestamppb.Timestamp{Nanos: -1}},
	} {
		_, err := e.Deployments.ListDeployments(e.ctx(), req)
		if p := refused(t, field, err, problem.InvalidArgument, "INVALID_FIELD"); len(p.Violations) != 1 || p.Violations[0].Field != field {
			t.Errorf("violations %v, want %s", p.Violations, field)
		}
	}
}
