package grpcapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/store"
)

// userService is the part of a service that users write.
func userService(pb *orchestratorpb.Service) *orchestratorpb.Service {
	return &orchestratorpb.Service{
		Cluster: orDefault(pb.GetCluster()), Name: pb.GetName(), TaskDefinition: pb.GetTaskDefinition(), DesiredCount: pb.GetDesiredCount(),
		DeploymentConfiguration: pb.GetDeploymentConfiguration(), LoadBalancer: pb.GetLoadBalancer(), HealthCheckGracePeriod: pb.GetHealthCheckGracePeriod(),
		DeploymentConcurrency: pb.GetDeploymentConcurrency(),
	}
}

// specOf resolves names, fills in defaults and lets the core check the whole. It names fields as they are in a request.
func specOf(ctx context.Context, st *store.Store, pb *orchestratorpb.Service) (rollout.Spec, error) {
	definition, err := taskDefinitionByName(ctx, st, pb.GetTaskDefinition())
	if err != nil {
		return rollout.Spec{}, ofService(err)
	}
	config, err := configOf(ctx, st, pb.GetDeploymentConfiguration())
	if err != nil {
		return rollout.Spec{}, ofService(err)
	}
	pb.TaskDefinition = fullName(definition)
	spec := rollout.Spec{
		TaskDefinition: pb.GetTaskDefinition(), HasHealthCheck: hasHealthCheck(definition), DesiredCount: int(pb.GetDesiredCount()),
		Config: config, HealthCheckGracePeriod: pb.GetHealthCheckGracePeriod().AsDuration(),
		Concurrency: concurrencyOf(pb.GetDeploymentConcurrency()),
	}
	if spec.LoadBalancer, err = loadBalancerOf(pb.GetLoadBalancer(), definition); err != nil {
		return spec, ofService(err)
	}
	return spec, ofService(problemOf(rollout.Invalid(spec.Validate())))
}

func concurrencyOf(pb *orchestratorpb.DeploymentConcurrency) rollout.Concurrency {
	c := rollout.Concurrency{Mode: rollout.Reject, QueueLimit: int(pb.GetQueueLimit())}
	if m := pb.GetMode(); m != orchestratorpb.DeploymentConcurrency_MODE_UNSPECIFIED {
		c.Mode = rollout.ConcurrencyMode(strings.TrimPrefix(m.String(), "MODE_"))
	}
	return c
}

func loadBalancerOf(pb *orchestratorpb.LoadBalancer, definition *orchestratorpb.TaskDefinition) (*rollout.LoadBalancer, error) {
	if pb == nil {
		return nil, nil
	}
	lb := &rollout.LoadBalancer{
		TargetGroup: pb.GetTargetGroup(), AlternateTargetGroup: pb.GetAlternateTargetGroup(),
		ContainerName: pb.GetContainerName(), ContainerPort: int(pb.GetContainerPort()),
		ProductionListener: pb.GetProductionListener(), TestListener: pb.GetTestListener(),
		Algorithm: "least_outstanding_requests", ProtocolVersion: "HTTP1",
		DeregistrationDelay: rollout.DefaultDeregistrationDelay(),
	}
	setDuration(&lb.DeregistrationDelay, pb.GetDeregistrationDelay())
	lb.SlowStart, lb.SettleDelay = pb.GetSlowStart().AsDuration(), pb.GetSettleDelay().AsDuration()
	lb.FailClosed, lb.MinimumHealthy = pb.FailOpen != nil && !pb.GetFailOpen(), int(pb.GetMinimumHealthyTargetsCount())
	if pb.GetAlgorithm() == orchestratorpb.LoadBalancer_ALGORITHM_ROUND_ROBIN {
		lb.Algorithm = "round_robin"
	}
	if p := pb.GetProtocolVersion(); p != orchestratorpb.LoadBalancer_PROTOCOL_VERSION_UNSPECIFIED {
		lb.ProtocolVersion = strings.TrimPrefix(p.String(), "PROTOCOL_VERSION_")
	}
	for field, address := range map[string]string{"production_listener": lb.ProductionListener, "test_listener": lb.TestListener} {
		if _, _, err := net.SplitHostPort(address); address != "" && err != nil {
			return nil, problem.Invalid("load_balancer."+field, "%q is not host:port", address)
		}
	}
	if !exposes(definition, lb.ContainerName, lb.ContainerPort) {
		return nil, problem.Invalid("load_balancer.container_port",
			"task definition %s has no port mapping for container %q and port %d", fullName(definition), lb.ContainerName, lb.ContainerPort)
	}
	return lb, nil
}

