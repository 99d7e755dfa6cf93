package settings

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	"github.com/slipway-deploy/slipway/drivers/runtime/fake"
	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/internal/stories"
)

type (
	config     = orchestratorpb.DeploymentConfiguration
	deployment = orchestratorpb.Deployment
)

// The strategies, in short.
const (
	rolling   = orchestratorpb.DeploymentConfiguration_STRATEGY_ROLLING
	blueGreen = orchestratorpb.DeploymentConfiguration_STRATEGY_BLUE_GREEN
	canary    = orchestratorpb.DeploymentConfiguration_STRATEGY_CANARY
	steps     = orchestratorpb.DeploymentConfiguration_STRATEGY_STEPS
)

// The states, in short.
const (
	inProgress         = orchestratorpb.Deployment_STATE_IN_PROGRESS
	pending            = orchestratorpb.Deployment_STATE_PENDING
	successful         = orchestratorpb.Deployment_STATE_SUCCESSFUL
	stopped            = orchestratorpb.Deployment_STATE_STOPPED
	rollbackInProgress = orchestratorpb.Deployment_STATE_ROLLBACK_IN_PROGRESS
	rollbackSuccessful = orchestratorpb.Deployment_STATE_ROLLBACK_SUCCESSFUL
	rollbackFailed     = orchestratorpb.Deployment_STATE_ROLLBACK_FAILED
)

// service is a service of the test whose first revision, a good one, is live.
type service struct {
	t       *testing.T
	name    string
	checked bool // tasks are healthy by a container health check
	balance *orchestratorpb.LoadBalancer
}

// setup is how a service begins.
type setup struct {
	desired   int32
	config    *config
	checked   bool                           // with a container health check
	balanced  bool                           // with a load balancer, and so with a container health check
	targets   healthcheckpb.HealthCheck_Type // of the load balancer; by default the containers' health
	grace     time.Duration
	mode      orchestratorpb.DeploymentConcurrency_Mode
	queue     int32
	notReady  bool // do not wait for the first deployment
	behaviour *fake.Behavior
}

var names atomic.Int64

// newName is unique also when a test is run again.
func newName(t *testing.T) string {
	test := strings.NewReplacer("/", "-", "_", "-", ",", "", "'", "").Replace(t.Name())
	return strings.ToLower(fmt.Sprintf("%s-%d", test, names.Add(1)))
}

