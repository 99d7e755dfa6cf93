package event

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Fact is an event of the orchestrator.
type Fact struct {
	Cluster, Service, Deployment string // Deployment is "" for events of the service alone
	Sequence                     int64
	Type                         string // INFO, WARN or ERROR
	Name                         string
	Reason                       string
	Detail                       map[string]string
	Time                         time.Time
}

// About is what an event alone does not tell. Its zero value is fine: what is not known is left out.
type About struct {
	CodeDeploy   bool      // the deployment is a CodeDeploy one: it has a named configuration, or an option of CodeDeploy's
	RollbackTo   string    // the deployment that is returned to, of a deployment that rolls back
	RollbackOf   string    // the deployment that this one undoes, of a rollback that is a deployment of its own
	BreakerTrips bool      // the circuit breaker failed the deployment
	HookType     string    // PAUSE, AWS_LAMBDA, or the kind of another target
	HookExpire   time.Time // when the hook or pause expires
}

// The names of the orchestrator's events that have a meaning of their own here.
const (
	deploymentInProgress = "SERVICE_DEPLOYMENT_IN_PROGRESS"
	deploymentCompleted  = "SERVICE_DEPLOYMENT_COMPLETED"
	deploymentFailed     = "SERVICE_DEPLOYMENT_FAILED"
	deploymentStopped    = "SERVICE_DEPLOYMENT_STOPPED"
	deploymentQueued     = "SERVICE_DEPLOYMENT_QUEUED"
	desiredCountUpdated  = "SERVICE_DESIRED_COUNT_UPDATED"
	hookAwaitingAction   = "HOOK_AWAITING_ACTION"
)

// detailTypeOf is the detail type that ECS gives an event with that name, or SlipwayEvent.
func detailTypeOf(name string) string {
	switch name {
	case deploymentInProgress, deploymentCompleted, deploymentFailed:
		return DeploymentStateChange
	case "HOOK_IN_PROGRESS", hookAwaitingAction, "HOOK_SUCCEEDED", "HOOK_FAILED", "HOOK_TIMED_OUT":
		return HookStateChange
	case "SERVICE_STEADY_STATE", "TASKSET_STEADY_STATE", "CAPACITY_PROVIDER_STEADY_STATE", desiredCountUpdated, "TASKS_STOPPED",
		"SERVICE_TASK_START_IMPAIRED", "SERVICE_DISCOVERY_INSTANCE_UNHEALTHY", "VPC_LATTICE_TARGET_UNHEALTHY",
		"SERVICE_DAEMON_PLACEMENT_CONSTRAINT_VIOLATED", "ECS_OPERATION_THROTTLED", "SERVICE_DISCOVERY_OPERATION_THROTTLED",
		"SERVICE_TASK_PLACEMENT_FAILURE", "SERVICE_TASK_CONFIGURATION_FAILURE", "SERVICE_HEALTH_UNKNOWN":
		return ServiceAction
	default:
		return SlipwayEvent
	}
}

// IsHook reports whether an event of the orchestrator is told as ECS Hook State Change.
func (f Fact) IsHook() bool { return detailTypeOf(f.Name) == HookStateChange }

// IsRollback reports whether an event is part of a rollback.
func (f Fact) IsRollback() bool { return f.Detail["rollback"] == "true" }

// OfOrchestrator returns the events that a fact is told as: one, and one more of CodeDeploy's for its deployments.
func OfOrchestrator(p Place, f Fact, about About) ([]Event, error) {
	kind := detailTypeOf(f.Name)
	first := p.event(f, kind)
	var detail any
	switch kind {
	case DeploymentStateChange:
		first.Resources, detail = []string{p.ServiceARN(f.Cluster, f.Service)}, deploymentDetail(f, about)
	case ServiceAction:
		first.Resources, detail = []string{p.ServiceARN(f.Cluster, f.Service)}, p.serviceDetail(f)
	case HookStateChange:
		first.Resources, detail = []string{p.ServiceDeploymentARN(f.Cluster, f.Service, f.Deployment)}, p.hookDetail(f, about)
	default:
		first.Source = SourceSlipway
		first.Resources, detail = p.slipwayResources(f), p.slipwayDetail(f)
	}
	var err error
	if first.Detail, err = marshal(detail); err != nil {
		return nil, err
	}
	state := codeDeployState(f, about)
	if state == "" {
		return []Event{first}, nil
	}
	second, err := p.codeDeploy(f, state)
	return []Event{first, second}, err
}

// event is what all events of a fact have in common.
func (p Place) event(f Fact, kind string) Event {
	e := Event{
		ID:   id("orchestrator", f.Cluster, f.Service, f.Deployment, strconv.FormatInt(f.Sequence, 10), seconds(f.Time), kind),
		Type: kind, Source: SourceECS, Account: p.Account, Region: p.Region, Time: f.Time,
		OrderKey: f.Deployment, Subject: f.Deployment,
	}
	if f.Deployment == "" {
		e.OrderKey = f.Cluster + "/" + f.Service
		e.Subject = e.OrderKey
	}
	return e
}

