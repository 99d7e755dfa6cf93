package grpcapi_test

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
)

// list is a List method with a request that selects n items, in the order of their names.
type list struct {
	method, items string
	req           proto.Message
	name          func(protoreflect.Message) string
	want          []string
}

func text(fields ...protoreflect.Name) func(protoreflect.Message) string {
	return func(m protoreflect.Message) string {
		var all string
		for _, f := range fields {
			all += fmt.Sprint(m.Get(m.Descriptor().Fields().ByName(f)).Interface(), " ")
		}
		return all
	}
}

// crowd makes some of everything, much of it at the same instant.
func crowd(e *env) {
	for _, family := range []string{"api", "web", "web"} {
		e.register(family)
	}
	must[*orchestratorpb.CreateClusterResponse](e.t)(e.Clusters.CreateCluster(e.ctx(), &orchestratorpb.CreateClusterRequest{
		Cluster: &orchestratorpb.Cluster{Name: "other"},
	}))
	for _, name := range []string{"shop", "web-2", "web"} {
		e.plain(name)
	}
	e.create(&orchestratorpb.Service{Cluster: "other", Name: "web", TaskDefinition: "web", DesiredCount: 1})
	for range 3 {
		e.finish("web")
		must[*orchestratorpb.CreateDeploymentResponse](e.t)(e.Deployments.CreateDeployment(e.ctx(), &orchestratorpb.CreateDeploymentRequest{Service: "web"}))
	}
	for _, name := range []string{"custom", "A", "z"} {
		must[*orchestratorpb.CreateDeploymentConfigResponse](e.t)(e.Configs.CreateDeploymentConfig(e.ctx(), &orchestratorpb.CreateDeploymentConfigRequest{
			DeploymentConfig: &orchestratorpb.DeploymentConfig{Name: name, Strategy: orchestratorpb.DeploymentConfiguration_STRATEGY_BLUE_GREEN},
		}))
	}
	e.save("web", func(s *rollout.State) []rollout.Event {
		return []rollout.Event{said(s, "FIRST"), said(s, "SECOND"), said(s, "THIRD")}
	})
}

func lists(e *env) []list {
	rest := func(want ...string) []string { return want }
	events := text("service", "deployment", "sequence")
	all := list{"ListEvents", "events", &orchestratorpb.ListEventsRequest{PageSize: 1000}, events, nil}
	eventually(e.t, "every event can be read", func() bool {
		all.want = nil
		for _, m := range e.page(all, "", 1000).items {
			all.want = append(all.want, events(m))
		}
		return len(all.want) == 6 // three deployments completed, three events more
	})
	return []list{
		{"ListClusters", "clusters", &orchestratorpb.ListClustersRequest{}, text("name"), rest("default ", "other ")},
		{"ListTaskDefinitions", "task_definitions", &orchestratorpb.ListTaskDefinitionsRequest{}, text("family", "revision"), rest("api 1 ", "web 2 ", "web 1 ")},
		{"ListTaskDefinitions", "task_definitions", &orchestratorpb.ListTaskDefinitionsRequest{Family: "web"}, text("family", "revision"), rest("web 2 ", "web 1 ")},
		{
			"ListServices", "services", &orchestratorpb.ListServicesRequest{}, text("cluster", "name"),
			rest("default shop ", "default web ", "default web-2 ", "other web "),
		},
		{"ListServices", "services", &orchestratorpb.ListServicesRequest{Cluster: "other"}, text("cluster", "name"), rest("other web ")},
		{"ListServiceRevisions", "service_revisions", &orchestratorpb.ListServiceRevisionsRequest{Service: "web"}, text("number"), rest("4 ", "3 ", "2 ", "1 ")},
		{"ListDeploymentConfigs", "deployment_configs", &orchestratorpb.ListDeploymentConfigsRequest{}, text("name"), rest(
			"A ", "CodeDeployDefault.ECSAllAtOnce ", "CodeDeployDefault.ECSCanary10Percent15Minutes ", "CodeDeployDefault.ECSCanary10Percent5Minutes ",
			"CodeDeployDefault.ECSLinear10PercentEvery1Minutes ", "CodeDeployDefault.ECSLinear10PercentEvery3Minutes ", "custom ", "z ")},
		{"ListDeployments", "deployments", &orchestratorpb.ListDeploymentsRequest{}, text("id"), e.ids("", "")},
		{"ListDeployments", "deployments", &orchestratorpb.ListDeploymentsRequest{Service: "web", Cluster: "default"}, text("id"), e.ids("default", "web")},
		all,
	}
}

// ids is the ids of deployments as the table has them, newest first.
func (e *env) ids(cluster, service string) []string {
	var ids []string
	rows, err := e.db.Pool.Query(e.t.Context(), `SELECT id FROM deployments WHERE $1 IN ('', cluster) AND $2 IN ('', service)
		ORDER BY create_time DESC, id DESC`, cluster, service)
	if err != nil {
		e.t.Fatal(err)
	}
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			e.t.Fatal(err)
		}
		ids = append(ids, id+" ")
	}
	return ids
}

type pageOf struct {
	items []protoreflect.Message
	next  string
}

func (e *env) page(l list, token string, size int32) pageOf {
	e.t.Helper()
	method := methodNamed(l.method)
	req := proto.Clone(l.req).ProtoReflect()
	fields := req.Descriptor().Fields()
	req.Set(fields.ByName("page_size"), protoreflect.ValueOfInt32(size))
	req.Set(fields.ByName("page_token"), protoreflect.ValueOfString(token))
	resp := e.answer(method, req.Interface()).ProtoReflect()
	got := pageOf{next: resp.Get(resp.Descriptor().Fields().ByName("next_page_token")).String()}
	items := resp.Get(resp.Descriptor().Fields().ByName(protoreflect.Name(l.items))).List()
	for i := range items.Len() {
		got.items = append(got.items, items.Get(i).Message())
	}
	return got
}

func methodNamed(name string) protoreflect.MethodDescriptor {
	for _, file := range contract() {
		for i := range file.Services().Len() {
			if m := file.Services().Get(i).Methods().ByName(protoreflect.Name(name)); m != nil {
				return m
			}
		}
	}
	panic(name)
}
