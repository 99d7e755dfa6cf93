package grpcapi

import (
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/once"
	"github.com/slipway-deploy/slipway/platform/page"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/store"
)

type services struct {
	orchestratorpb.UnimplementedServiceServiceServer
	s *Server
}

func (v *services) CreateService(ctx context.Context, req *orchestratorpb.CreateServiceRequest) (*orchestratorpb.CreateServiceResponse, error) {
	user := userService(req.GetService())
	key := store.Key{Cluster: user.GetCluster(), Name: user.GetName()}
	spec, refusal := v.s.newSpec(ctx, user)
	body, err := proto.Marshal(user)
	if err != nil {
		return nil, err
	}
	var resp *orchestratorpb.CreateServiceResponse
	var wake func()
	err = v.s.Store.InTx(ctx, func(tx pgx.Tx) error {
		resp, err = once.Do(ctx, tx, "CreateService", req.GetRequestId(), req, func() (*orchestratorpb.CreateServiceResponse, error) {
			if refusal != nil { // told only now: what was answered before is answered again
				return nil, refusal
			}
			a, cmd, err := v.create(ctx, tx, key, spec, body)
			if err != nil {
				return nil, err
			}
			if wake, err = v.s.save(ctx, tx, key, cmd); err != nil {
				return nil, err
			}
			a.State = cmd.Next
			return &orchestratorpb.CreateServiceResponse{Service: v.s.servicePB(a), Deployment: v.s.deploymentPB(a.State.Service, *cmd.Next.Deployment)}, nil
		})
		return err
	})
	if err == nil && wake != nil {
		wake()
	}
	return resp, err
}

// newSpec is specOf for a service that does not exist yet, and checks what it refers to.
func (s *Server) newSpec(ctx context.Context, user *orchestratorpb.Service) (rollout.Spec, error) {
	spec, err := specOf(ctx, s.Store, user)
	if err != nil {
		return spec, err
	}
	if err := s.Store.ClusterCheck(ctx, user.GetCluster()); err != nil {
		return spec, err
	}
	return spec, s.checkTargetGroups(ctx, spec)
}

// create inserts the service and begins its first deployment.
func (v *services) create(ctx context.Context, tx pgx.Tx, key store.Key, spec rollout.Spec, body []byte) (store.Aggregate, rollout.Decision, error) {
	var previous *rollout.Service
	switch old, err := v.s.Store.ServiceLock(ctx, tx, key.Cluster, key.Name); {
	case err == nil:
		previous = &old.State.Service
	case !errors.Is(err, problem.NotFound):
		return store.Aggregate{}, rollout.Decision{}, err
	}
	now := v.s.Now()
	state := rollout.NewService(previous, key.Cluster, key.Name, spec)
	state.Service.Generation++
	if err := v.s.Store.ServiceInsert(ctx, tx, state.Service, body, now); err != nil {
		return store.Aggregate{}, rollout.Decision{}, err
	}
	cmd, err := rollout.Deploy(state, rollout.DeployRequest{
		ID: newDeploymentID(), TaskDefinition: spec.TaskDefinition, HasHealthCheck: spec.HasHealthCheck, Config: spec.Config,
	}, now)
	return store.Aggregate{Spec: body, CreateTime: now, UpdateTime: now}, cmd, problemOf(err)
}

// checkTargetGroups makes sure that the target groups exist, and can ever call a task healthy, before anything refers to them.
func (s *Server) checkTargetGroups(ctx context.Context, spec rollout.Spec) error {
	lb := spec.LoadBalancer
	if lb == nil {
		return nil
	}
	for field, name := range map[string]string{"target_group": lb.TargetGroup, "alternate_target_group": lb.AlternateTargetGroup} {
		if name == "" {
			continue
		}
		got, err := s.Health.GetTargetGroup(ctx, &healthcheckpb.GetTargetGroupRequest{Name: name})
		if errors.Is(err, problem.NotFound) {
			return problem.New(
				problem.NotFound,
				"TARGET_GROUP_NOT_FOUND",
				"service.load_balancer.%s: there is no target group %s; create it with the healthcheck service's CreateTargetGroup",
				field,
				name,
			).With("field", field)
		}
		if err != nil {
			return err
		}
		if got.GetTargetGroup().GetHealthCheck().GetType() == healthcheckpb.HealthCheck_TYPE_CONTAINER && !spec.HasHealthCheck {
			return problem.Invalid("service.load_balancer."+field, "target group %s lives by the health checks of containers, and no essential "+
				"container of %s has one", name, spec.TaskDefinition)
		}
	}
	return nil
}

