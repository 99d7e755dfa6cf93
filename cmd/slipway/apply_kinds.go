package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/slipway-deploy/slipway/cmd/slipway/internal/manifest"
	"github.com/slipway-deploy/slipway/cmd/slipway/internal/words"
	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
)

const (
	created   = "created"
	changed   = "changed"
	unchanged = "unchanged"
)

// outcome tells what became of a resource by its etag before, "" when there was none, and after.
func outcome(before, after string, existed bool) string {
	switch {
	case !existed:
		return created
	case before == after:
		return unchanged
	}
	return changed
}

// missing takes the error that there is no such thing for an answer.
func missing(err error) error {
	if errors.Is(err, problem.NotFound) {
		return nil
	}
	return err
}

func (ap *applier) cluster(ctx context.Context, doc manifest.Document) (applied, error) {
	have, err := pages(0, func(token string) ([]*orchestratorpb.Cluster, string, error) {
		r, err := ap.api.clusters.ListClusters(ctx, &orchestratorpb.ListClustersRequest{PageSize: 100, PageToken: token})
		return r.GetClusters(), r.GetNextPageToken(), err
	})
	if err != nil {
		return applied{}, err
	}
	existed := slices.ContainsFunc(have, func(c *orchestratorpb.Cluster) bool { return c.GetName() == doc.Name })
	r, err := ap.api.clusters.CreateCluster(ctx, doc.Request.(*orchestratorpb.CreateClusterRequest))
	return applied{answer: r, what: outcome("", "", existed)}, err
}

func (ap *applier) targetGroup(ctx context.Context, doc manifest.Document) (applied, error) {
	request := doc.Request.(*healthcheckpb.CreateTargetGroupRequest)
	have, err := ap.api.targetGroups.GetTargetGroup(ctx, &healthcheckpb.GetTargetGroupRequest{Name: doc.Name})
	if missing(err) != nil {
		return applied{}, err
	}
	if err != nil {
		r, err := ap.api.targetGroups.CreateTargetGroup(ctx, request)
		if !errors.Is(err, problem.AlreadyExists) { // it was made meanwhile
			return applied{answer: r, what: created}, err
		}
	}
	r, err := ap.api.targetGroups.ModifyTargetGroup(ctx, &healthcheckpb.ModifyTargetGroupRequest{
		RequestId: request.GetRequestId(), TargetGroup: request.GetTargetGroup(),
	})
	return applied{answer: r, what: outcome(have.GetTargetGroup().GetEtag(), r.GetTargetGroup().GetEtag(), true)}, err
}

func (ap *applier) alarm(ctx context.Context, doc manifest.Document) (applied, error) {
	have, err := ap.api.alarms.DescribeAlarms(ctx, &alarmspb.DescribeAlarmsRequest{AlarmNames: []string{doc.Name}})
	if missing(err) != nil {
		return applied{}, err
	}
	var before string
	for _, a := range have.GetAlarms() {
		before = a.GetEtag()
	}
	r, err := ap.api.alarms.PutMetricAlarm(ctx, doc.Request.(*alarmspb.PutMetricAlarmRequest))
	return applied{answer: r, what: outcome(before, r.GetAlarm().GetEtag(), len(have.GetAlarms()) > 0)}, err
}

func (ap *applier) compositeAlarm(ctx context.Context, doc manifest.Document) (applied, error) {
	have, err := ap.api.alarms.DescribeAlarms(ctx, &alarmspb.DescribeAlarmsRequest{AlarmNames: []string{doc.Name}})
	if missing(err) != nil {
		return applied{}, err
	}
	var before string
	for _, a := range have.GetCompositeAlarms() {
		before = a.GetEtag()
	}
	r, err := ap.api.alarms.PutCompositeAlarm(ctx, doc.Request.(*alarmspb.PutCompositeAlarmRequest))
	return applied{answer: r, what: outcome(before, r.GetCompositeAlarm().GetEtag(), len(have.GetCompositeAlarms()) > 0)}, err
}

func (ap *applier) hook(ctx context.Context, doc manifest.Document) (applied, error) {
	have, err := ap.api.hooks.GetHook(ctx, &hookspb.GetHookRequest{Name: doc.Name})
	if missing(err) != nil {
		return applied{}, err
	}
	existed := err == nil
	r, err := ap.api.hooks.RegisterHook(ctx, doc.Request.(*hookspb.RegisterHookRequest))
	return applied{answer: r, what: outcome(have.GetHook().GetEtag(), r.GetHook().GetEtag(), existed)}, err
}