// begin makes the service and waits until its first deployment has completed.
func begin(t *testing.T, s setup) *service {
	t.Helper()
	system.once.Do(func() { system.err = startSystem() })
	if system.err != nil {
		t.Fatal(system.err)
	}
	v := &service{t: t, name: newName(t), checked: s.checked || s.balanced}
	if s.balanced {
		v.balance = v.loadBalancer(cmp.Or(s.targets, healthcheckpb.HealthCheck_TYPE_CONTAINER))
	}
	if s.behaviour == nil {
		s.behaviour = v.good()
	}
	if s.config == nil {
		s.config = &config{MinimumHealthyTime: durationpb.New(0)}
	}
	created, err := system.Services.CreateService(t.Context(), &orchestratorpb.CreateServiceRequest{Service: &orchestratorpb.Service{
		Name: v.name, TaskDefinition: v.define(s.behaviour), DesiredCount: s.desired, DeploymentConfiguration: s.config, LoadBalancer: v.balance,
		HealthCheckGracePeriod: durationpb.New(s.grace),
		DeploymentConcurrency:  &orchestratorpb.DeploymentConcurrency{Mode: s.mode, QueueLimit: s.queue},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if !s.notReady {
		v.ends(created.GetDeployment().GetId(), successful)
	}
	return v
}

func (v *service) loadBalancer(targets healthcheckpb.HealthCheck_Type) *orchestratorpb.LoadBalancer {
	v.t.Helper()
	lb := &orchestratorpb.LoadBalancer{TargetGroup: v.name + "-a", AlternateTargetGroup: v.name + "-b", DeregistrationDelay: durationpb.New(0)}
	for _, name := range []string{lb.GetTargetGroup(), lb.GetAlternateTargetGroup()} {
		_, err := system.TargetGroups.CreateTargetGroup(v.t.Context(), &healthcheckpb.CreateTargetGroupRequest{TargetGroup: &healthcheckpb.TargetGroup{
			Name: name, HealthCheck: &healthcheckpb.HealthCheck{Type: targets},
		}})
		if err != nil {
			v.t.Fatal(err)
		}
	}
	for _, listener := range []*string{&lb.ProductionListener, &lb.TestListener} {
		address, err := stories.FreeAddress()
		if err != nil {
			v.t.Fatal(err)
		}
		*listener = address
	}
	return lb
}

// good is what tasks do that run and are healthy at once.
func (v *service) good() *fake.Behavior {
	if v.checked {
		return &fake.Behavior{Health: runtime.Healthy}
	}
	return &fake.Behavior{}
}

// define registers the next revision of the service's task definition, whose tasks do as they are told.
func (v *service) define(b *fake.Behavior) string {
	v.t.Helper()
	container := &orchestratorpb.ContainerDefinition{Name: "web", PortMappings: []*orchestratorpb.PortMapping{{ContainerPort: 80}}}
	if v.checked {
		container.HealthCheck = &orchestratorpb.ContainerHealthCheck{Command: []string{"CMD", "true"}}
	}
	made, err := system.TaskDefinitions.RegisterTaskDefinition(v.t.Context(), &orchestratorpb.RegisterTaskDefinitionRequest{
		TaskDefinition: &orchestratorpb.TaskDefinition{Family: v.name, ContainerDefinitions: []*orchestratorpb.ContainerDefinition{container}},
	})
	if err != nil {
		v.t.Fatal(err)
	}
	definition := fmt.Sprintf("%s:%d", v.name, made.GetTaskDefinition().GetRevision())
	system.tasks.Script(definition, *b)
	return definition
}

// try begins a deployment of a new revision.
func (v *service) try(b *fake.Behavior, c *config) (string, error) {
	v.t.Helper()
	got, err := system.Deployments.CreateDeployment(v.t.Context(), &orchestratorpb.CreateDeploymentRequest{
		Service: v.name, TaskDefinition: v.define(b), DeploymentConfiguration: c,
	})
	return got.GetDeployment().GetId(), err
}

// deploy begins a deployment of a new revision and returns its id.
func (v *service) deploy(b *fake.Behavior, c *config) string {
	v.t.Helper()
	id, err := v.try(b, c)
	if err != nil {
		v.t.Fatal(err)
	}
	return id
}

func (v *service) deployment(id string) *deployment {
	v.t.Helper()
	got, err := system.Deployments.GetDeployment(v.t.Context(), &orchestratorpb.GetDeploymentRequest{Deployment: id})
	if err != nil {
		v.t.Fatal(err)
	}
	return got.GetDeployment()
}

// until waits for a deployment to be as told.
func (v *service) until(id, what string, holds func(*deployment) bool) *deployment {
	v.t.Helper()
	var d *deployment
	eventually(v.t, what, func() (bool, any) {
		d = v.deployment(id)
		return holds(d), d
	})
	return d
}

// ends waits for a deployment to end, and as told.
func (v *service) ends(id string, want orchestratorpb.Deployment_State) *deployment {
	v.t.Helper()
	d := v.until(id, "the deployment to end", func(d *deployment) bool { return d.GetFinishTime() != nil })
	if d.GetState() != want {
		v.t.Fatalf("deployment %s ended %s (%s), want %s", id, d.GetState(), d.GetReason(), want)
	}
	return d
}

// stands waits until a deployment in progress waits for something of that kind.
func (v *service) stands(id string, kind orchestratorpb.Condition_Type) *orchestratorpb.Condition {
	v.t.Helper()
	var found *orchestratorpb.Condition
	v.until(id, "the deployment to wait for "+kind.String(), func(d *deployment) bool {
		i := slices.IndexFunc(d.GetConditions(), func(c *orchestratorpb.Condition) bool { return c.GetType() == kind })
		if i >= 0 {
			found = d.GetConditions()[i]
		}
		return i >= 0
	})
	return found
}

func (v *service) get() *orchestratorpb.Service {
	v.t.Helper()
	got, err := system.Services.GetService(v.t.Context(), &orchestratorpb.GetServiceRequest{Service: v.name})
	if err != nil {
		v.t.Fatal(err)
	}
	return got.GetService()
}

// scale changes the desired count.
func (v *service) scale(n int32) {
	v.t.Helper()
	_, err := system.Services.UpdateService(v.t.Context(), &orchestratorpb.UpdateServiceRequest{
		Service: &orchestratorpb.Service{Name: v.name, DesiredCount: n}, UpdateMask: mask("desired_count"),
	})
	if err != nil {
		v.t.Fatal(err)
	}
}

// events returns the reasons of a deployment's events with the name, oldest first.
func (v *service) events(id, name string) []string {
	v.t.Helper()
	got, err := system.events.ListEvents(v.t.Context(), &orchestratorpb.ListEventsRequest{Deployment: id, Names: []string{name}, PageSize: 1000})
	if err != nil {
		v.t.Fatal(err)
	}
	var reasons []string
	for _, e := range got.GetEvents() {
		reasons = append(reasons, e.GetReason())
	}
	return reasons
}

// alive returns the names of the service's tasks of one revision that run or are about to, sorted. Revision 0 is any.
func (v *service) alive(revision int) []string {
	var names []string
	for name, task := range system.tasks.Tasks() {
		if task.Service == "default/"+v.name && (task.State == runtime.Pending || task.State == runtime.Running) &&
			(revision == 0 || task.TaskSet == fmt.Sprintf("%s-%d", v.name, revision)) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// runs waits until the service has so many tasks of a revision.
func (v *service) runs(revision, n int) []string {
	v.t.Helper()
	var names []string
	eventually(v.t, fmt.Sprintf("%d tasks of revision %d", n, revision), func() (bool, any) {
		names = v.alive(revision)
		return len(names) == n, names
	})
	return names
}

func (v *service) health(health runtime.Health, names ...string) {
	v.t.Helper()
	for _, name := range names {
		if !system.tasks.SetHealth(name, health) {
			v.t.Fatalf("task %s does not run", name)
		}
	}
}

// span returns the least and the most tasks of the service that were wanted at once since its first deployment.
func (v *service) span() (least, most int) {
	sets := map[string]int{}
	least = 1 << 30
	full := false
	for _, order := range system.tasks.Orders() {
		if order.Set.Service != "default/"+v.name {
			continue
		}
		sets[order.Set.ID] = len(order.Set.Tasks)
		total := 0
		for n := range maps.Values(sets) {
			total += n
		}
		full = full || len(sets) > 1
		if full {
			least = min(least, total)
		}
		most = max(most, total)
	}
	return least, most
}

func (v *service) weight(d *deployment) float64 {
	for _, set := range d.GetTaskSets() {
		if set.GetServiceRevision() == d.GetTargetServiceRevision().GetId() {
			return set.GetProductionTrafficWeight()
		}
	}
	return 0
}

func (v *service) stop(id string, how orchestratorpb.StopDeploymentRequest_StopType) {
	v.t.Helper()
	if _, err := system.Deployments.StopDeployment(v.t.Context(), &orchestratorpb.StopDeploymentRequest{Deployment: id, StopType: how}); err != nil {
		v.t.Fatal(err)
	}
}

func (v *service) resume(id, hook string, action orchestratorpb.ContinueDeploymentRequest_Action) {
	v.t.Helper()
	_, err := system.Deployments.ContinueDeployment(v.t.Context(), &orchestratorpb.ContinueDeploymentRequest{Deployment: id, HookId: hook, Action: action})
	if err != nil {
		v.t.Fatal(err)
	}
}