func seconds(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }
func millis(t time.Time) string  { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// deploymentDetail is ECS's. The events of a rollback are those of the deployment that is returned to, as in ECS.
func deploymentDetail(f Fact, about About) any {
	deployment, reason := f.Deployment, f.Reason
	if f.IsRollback() && f.Name != deploymentFailed && about.RollbackTo != "" {
		deployment = about.RollbackTo
		if f.Name == deploymentInProgress && about.BreakerTrips {
			reason = "ECS deployment circuit breaker: rolling back to deploymentId " + deployment + "."
		}
	}
	return struct {
		EventType    string `json:"eventType"`
		EventName    string `json:"eventName"`
		DeploymentID string `json:"deploymentId"`
		UpdatedAt    string `json:"updatedAt"`
		Reason       string `json:"reason"`
	}{f.Type, f.Name, deployment, seconds(f.Time), reason}
}

func (p Place) serviceDetail(f Fact) any {
	return struct {
		EventType    string `json:"eventType"`
		EventName    string `json:"eventName"`
		ClusterARN   string `json:"clusterArn"`
		CreatedAt    string `json:"createdAt"`
		Reason       string `json:"reason,omitempty"`
		DesiredCount *int   `json:"desiredCount,omitempty"`
	}{f.Type, f.Name, p.ClusterARN(f.Cluster), millis(f.Time), f.Reason, desiredCount(f)}
}

// desiredCount is what an event of a new desired count says in its details, or in its sentence.
func desiredCount(f Fact) *int {
	if f.Name != desiredCountUpdated {
		return nil
	}
	var was, is int
	if n, err := strconv.Atoi(f.Detail["desiredCount"]); err == nil {
		return &n
	}
	if _, err := fmt.Sscanf(f.Reason, "desired count %d -> %d", &was, &is); err != nil {
		return nil
	}
	return &is
}

func (p Place) hookDetail(f Fact, about About) any {
	detail := struct {
		EventType            string `json:"eventType"`
		EventName            string `json:"eventName"`
		HookID               string `json:"hookId"`
		HookType             string `json:"hookType,omitempty"`
		ExpiresAt            string `json:"expiresAt,omitempty"`
		LifecycleStage       string `json:"lifecycleStage"`
		ClusterARN           string `json:"clusterArn"`
		ServiceARN           string `json:"serviceArn"`
		ServiceDeploymentARN string `json:"serviceDeploymentArn"`
		UpdatedAt            string `json:"updatedAt"`
		Reason               string `json:"reason,omitempty"`
	}{
		f.Type, f.Name, f.Detail["hookId"], about.HookType, "", f.Detail["lifecycleStage"], p.ClusterARN(f.Cluster),
		p.ServiceARN(f.Cluster, f.Service), p.ServiceDeploymentARN(f.Cluster, f.Service, f.Deployment), millis(f.Time), f.Reason,
	}
	if !about.HookExpire.IsZero() {
		detail.ExpiresAt = millis(about.HookExpire)
	}
	return detail
}

func (p Place) slipwayResources(f Fact) []string {
	resources := []string{p.ServiceARN(f.Cluster, f.Service)}
	if f.Deployment != "" {
		resources = append(resources, p.ServiceDeploymentARN(f.Cluster, f.Service, f.Deployment))
	}
	return resources
}

func (p Place) slipwayDetail(f Fact) any {
	return struct {
		EventType    string            `json:"eventType"`
		EventName    string            `json:"eventName"`
		ClusterARN   string            `json:"clusterArn"`
		ServiceARN   string            `json:"serviceArn"`
		DeploymentID string            `json:"deploymentId,omitempty"`
		CreatedAt    string            `json:"createdAt"`
		Reason       string            `json:"reason,omitempty"`
		Attributes   map[string]string `json:"attributes,omitempty"`
	}{
		f.Type, f.Name, p.ClusterARN(f.Cluster), p.ServiceARN(f.Cluster, f.Service), f.Deployment, millis(f.Time), f.Reason, f.Detail,
	}
}

// codeDeployState is CodeDeploy's name for what happened, or "". A rollback inside a deployment is ECS's way, not
// CodeDeploy's, and has none; an alarm and a person stop a deployment, all else fails it.
func codeDeployState(f Fact, about About) string {
	if !about.CodeDeploy || f.Deployment == "" || f.IsRollback() && about.RollbackOf == "" {
		return ""
	}
	switch f.Name {
	case deploymentInProgress:
		return "START"
	case deploymentCompleted:
		return "SUCCESS"
	case deploymentFailed:
		if code := f.Detail["errorCode"]; code == "ALARM_ACTIVE" || code == "MANUAL_STOP" {
			return "STOP"
		}
		return "FAILURE"
	case deploymentStopped:
		return "STOP"
	case deploymentQueued:
		return "QUEUED"
	case hookAwaitingAction:
		if strings.Contains(f.Detail["hookId"], "READY_WAIT") {
			return "READY"
		}
	}
	return ""
}

// codeDeploy is CodeDeploy's event. Application and group have the names that ECS's console gives them.
func (p Place) codeDeploy(f Fact, state string) (Event, error) {
	application, group := "AppECS-"+f.Cluster+"-"+f.Service, "DgpECS-"+f.Cluster+"-"+f.Service
	e := p.event(f, CodeDeployStateChange)
	e.Source = SourceCodeDeploy
	e.Resources = []string{p.ARN("codedeploy", "application:"+application), p.ARN("codedeploy", "deploymentgroup:"+application+"/"+group)}
	var err error
	e.Detail, err = marshal(struct {
		InstanceGroupID string `json:"instanceGroupId"`
		Region          string `json:"region"`
		Application     string `json:"application"`
		DeploymentGroup string `json:"deploymentGroup"`
		DeploymentID    string `json:"deploymentId"`
		State           string `json:"state"`
	}{id("instance group", f.Cluster, f.Service, f.Deployment), p.Region, application, group, f.Deployment, state})
	return e, err
}
