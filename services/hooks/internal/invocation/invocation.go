package invocation

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Invocation is one hook called at one stage (and step) of one deployment, with all its attempts.
type Invocation struct {
	Spec
	Hook        Hook // as it was defined when the invocation began
	State       State
	Outcome     Outcome
	Reason      string
	Attempt     int       // the current attempt, from 1; 0 before the first
	AttemptTime time.Time // when the current attempt was recorded
	Open        bool      // the current attempt has neither been answered nor given up
	Failures    int       // calls in a row that got no answer
	NextAttempt time.Time // when a call is due; zero while one is on its way and when none will be made
	Deadline    time.Time
	CreateTime  time.Time
	EndTime     time.Time // zero until it has ended
	Returned    Details   // what the hook returned in this deployment, earlier invocations included
}

// Spec is what the orchestrator asks for.
type Spec struct {
	ID            string // given by the orchestrator, unique for (deployment, stage, step, hook, round)
	Service       string // "cluster/service"
	Deployment    string
	Stage         string // lifecycle stage
	Step          int    // traffic step, from 0
	Execution     Execution
	Details       Details // the configured ones; in an Invocation merged with what the hook returned
	Carried       Details // what the same hook returned earlier in the same deployment
	Contract      Contract
	Timeout       time.Duration
	TimeoutAction TimeoutAction
}

// Execution says what a deployment is doing (ECS: executionDetails).
type Execution struct {
	ServiceARN               string
	TargetServiceRevisionARN string             // the new service revision, also while rolling back
	TestTrafficWeights       map[string]float64 // percent by service revision
	ProductionTrafficWeights map[string]float64 // percent by service revision
}

// Bounds of an invocation. ECS has 1 to 1440 minutes for hooks; Slipway takes seconds too, and up to ECS's bound for
// pauses.
const (
	DefaultTimeout       = 24 * time.Hour
	DefaultReportTimeout = time.Hour // CodeDeploy's
	MinTimeout           = time.Second
	MaxTimeout           = 14 * 24 * time.Hour
	MaxID                = 512
)

// New begins an invocation: PENDING, its first call due at once. The error is an *InvalidError that names every field.
func New(spec Spec, hook Hook, now time.Time) (Invocation, error) {
	if spec.Contract == "" {
		spec.Contract = ECS
	}
	if spec.Timeout == 0 {
		spec.Timeout = spec.Contract.defaultTimeout()
	}
	if spec.TimeoutAction == "" {
		spec.TimeoutAction = OnTimeoutRollback
	}
	if err := spec.validate(); err != nil {
		return Invocation{}, err
	}
	i := Invocation{
		Spec: spec, Hook: hook, State: Pending, Reason: "not called yet",
		NextAttempt: now, Deadline: now.Add(spec.Timeout), CreateTime: now,
	}
	i.Carried = nil // it is in Details and Returned
	if err := i.carry(spec.Carried); err != nil {
		i.Reason = fmt.Sprintf("not called yet; what was returned earlier is not carried on: %s", err)
	}
	return i, nil
}

func (s Spec) validate() error {
	var bad InvalidError
	// The id travels in HTTP headers.
	bad.check(len(s.ID) >= 1 && len(s.ID) <= MaxID && Printable(s.ID), "invocation.id", "must have 1 to %d printable ASCII characters without spaces", MaxID)
	bad.check(storable(s.Service), "invocation.service", "must be set and have no control characters")
	bad.check(storable(s.Deployment), "invocation.deployment", "must be set and have no control characters")
	bad.check(storable(s.Stage), "invocation.lifecycle_stage", "must be set and have no control characters")
	bad.check(s.Step >= 0, "invocation.step", "must not be negative")
	bad.check(s.Timeout >= MinTimeout && s.Timeout <= MaxTimeout, "invocation.timeout", "must be from 1s to 336h, is %s", s.Timeout)
	bad.check(slices.Contains(TimeoutActions(), s.TimeoutAction), "invocation.timeout_action", "must be ROLLBACK or CONTINUE, is %q", s.TimeoutAction)
	bad.check(slices.Contains(Contracts(), s.Contract), "invocation.contract", "must be ECS or CODEDEPLOY, is %q", s.Contract)
	bad.check(percents(s.Execution.TestTrafficWeights), "invocation.execution_details.test_traffic_weights", "must be from 0 to 100")
	bad.check(percents(s.Execution.ProductionTrafficWeights), "invocation.execution_details.production_traffic_weights", "must be from 0 to 100")
	bad.check(s.Details.check() == nil, "invocation.hook_details", "must be a JSON object of at most %d bytes", MaxDetails)
	return bad.orNil()
}

// Printable reports whether a text has printable ASCII characters only, and no spaces.
func Printable(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

func storable(s string) bool { return s != "" && strings.IndexFunc(s, unicode.IsControl) < 0 }

func percents(weights map[string]float64) bool {
	for _, w := range weights {
		if math.IsNaN(w) || w < 0 || w > 100 {
			return false
		}
	}
	return true
}

// WakeAt is the next moment at which time alone changes the invocation; zero when it has ended. For a call on its way
// it is in the past: should its caller be gone, the call is due again at once.
func (i Invocation) WakeAt() time.Time {
	switch {
	case i.State.Terminal():
		return time.Time{}
	case i.onItsWay():
		return i.AttemptTime
	case i.awaitsReport(), i.NextAttempt.After(i.Deadline):
		return i.Deadline
	default:
		return i.NextAttempt
	}
}

func (i Invocation) onItsWay() bool { return i.Open && i.NextAttempt.IsZero() }

// awaitsReport reports whether nothing is called any more: the result comes from outside, or not before the deadline.
func (i Invocation) awaitsReport() bool {
	return i.State == InProgress && !i.Open && i.NextAttempt.IsZero()
}
