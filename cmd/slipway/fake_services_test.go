package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
)

func noService(name string) error {
	return problem.New(problem.NotFound, "SERVICE_NOT_FOUND", "there is no service %s", name)
}

func (f *fake) service(cluster, name string) *orchestratorpb.Service {
	for _, s := range f.services {
		if s.GetCluster() == cmp.Or(cluster, "default") && s.GetName() == name {
			return s
		}
	}
	return nil
}

// definition finds "family:revision", or the latest of "family".
func (f *fake) definition(name string) *orchestratorpb.TaskDefinition {
	var found *orchestratorpb.TaskDefinition
	for _, d := range f.definitions {
		if d.GetFamily() == name || definitionName(d) == name {
			found = d
		}
	}
	return found
}

// addDefinition registers a revision of a family.
func (f *fake) addDefinition(family string) {
	defer f.lock("")()
	f.register(&orchestratorpb.TaskDefinition{Family: family})
}

func (f *fake) register(d *orchestratorpb.TaskDefinition) *orchestratorpb.TaskDefinition {
	d = proto.CloneOf(d)
	d.Revision, d.RegisterTime = 1, at(0)
	if latest := f.definition(d.GetFamily()); latest != nil {
		d.Revision = latest.GetRevision() + 1
	}
	f.definitions = append(f.definitions, d)
	return d
}

// addService makes a service with two revisions of a task definition of its name, the first of them live.
func (f *fake) addService(name string) *orchestratorpb.Service {
	f.addDefinition(name)
	f.addDefinition(name)
	defer f.lock("")()
	s := &orchestratorpb.Service{
		Cluster: "default", Name: name, TaskDefinition: name + ":1", DesiredCount: 4, RunningCount: 4, State: orchestratorpb.Service_STATE_ACTIVE,
		Etag: f.etag(), DeploymentConfiguration: &orchestratorpb.DeploymentConfiguration{},
	}
	f.services = append(f.services, s)
	drive := f.drive
	f.drive = nil
	d, err := f.begin(s, name+":1", nil, false)
	if err != nil {
		panic(err)
	}
	d = f.find(d.GetId())
	d.State, d.FinishTime = orchestratorpb.Deployment_STATE_SUCCESSFUL, at(5)
	s.Deployment, s.ServiceRevision, f.drive = "", d.GetTargetServiceRevision().GetId(), drive
	return s
}

func (f *fake) RegisterTaskDefinition(_ context.Context, r *orchestratorpb.RegisterTaskDefinitionRequest) (*orchestratorpb.RegisterTaskDefinitionResponse, error) {
	defer f.lock("RegisterTaskDefinition")()
	return &orchestratorpb.RegisterTaskDefinitionResponse{TaskDefinition: f.register(r.GetTaskDefinition())}, nil
}

func (f *fake) DescribeTaskDefinition(_ context.Context, r *orchestratorpb.DescribeTaskDefinitionRequest) (*orchestratorpb.DescribeTaskDefinitionResponse, error) {
	defer f.lock("")()
	if d := f.definition(r.GetTaskDefinition()); d != nil {
		return &orchestratorpb.DescribeTaskDefinitionResponse{TaskDefinition: d}, nil
	}
	return nil, problem.New(problem.NotFound, "TASK_DEFINITION_NOT_FOUND", "there is no task definition %s", r.GetTaskDefinition())
}

func (f *fake) CreateCluster(_ context.Context, r *orchestratorpb.CreateClusterRequest) (*orchestratorpb.CreateClusterResponse, error) {
	defer f.lock("CreateCluster")()
	if !slices.Contains(f.clusters, r.GetCluster().GetName()) {
		f.clusters = append(f.clusters, r.GetCluster().GetName())
	}
	return &orchestratorpb.CreateClusterResponse{Cluster: r.GetCluster()}, nil
}

