package client

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
)

// HookHandler answers a lifecycle hook: one stage of one deployment.
//
// The context ends with the hook's call timeout; an answer after that is not heard, and the hook is called again.
//
// An error is FAILED with its text as the reason, and rolls the deployment back. An error that is Unavailable
// (fmt.Errorf("no test host: %w", client.Unavailable)) and one that is returned after the context has ended are no answer:
// the hook is called again, as a new attempt, up to the hook's max_attempts. A panic is FAILED.
//
// A handler may be called twice with the same Invocation.ID and Attempt, also at the same time: the hooks service records
// an attempt before it sends it, and sends it again after a crash. It must answer both the same way, and do what may be
// done once under Invocation.Key.
type HookHandler func(ctx context.Context, i Invocation) (Result, error)

// Invocation is a call of a hook.
type Invocation struct {
	// ID is the same for all attempts of one hook at one stage and step of one deployment.
	ID string
	// Attempt is the number, from 1. It grows when an attempt was answered IN_PROGRESS or not at all.
	Attempt int
	// Stage is the lifecycle stage, e.g. "POST_TEST_TRAFFIC_SHIFT".
	Stage string
	// Deployment is the deployment's id.
	Deployment string
	// ReportBack says that what the handler answers does not count: it is called once, as AWS CodeDeploy calls hooks, and the
	// result is told by Client.ReportLifecycleEvent with Deployment and ID. Service, revision, weights and details are not set.
	ReportBack bool
	// Service is "cluster/service".
	Service string
	// ServiceRevision is the new one, "cluster/service/number", also while rolling back.
	ServiceRevision string
	// TestTrafficWeights is percent of test traffic by service revision; set at TEST_TRAFFIC_SHIFT only.
	TestTrafficWeights map[string]float64
	// ProductionTrafficWeights is percent of production traffic by service revision; set at PRE_PRODUCTION_TRAFFIC_SHIFT
	// and PRODUCTION_TRAFFIC_SHIFT only.
	ProductionTrafficWeights map[string]float64
	// Details is what the service's deployment configuration gives the hook, with what it answered earlier in the deployment.
	Details map[string]any
}

// Key names the attempt: it is the same when the same attempt is sent twice, and never otherwise.
func (i Invocation) Key() string { return fmt.Sprintf("%s/%d", i.ID, i.Attempt) }

// Result is an answer of a hook. The zero Result counts as a failure.
type Result struct {
	// Status is the answer.
	Status hookspb.HookStatus
	// Reason says why, for people; it is cut at 1024 characters.
	Reason string
	// CallBackDelay, with IN_PROGRESS, is when to ask again, at least 100 ms. Default 30 s.
	CallBackDelay time.Duration
	// Details are merged by key into those of the next call of the same hook in the same deployment. Values are what
	// encoding/json takes.
	Details map[string]any

	accepted bool
}

// Succeeded lets the deployment go on.
func Succeeded() Result { return Result{Status: hookspb.HookStatus_HOOK_STATUS_SUCCEEDED} }

// Failed rolls the deployment back. The format and its arguments make the reason.
func Failed(format string, args ...any) Result {
	return Result{Status: hookspb.HookStatus_HOOK_STATUS_FAILED, Reason: fmt.Sprintf(format, args...)}
}

// InProgress asks to be called again after the delay (0 for 30 s), as a new attempt with the details merged in; nil for
// none. The hook's timeout in the deployment configuration limits all attempts together.
func InProgress(callBackDelay time.Duration, details map[string]any) Result {
	return Result{Status: hookspb.HookStatus_HOOK_STATUS_IN_PROGRESS, CallBackDelay: callBackDelay, Details: details}
}

// Accepted says that the work has begun and that its result is reported by ReportResult, with the same attempt: the hook is
// not called again, and has failed when its timeout ends without a report. A webhook answers 202; over gRPC it is
// IN_PROGRESS with the longest delay that there is.
func Accepted() Result {
	return Result{Status: hookspb.HookStatus_HOOK_STATUS_IN_PROGRESS, CallBackDelay: longestDelay, accepted: true}
}

// longestDelay is the longest time that a hook may take.
const longestDelay = 14 * 24 * time.Hour

func invocationFrom(r *hookspb.HandleHookRequest) Invocation {
	x := r.GetExecutionDetails()
	return Invocation{
		ID: r.GetExecutionId(), Attempt: int(r.GetAttempt()), Stage: r.GetLifecycleStage(), Deployment: deploymentOf(r),
		ReportBack: r.GetContract() == hookspb.Contract_CONTRACT_CODEDEPLOY,
		Service:    x.GetServiceArn(), ServiceRevision: x.GetTargetServiceRevisionArn(),
		TestTrafficWeights: x.GetTestTrafficWeights(), ProductionTrafficWeights: x.GetProductionTrafficWeights(),
		Details: r.GetHookDetails().AsMap(),
	}
}

// deploymentOf is the last part of "cluster/service/deployment" where the id is not told by itself.
func deploymentOf(r *hookspb.HandleHookRequest) string {
	if id := r.GetDeploymentId(); id != "" {
		return id
	}
	arn := r.GetResourceArn()
	return arn[strings.LastIndexByte(arn, '/')+1:]
}

// response is the result as it is sent.
func (r Result) response() (*hookspb.HandleHookResponse, error) {
	out := &hookspb.HandleHookResponse{HookStatus: r.Status, Reason: cut(r.Reason)}
	if r.CallBackDelay != 0 {
		out.CallBackDelay = durationpb.New(r.CallBackDelay)
	}
	if r.Details == nil {
		return out, nil
	}
	text, err := json.Marshal(r.Details)
	if err == nil {
		out.HookDetails = &structpb.Struct{}
		err = protojson.Unmarshal(text, out.GetHookDetails())
	}
	if err != nil {
		return nil, fmt.Errorf("the details of a hook's result: %w", err)
	}
	return out, nil
}

const maxReason = 1024 // characters, the contract's limit

// cut makes a text fit for a reason.
func cut(s string) string {
	if !utf8.ValidString(s) {
		s = string([]rune(s)) // each wrong byte becomes a replacement character
	}
	if utf8.RuneCountInString(s) <= maxReason {
		return s
	}
	return string([]rune(s)[:maxReason-1]) + "…"
}