func exposes(t *orchestratorpb.TaskDefinition, container string, port int) bool {
	for _, c := range t.GetContainerDefinitions() {
		for _, p := range c.GetPortMappings() {
			if (container == "" || container == c.GetName()) && (port == 0 || port == int(p.GetContainerPort())) {
				return true
			}
		}
	}
	return false
}

// servicePB is a service as the user wrote it, and what has become of it.
func (s *Server) servicePB(a store.Aggregate) *orchestratorpb.Service {
	pb := &orchestratorpb.Service{}
	_ = proto.Unmarshal(a.Spec, pb) // what was marshalled here
	service := a.State.Service
	pb.Cluster, pb.Name = service.Cluster, service.Name
	pb.TaskDefinition, pb.DesiredCount = service.Spec.TaskDefinition, int32(service.Spec.DesiredCount)
	pb.State = orchestratorpb.Service_State(orchestratorpb.Service_State_value["STATE_"+string(service.Phase)])
	pb.ServiceRevision = service.Current
	pb.TaskSets = s.taskSetsPB(service)
	for _, set := range pb.GetTaskSets() {
		pb.RunningCount += set.GetRunningCount()
		pb.PendingCount += set.GetPendingCount()
	}
	conditions := service.Conditions
	if d := a.State.Deployment; d != nil && !d.State.Terminal() {
		pb.Deployment = d.ID
		conditions = d.Conditions
	}
	for _, waiting := range service.Queue {
		pb.QueuedDeployments = append(pb.QueuedDeployments, waiting.ID)
	}
	pb.Conditions = conditionsPB(conditions)
	pb.CreateTime, pb.UpdateTime = timestamppb.New(a.CreateTime), timestamppb.New(a.UpdateTime)
	pb.Etag = etag(a)
	return pb
}

// etag changes when the service as the user wrote it does, and when a deployment or its rollback gives it another task
// definition; not with every step of the engine.
func etag(a store.Aggregate) string {
	hash := sha256.New()
	hash.Write(a.Spec)
	hash.Write([]byte(a.State.Service.Spec.TaskDefinition))
	return hex.EncodeToString(hash.Sum(nil)[:8])
}

// taskSetsPB joins the state of task sets with what the runtime says of their tasks.
func (s *Server) taskSetsPB(service rollout.Service) []*orchestratorpb.TaskSet {
	facts := s.Engine.Tasks(service.Key())
	var list []*orchestratorpb.TaskSet
	for _, set := range service.TaskSets {
		pb := &orchestratorpb.TaskSet{
			Id:                      set.ID,
			ServiceRevision:         set.Revision.ID,
			TaskDefinition:          set.Revision.TaskDefinition,
			TargetGroup:             set.TargetGroup,
			DesiredCount:            int32(set.Count),
			ProductionTrafficWeight: weightOf(service.Production, set.TargetGroup),
			TestTrafficWeight:       weightOf(service.Test, set.TargetGroup),
		}
		for _, task := range set.Tasks {
			switch {
			case !task.DrainTime.IsZero():
				pb.DrainingCount++
			case task.Healthy:
				pb.HealthyCount++
			}
			switch facts[task.Name].State {
			case "RUNNING":
				pb.RunningCount++
			case "", "PENDING":
				pb.PendingCount++
			}
		}
		list = append(list, pb)
	}
	return list
}

func weightOf(weights []rollout.Weight, targetGroup string) float64 {
	for _, w := range weights {
		if w.TargetGroup == targetGroup && targetGroup != "" {
			return rollout.Percent(w.Share)
		}
	}
	return 0
}

func conditionsPB(conditions []rollout.Condition) []*orchestratorpb.Condition {
	var list []*orchestratorpb.Condition
	for _, c := range conditions {
		list = append(list, &orchestratorpb.Condition{
			Type:    orchestratorpb.Condition_Type(orchestratorpb.Condition_Type_value["TYPE_"+string(c.Type)]),
			Message: c.Message, SinceTime: timestamppb.New(c.Since), UntilTime: timePB(c.Until), Then: c.Then,
		})
	}
	return list
}

// timePB leaves a zero time absent.
func timePB(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func revisionID(cluster, service string, number int64) string {
	return fmt.Sprintf("%s/%s/%d", cluster, service, number)
}