func (f *fake) ListClusters(context.Context, *orchestratorpb.ListClustersRequest) (*orchestratorpb.ListClustersResponse, error) {
	defer f.lock("")()
	answer := &orchestratorpb.ListClustersResponse{}
	for _, name := range f.clusters {
		answer.Clusters = append(answer.Clusters, &orchestratorpb.Cluster{Name: name})
	}
	return answer, nil
}

func (f *fake) CreateDeploymentConfig(_ context.Context, r *orchestratorpb.CreateDeploymentConfigRequest) (*orchestratorpb.CreateDeploymentConfigResponse, error) {
	defer f.lock("CreateDeploymentConfig")()
	f.configs = append(f.configs, r.GetDeploymentConfig())
	return &orchestratorpb.CreateDeploymentConfigResponse{DeploymentConfig: r.GetDeploymentConfig()}, nil
}

// ListDeploymentConfigs answers one configuration a page, so that paging is gone through.
func (f *fake) ListDeploymentConfigs(_ context.Context, r *orchestratorpb.ListDeploymentConfigsRequest) (*orchestratorpb.ListDeploymentConfigsResponse, error) {
	defer f.lock("")()
	page := len(r.GetPageToken())
	if page >= len(f.configs) {
		return &orchestratorpb.ListDeploymentConfigsResponse{}, nil
	}
	return &orchestratorpb.ListDeploymentConfigsResponse{
		DeploymentConfigs: f.configs[page : page+1], NextPageToken: strings.Repeat("x", page+1),
	}, nil
}

func (f *fake) CreateService(_ context.Context, r *orchestratorpb.CreateServiceRequest) (*orchestratorpb.CreateServiceResponse, error) {
	defer f.lock("CreateService")()
	s := proto.CloneOf(r.GetService())
	s.Etag, s.State = f.etag(), orchestratorpb.Service_STATE_ACTIVE
	f.services = append(f.services, s)
	d, err := f.begin(s, "", nil, false)
	if err != nil {
		return nil, err
	}
	return &orchestratorpb.CreateServiceResponse{Service: proto.CloneOf(s), Deployment: d}, nil
}

func (f *fake) UpdateService(_ context.Context, r *orchestratorpb.UpdateServiceRequest) (*orchestratorpb.UpdateServiceResponse, error) {
	defer f.lock("UpdateService")()
	f.updates = append(f.updates, r)
	s := f.service(r.GetService().GetCluster(), r.GetService().GetName())
	answer := &orchestratorpb.UpdateServiceResponse{}
	for _, field := range r.GetUpdateMask().GetPaths() {
		switch field {
		case "desired_count":
			if n := r.GetService().GetDesiredCount(); n != s.GetDesiredCount() {
				s.DesiredCount, s.Etag = n, f.etag()
			}
		case "deployment_configuration":
			if c := r.GetService().GetDeploymentConfiguration(); !proto.Equal(c, s.GetDeploymentConfiguration()) {
				s.DeploymentConfiguration, s.Etag = c, f.etag()
			}
		case "task_definition":
			def := f.definition(r.GetService().GetTaskDefinition())
			if def == nil || definitionName(def) == s.GetTaskDefinition() {
				continue
			}
			d, err := f.begin(s, definitionName(def), nil, r.GetSupersede())
			if err != nil {
				return nil, err
			}
			answer.Deployment, s.Etag = d, f.etag()
		}
	}
	answer.Service = proto.CloneOf(s)
	return answer, nil
}

func (f *fake) GetService(_ context.Context, r *orchestratorpb.GetServiceRequest) (*orchestratorpb.GetServiceResponse, error) {
	defer f.lock("")()
	if s := f.service(r.GetCluster(), r.GetService()); s != nil {
		return &orchestratorpb.GetServiceResponse{Service: proto.CloneOf(s)}, nil
	}
	return nil, noService(r.GetService())
}

