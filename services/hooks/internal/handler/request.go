package handler

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/slipway-deploy/slipway/services/hooks/internal/event"
	"github.com/slipway-deploy/slipway/services/hooks/internal/invocation"
)

// request is what a handler receives, with the field names of an Amazon ECS lifecycle hook's event. The weights are
// {} where ECS has none, never absent.
type request struct {
	ExecutionID      string             `json:"executionId"`
	LifecycleStage   string             `json:"lifecycleStage"`
	ResourceARN      string             `json:"resourceArn"`
	ExecutionDetails executionDetails   `json:"executionDetails"`
	HookDetails      invocation.Details `json:"hookDetails,omitempty"`
}

type executionDetails struct {
	ServiceARN               string             `json:"serviceArn"`
	TargetServiceRevisionARN string             `json:"targetServiceRevisionArn"`
	TestTrafficWeights       map[string]float64 `json:"testTrafficWeights"`
	ProductionTrafficWeights map[string]float64 `json:"productionTrafficWeights"`
}

// report is what a handler with CodeDeploy's contract receives: nothing else.
type report struct {
	DeploymentID                  string `json:"DeploymentId"`
	LifecycleEventHookExecutionID string `json:"LifecycleEventHookExecutionId"`
}

// Names says how resources are named to handlers: "cluster/service" with more parts, or ARNs of the place.
type Names struct{ ARNs *event.Place }

// Request is the JSON object that the current attempt of an invocation sends.
func (n Names) Request(i invocation.Invocation) (string, error) {
	var body any = request{
		ExecutionID:    i.ID,
		LifecycleStage: i.Stage,
		ResourceARN:    n.name("service-deployment", i.Service+"/"+i.Deployment),
		ExecutionDetails: executionDetails{
			ServiceARN:               n.name("service", i.Execution.ServiceARN),
			TargetServiceRevisionARN: n.name("service-revision", i.Execution.TargetServiceRevisionARN),
			TestTrafficWeights:       n.weights(i.Execution.TestTrafficWeights),
			ProductionTrafficWeights: n.weights(i.Execution.ProductionTrafficWeights),
		},
		HookDetails: i.Details,
	}
	if i.Contract == invocation.CodeDeploy {
		body = report{DeploymentID: i.Deployment, LifecycleEventHookExecutionID: i.ID}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(body); err != nil {
		return "", fmt.Errorf("encode the request of %s: %w", i.ID, err)
	}
	return string(bytes.TrimRight(b.Bytes(), "\n")), nil
}

func (n Names) name(resource, name string) string {
	if n.ARNs == nil || name == "" {
		return name
	}
	return n.ARNs.ARN("ecs", resource+"/"+name)
}

// weights are never null.
func (n Names) weights(weights map[string]float64) map[string]float64 {
	named := make(map[string]float64, len(weights))
	for revision, percent := range weights {
		named[n.name("service-revision", revision)] = percent
	}
	return named
}
