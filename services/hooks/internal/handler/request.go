package handler

import (
	"bytes"
	"encoding/json"
	"fmt"

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

// Request is the JSON object that the current attempt of an invocation sends.
func Request(i invocation.Invocation) (string, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(request{
		ExecutionID:    i.ID,
		LifecycleStage: i.Stage,
		ResourceARN:    i.Deployment,
		ExecutionDetails: executionDetails{
			ServiceARN:               i.Execution.ServiceARN,
			TargetServiceRevisionARN: i.Execution.TargetServiceRevisionARN,
			TestTrafficWeights:       orEmpty(i.Execution.TestTrafficWeights),
			ProductionTrafficWeights: orEmpty(i.Execution.ProductionTrafficWeights),
		},
		HookDetails: i.Details,
	})
	if err != nil {
		return "", fmt.Errorf("encode the request of %s: %w", i.ID, err)
	}
	return string(bytes.TrimRight(b.Bytes(), "\n")), nil
}

func orEmpty(weights map[string]float64) map[string]float64 {
	if weights == nil {
		return map[string]float64{}
	}
	return weights
}