func (f *fake) ListServices(_ context.Context, r *orchestratorpb.ListServicesRequest) (*orchestratorpb.ListServicesResponse, error) {
	defer f.lock("")()
	answer := &orchestratorpb.ListServicesResponse{}
	for _, s := range f.services {
		if r.GetCluster() == "" || s.GetCluster() == r.GetCluster() {
			answer.Services = append(answer.Services, proto.CloneOf(s))
		}
	}
	return answer, nil
}

func (f *fake) ListTasks(_ context.Context, r *orchestratorpb.ListTasksRequest) (*orchestratorpb.ListTasksResponse, error) {
	defer f.lock("")()
	answer := &orchestratorpb.ListTasksResponse{}
	for _, t := range f.tasks {
		if r.GetService() == "" || t.GetService() == r.GetService() {
			answer.Tasks = append(answer.Tasks, proto.CloneOf(t))
		}
	}
	return answer, nil
}

// GetLogs sends what is there in pieces of three bytes and, when asked to follow, what is added later.
func (f *fake) GetLogs(r *orchestratorpb.GetLogsRequest, stream orchestratorpb.TaskService_GetLogsServer) error {
	f.mu.Lock()
	text, known := f.logs[r.GetTask()]
	f.mu.Unlock()
	if !known {
		return problem.New(problem.NotFound, "TASK_NOT_FOUND", "there is no task %s", r.GetTask())
	}
	skip := 0
	if n := int(r.GetTailLines()); n > 0 {
		lines := strings.SplitAfter(text, "\n")
		skip = len(strings.Join(lines[:max(0, len(lines)-1-n)], ""))
	}
	for sent := skip; ; {
		for sent < len(text) {
			piece := text[sent:min(sent+3, len(text))]
			if err := stream.Send(&orchestratorpb.GetLogsResponse{Data: []byte(piece)}); err != nil {
				return err
			}
			sent += len(piece)
		}
		if !r.GetFollow() {
			return nil
		}
		if err := f.until(stream.Context(), func() bool { return len(f.logs[r.GetTask()]) > sent }); err != nil {
			return err
		}
		f.mu.Lock()
		text = f.logs[r.GetTask()]
		f.mu.Unlock()
	}
}

func (f *fake) ListEvents(_ context.Context, r *orchestratorpb.ListEventsRequest) (*orchestratorpb.ListEventsResponse, error) {
	defer f.lock("")()
	answer := &orchestratorpb.ListEventsResponse{}
	for _, e := range f.events[:len(f.events)-f.hidden] {
		if (r.GetService() == "" || e.GetService() == r.GetService()) && (r.GetDeployment() == "" || e.GetDeployment() == r.GetDeployment()) {
			answer.Events = append(answer.Events, e)
		}
	}
	return answer, nil
}

// WatchEvents sends events from when it is called on; a resume token is the number of events there were.
func (f *fake) WatchEvents(r *orchestratorpb.WatchEventsRequest, stream orchestratorpb.EventService_WatchEventsServer) error {
	unlock := f.lock("WatchEvents")
	next, limit := len(f.events), -1
	if r.GetResumeToken() != "" {
		if _, err := fmt.Sscan(r.GetResumeToken(), &next); err != nil {
			return err
		}
	}
	if len(f.breakAfter) > 0 {
		limit, f.breakAfter = f.breakAfter[0], f.breakAfter[1:]
	}
	unlock()
	for sent := 0; sent != limit; sent++ {
		if err := f.until(stream.Context(), func() bool { return len(f.events) > next }); err != nil {
			return err
		}
		f.mu.Lock()
		e := f.events[next]
		f.mu.Unlock()
		next++
		if err := stream.Send(&orchestratorpb.WatchEventsResponse{Event: e, ResumeToken: fmt.Sprint(next)}); err != nil {
			return err
		}
	}
	return problem.New(problem.Unavailable, "DATABASE_UNAVAILABLE", "the database cannot be reached")
}