// deploymentConfig creates a deployment configuration; one that exists cannot be changed, and must agree.
func (ap *applier) deploymentConfig(ctx context.Context, doc manifest.Document) (applied, error) {
	request := doc.Request.(*orchestratorpb.CreateDeploymentConfigRequest)
	have, err := pages(0, func(token string) ([]*orchestratorpb.DeploymentConfig, string, error) {
		r, err := ap.api.configs.ListDeploymentConfigs(ctx, &orchestratorpb.ListDeploymentConfigsRequest{PageSize: 100, PageToken: token})
		return r.GetDeploymentConfigs(), r.GetNextPageToken(), err
	})
	if err != nil {
		return applied{}, err
	}
	for _, config := range have {
		switch {
		case config.GetName() != doc.Name:
		case agrees(request.GetDeploymentConfig(), config):
			return applied{answer: &orchestratorpb.CreateDeploymentConfigResponse{DeploymentConfig: config}, what: unchanged}, nil
		default:
			return applied{}, problem.New(problem.AlreadyExists, "ALREADY_EXISTS",
				"it exists with another definition, and deployment configurations cannot be changed; choose another name")
		}
	}
	r, err := ap.api.configs.CreateDeploymentConfig(ctx, request)
	return applied{answer: r, what: created}, err
}

// taskDefinition registers a revision, unless the latest is the same.
func (ap *applier) taskDefinition(ctx context.Context, doc manifest.Document) (applied, error) {
	request := doc.Request.(*orchestratorpb.RegisterTaskDefinitionRequest)
	have, err := ap.api.taskDefinitions.DescribeTaskDefinition(ctx, &orchestratorpb.DescribeTaskDefinitionRequest{TaskDefinition: doc.Name})
	if missing(err) != nil && !errors.Is(err, problem.InvalidArgument) { // a bad name is told by the registration
		return applied{}, err
	}
	if latest := have.GetTaskDefinition(); latest != nil && sameDefinition(latest, request.GetTaskDefinition()) {
		answer := &orchestratorpb.RegisterTaskDefinitionResponse{TaskDefinition: latest}
		return applied{answer: answer, what: unchanged, note: ", is " + definitionName(latest)}, nil
	}
	r, err := ap.api.taskDefinitions.RegisterTaskDefinition(ctx, request)
	return applied{answer: r, what: created, note: ", is " + definitionName(r.GetTaskDefinition())}, err
}

// sameDefinition compares all but what the orchestrator gives.
func sameDefinition(a, b *orchestratorpb.TaskDefinition) bool {
	a, b = proto.CloneOf(a), proto.CloneOf(b)
	a.Revision, a.RegisterTime = 0, nil
	b.Revision, b.RegisterTime = 0, nil
	return proto.Equal(a, b)
}

// updatable lists the fields of a service that an update may change, as the mask names them.
func updatable() []string {
	return []string{"task_definition", "desired_count", "deployment_configuration", "load_balancer", "health_check_grace_period"}
}

// service creates a service, or updates it in the fields that the document has.
func (ap *applier) service(ctx context.Context, doc manifest.Document) (applied, error) {
	update := doc.Request.(*orchestratorpb.UpdateServiceRequest)
	if update.GetService().GetCluster() == "" {
		update.Service.Cluster = ap.cli.cluster
	}
	have, err := ap.api.services.GetService(ctx, &orchestratorpb.GetServiceRequest{Cluster: update.GetService().GetCluster(), Service: doc.Name})
	if missing(err) != nil && !errors.Is(err, problem.InvalidArgument) {
		return applied{}, err
	}
	if err != nil || have.GetService().GetState() == orchestratorpb.Service_STATE_INACTIVE {
		r, err := ap.api.services.CreateService(ctx, &orchestratorpb.CreateServiceRequest{RequestId: update.GetRequestId(), Service: update.GetService()})
		return applied{answer: r, what: created, note: beganNote(r.GetDeployment())}, err
	}
	if update.GetUpdateMask() == nil {
		update.UpdateMask = &fieldmaskpb.FieldMask{}
		for _, field := range updatable() {
			if doc.Has("service."+field) && !sameLoadBalancer(field, update.GetService(), have.GetService()) {
				update.UpdateMask.Paths = append(update.UpdateMask.Paths, field)
			}
		}
	}
	update.Supersede = update.GetSupersede() || ap.supersede
	r, err := ap.api.services.UpdateService(ctx, update)
	return applied{
		answer: r, what: outcome(have.GetService().GetEtag(), r.GetService().GetEtag(), true), note: beganNote(r.GetDeployment()),
	}, err
}

// sameLoadBalancer reports whether the field is the load balancer and stays as it is. One that is in the mask may be
// refused even if it is the same.
func sameLoadBalancer(field string, want, have *orchestratorpb.Service) bool {
	return field == "load_balancer" && have.GetLoadBalancer() != nil && agrees(want.GetLoadBalancer(), have.GetLoadBalancer())
}

func beganNote(d *orchestratorpb.Deployment) string {
	if d == nil {
		return ""
	}
	id := words.Clean(d.GetId())
	return fmt.Sprintf(", deployment %s began; follow it with: slipway watch %s", id, id)
}
