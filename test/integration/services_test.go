package integration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/internal/stories"
)

// patience is how long a test waits for what should come soon.
const patience = 2 * time.Minute

// eventually waits until a condition holds; it may be false for as long as a service is away.
func eventually(t *testing.T, what string, holds func() (bool, error)) {
	t.Helper()
	deadline := time.Now().Add(patience)
	var last error
	for time.Now().Before(deadline) {
		ok, err := holds()
		if ok && err == nil {
			return
		}
		last = err
		select {
		case <-t.Context().Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
	t.Fatalf("not in time: %s (%v)", what, last)
}

// workload is a service of the example workload, with a listener of its own.
type workload struct {
	in      *installation
	e       *stories.Env
	name    string
	port    int
	version int
}

// strategies is a configuration for each strategy, all with some seconds in which something can happen.
func strategies() map[string]*orchestratorpb.DeploymentConfiguration {
	pause := durationpb.New(2 * time.Second)
	return map[string]*orchestratorpb.DeploymentConfiguration{
		"rolling": {Strategy: orchestratorpb.DeploymentConfiguration_STRATEGY_ROLLING, BakeTime: pause},
		"blue-green": {
			Strategy: orchestratorpb.DeploymentConfiguration_STRATEGY_BLUE_GREEN, BakeTime: pause,
		},
		"canary": {
			Strategy:            orchestratorpb.DeploymentConfiguration_STRATEGY_CANARY,
			CanaryConfiguration: &orchestratorpb.CanaryConfiguration{CanaryPercent: new(10.0), CanaryBakeTime: pause},
		},
		"linear": {
			Strategy:            orchestratorpb.DeploymentConfiguration_STRATEGY_LINEAR,
			LinearConfiguration: &orchestratorpb.LinearConfiguration{StepPercent: new(50.0), StepBakeTime: pause},
		},
	}
}

// create makes a service and waits until its first version is live.
func create(t *testing.T, in *installation, e *stories.Env, name string, port int, config *orchestratorpb.DeploymentConfiguration) *workload {
	t.Helper()
	ctx := t.Context()
	w := &workload{in: in, e: e, name: name, port: port}
	for _, group := range []string{name + "-a", name + "-b"} {
		_, err := e.TargetGroups.CreateTargetGroup(ctx, &healthcheckpb.CreateTargetGroupRequest{TargetGroup: &healthcheckpb.TargetGroup{
			Name: group, HealthCheck: &healthcheckpb.HealthCheck{
				Path: "/health", HealthyThreshold: 2, UnhealthyThreshold: 2, Interval: durationpb.New(500 * time.Millisecond), Timeout: durationpb.New(500 * time.Millisecond),
			},
		}})
		check(t, err)
	}
	created, err := e.Services.CreateService(ctx, &orchestratorpb.CreateServiceRequest{Service: &orchestratorpb.Service{
		Name: name, TaskDefinition: w.register(t), DesiredCount: 2, DeploymentConfiguration: config,
		LoadBalancer: &orchestratorpb.LoadBalancer{
			TargetGroup: name + "-a", AlternateTargetGroup: name + "-b", ProductionListener: fmt.Sprintf("0.0.0.0:%d", port),
			DeregistrationDelay: durationpb.New(5 * time.Second),
		},
	}})
	check(t, err)
	w.ends(t, created.GetDeployment().GetId(), orchestratorpb.Deployment_STATE_SUCCESSFUL)
	return w
}

// register registers the next version of the workload.
func (w *workload) register(t *testing.T) string {
	t.Helper()
	w.version++
	got, err := w.e.TaskDefinitions.RegisterTaskDefinition(t.Context(), &orchestratorpb.RegisterTaskDefinitionRequest{
		TaskDefinition: &orchestratorpb.TaskDefinition{Family: w.name, ContainerDefinitions: []*orchestratorpb.ContainerDefinition{{
			Name: "web", Image: w.e.Place.Image, PortMappings: []*orchestratorpb.PortMapping{{ContainerPort: 8080}}, StopTimeout: durationpb.New(5 * time.Second),
			Environment: []*orchestratorpb.KeyValuePair{{Name: "HOST", Value: "0.0.0.0"}, {Name: "VERSION", Value: w.live()}},
		}}},
	})
	check(t, err)
	return fmt.Sprintf("%s:%d", w.name, got.GetTaskDefinition().GetRevision())
}

func (w *workload) live() string { return "v" + strconv.Itoa(w.version) }

// deploy begins to bring the next version live and returns the deployment's id.
func (w *workload) deploy(t *testing.T) string {
	t.Helper()
	definition := w.register(t)
	created, err := w.e.Deployments.CreateDeployment(t.Context(), &orchestratorpb.CreateDeploymentRequest{Service: w.name, TaskDefinition: definition})
	check(t, err)
	return created.GetDeployment().GetId()
}

func (w *workload) get(ctx context.Context, id string) (*orchestratorpb.Deployment, error) {
	got, err := w.e.Deployments.GetDeployment(ctx, &orchestratorpb.GetDeploymentRequest{Deployment: id})
	return got.GetDeployment(), err
}

// ends waits for the end of a deployment and makes sure that it is the right one.
func (w *workload) ends(t *testing.T, id string, want orchestratorpb.Deployment_State) {
	t.Helper()
	var last *orchestratorpb.Deployment
	eventually(t, w.name+" ends", func() (bool, error) {
		d, err := w.get(t.Context(), id)
		if d != nil {
			last = d
		}
		if err == nil && d.GetFinishTime() == nil && len(d.GetConditions()) > 0 {
			err = errors.New(d.GetConditions()[0].GetMessage())
		}
		return d.GetFinishTime() != nil, err
	})
	if last.GetState() != want {
		t.Fatalf("%s ended %s: %s", w.name, last.GetState(), last.GetReason())
	}
}

// answersOnly makes sure that only the newest version answers.
func (w *workload) answersOnly(t *testing.T) {
	t.Helper()
	address := net.JoinHostPort(w.in.address("proxy"), strconv.Itoa(w.port))
	eventually(t, w.name+" answers "+w.live(), func() (bool, error) { // the proxy may have only just come back
		got, err := versionAt(t.Context(), address)
		return got == w.live(), err
	})
	for range 20 {
		if got, err := versionAt(t.Context(), address); err != nil || got != w.live() {
			t.Errorf("%s: %s answers (%v), want %s", w.name, got, err, w.live())
		}
	}
}

func versionAt(ctx context.Context, address string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/", nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var answer struct{ Version string }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return "", fmt.Errorf("status %s: %w", resp.Status, err)
	}
	return answer.Version, nil
}