func (v *services) UpdateService(ctx context.Context, req *orchestratorpb.UpdateServiceRequest) (*orchestratorpb.UpdateServiceResponse, error) {
	wish := req.GetService()
	if wish.GetName() == "" {
		return nil, problem.Invalid("service.name", "is needed")
	}
	mask, err := updateMask(req)
	if err != nil {
		return nil, err
	}
	key := store.Key{Cluster: orDefault(wish.GetCluster()), Name: wish.GetName()}
	began := ""
	decide := func(tx pgx.Tx, a *store.Aggregate) (rollout.Decision, error) {
		if tag := wish.GetEtag(); tag != "" && tag != etag(*a) {
			return rollout.Decision{}, problem.New(problem.Aborted, "STALE_ETAG", "service %s was changed since it was read; read it again", wish.GetName())
		}
		update, user, err := v.updateOf(ctx, v.s.Store.In(tx), *a, wish, mask, req)
		if err != nil {
			return rollout.Decision{}, err
		}
		if update.Deploy != nil {
			began = update.Deploy.ID
		}
		if a.Spec, err = proto.Marshal(user); err != nil {
			return rollout.Decision{}, err
		}
		if err := v.s.Store.ServiceSpecSet(ctx, tx, key.Cluster, key.Name, a.Spec); err != nil {
			return rollout.Decision{}, err
		}
		made, err := rollout.UpdateService(a.State, update, v.s.Now())
		return made, ofService(problemOf(err))
	}
	return command(ctx, v.s, "UpdateService", req, key, decide, func(a store.Aggregate, made rollout.Decision) *orchestratorpb.UpdateServiceResponse {
		resp := &orchestratorpb.UpdateServiceResponse{Service: v.s.servicePB(a)}
		if began != "" {
			resp.Deployment = v.s.deploymentOf(a, made, began)
		}
		return resp
	})
}

// updateMask is the fields to change: those named, or those set.
func updateMask(req *orchestratorpb.UpdateServiceRequest) ([]string, error) {
	allowed := []string{"task_definition", "desired_count", "deployment_configuration", "health_check_grace_period", "deployment_concurrency", "load_balancer"}
	if paths := req.GetUpdateMask().GetPaths(); len(paths) > 0 {
		for _, path := range paths {
			if !slices.Contains(allowed, path) {
				return nil, problem.Invalid("update_mask", "%q cannot be updated; %v can", path, allowed)
			}
		}
		return paths, nil
	}
	var set []string
	for _, path := range allowed {
		message := req.GetService().ProtoReflect()
		if message.Has(message.Descriptor().Fields().ByTextName(path)) {
			set = append(set, path)
		}
	}
	return set, nil
}

// updateOf merges the wish into the service as the user wrote it and tells the core what changes.
func (v *services) updateOf(
	ctx context.Context,
	st *store.Store,
	a store.Aggregate,
	wish *orchestratorpb.Service,
	mask []string,
	req *orchestratorpb.UpdateServiceRequest,
) (rollout.Update, *orchestratorpb.Service, error) {
	user := &orchestratorpb.Service{}
	if err := proto.Unmarshal(a.Spec, user); err != nil {
		return rollout.Update{}, nil, err
	}
	user.TaskDefinition = a.State.Service.Spec.TaskDefinition
	from, to := wish.ProtoReflect(), user.ProtoReflect()
	for _, path := range mask {
		field := from.Descriptor().Fields().ByTextName(path)
		if from.Has(field) {
			to.Set(field, from.Get(field))
		} else {
			to.Clear(field)
		}
	}
	if err := v.s.check(&orchestratorpb.CreateServiceRequest{Service: user}); err != nil {
		return rollout.Update{}, nil, err
	}
	spec, err := specOf(ctx, st, user)
	if err != nil {
		return rollout.Update{}, nil, err
	}
	user.TaskDefinition = spec.TaskDefinition
	u := rollout.Update{
		DesiredCount: &spec.DesiredCount, Config: &spec.Config, HealthCheckGracePeriod: &spec.HealthCheckGracePeriod, Concurrency: &spec.Concurrency,
	}
	if slices.Contains(mask, "load_balancer") {
		if u.LoadBalancer = spec.LoadBalancer; u.LoadBalancer == nil {
			u.LoadBalancer = &rollout.LoadBalancer{} // which the core refuses where there is one
		}
	}
	if req.GetForceNewDeployment() || spec.TaskDefinition != a.State.Service.Spec.TaskDefinition {
		u.Deploy = &rollout.DeployRequest{
			ID: newDeploymentID(), TaskDefinition: spec.TaskDefinition, HasHealthCheck: spec.HasHealthCheck, Config: spec.Config, Supersede: req.GetSupersede(),
		}
	}
	return u, user, nil
}

func (v *services) DeleteService(ctx context.Context, req *orchestratorpb.DeleteServiceRequest) (*orchestratorpb.DeleteServiceResponse, error) {
	key := store.Key{Cluster: orDefault(req.GetCluster()), Name: req.GetService()}
	decide := func(_ pgx.Tx, a *store.Aggregate) (rollout.Decision, error) {
		return rollout.Delete(a.State, req.GetForce(), v.s.Now())
	}
	return command(ctx, v.s, "DeleteService", req, key, decide, func(a store.Aggregate, _ rollout.Decision) *orchestratorpb.DeleteServiceResponse {
		return &orchestratorpb.DeleteServiceResponse{Service: v.s.servicePB(a)}
	})
}

func (v *services) GetService(ctx context.Context, req *orchestratorpb.GetServiceRequest) (*orchestratorpb.GetServiceResponse, error) {
	a, err := v.s.Store.ServiceGet(ctx, orDefault(req.GetCluster()), req.GetService())
	if err != nil {
		return nil, err
	}
	return &orchestratorpb.GetServiceResponse{Service: v.s.servicePB(a)}, nil
}

func (v *services) ListServices(ctx context.Context, req *orchestratorpb.ListServicesRequest) (*orchestratorpb.ListServicesResponse, error) {
	var after [2]string
	if err := page.Decode(req.GetPageToken(), &after); err != nil {
		return nil, err
	}
	size := int(page.Size(req.GetPageSize(), 20, 100))
	list, err := v.s.Store.ServicesList(ctx, req.GetCluster(), after, size+1)
	if err != nil {
		return nil, err
	}
	resp := &orchestratorpb.ListServicesResponse{}
	if len(list) > size {
		list = list[:size]
		last := list[size-1].State.Service
		resp.NextPageToken = page.Encode([2]string{last.Cluster, last.Name})
	}
	for _, a := range list {
		resp.Services = append(resp.Services, v.s.servicePB(a))
	}
	return resp, nil
}

func (v *services) ListServiceRevisions(
	ctx context.Context,
	req *orchestratorpb.ListServiceRevisionsRequest,
) (*orchestratorpb.ListServiceRevisionsResponse, error) {
	var below int64
	if err := page.Decode(req.GetPageToken(), &below); err != nil {
		return nil, err
	}
	cluster := orDefault(req.GetCluster())
	if _, err := v.s.Store.ServiceGet(ctx, cluster, req.GetService()); err != nil {
		return nil, err
	}
	size := int(page.Size(req.GetPageSize(), 20, 100))
	list, err := v.s.Store.RevisionList(ctx, cluster, req.GetService(), below, size+1)
	if err != nil {
		return nil, err
	}
	resp := &orchestratorpb.ListServiceRevisionsResponse{}
	if len(list) > size {
		list = list[:size]
		resp.NextPageToken = page.Encode(list[size-1].Number)
	}
	for _, r := range list {
		resp.ServiceRevisions = append(resp.ServiceRevisions, revisionPB(rollout.Revision{
			ID: revisionID(cluster, req.GetService(), r.Number), Number: r.Number,
			TaskDefinition: r.TaskDefinition, Deployment: r.Deployment, CreateTime: r.CreateTime,
		}))
	}
	return resp, nil
}

func revisionPB(r rollout.Revision) *orchestratorpb.ServiceRevision {
	return &orchestratorpb.ServiceRevision{
		Id: r.ID, Number: r.Number, TaskDefinition: r.TaskDefinition, Deployment: r.Deployment, CreateTime: timestamppb.New(r.CreateTime),
	}
}
