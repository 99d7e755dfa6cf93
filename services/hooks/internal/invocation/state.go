package invocation

import "time"

// State is where an invocation stands.
type State string

// The states of an invocation.
const (
	Pending    State = "PENDING"     // not called yet
	InProgress State = "IN_PROGRESS" // called; answered IN_PROGRESS, on its way, or to be called again
	Succeeded  State = "SUCCEEDED"   // answered SUCCEEDED
	Failed     State = "FAILED"      // answered FAILED, or could not be called
	TimedOut   State = "TIMED_OUT"   // did not end before its deadline
	Canceled   State = "CANCELED"    // ended by CancelInvocation
)

// States lists every state in the order of an invocation's life.
func States() []State { return []State{Pending, InProgress, Succeeded, Failed, TimedOut, Canceled} }

// Outcome is what the deployment does with an ended invocation.
type Outcome string

// The outcomes. An invocation that has not ended has NoOutcome.
const (
	NoOutcome Outcome = ""
	Continue  Outcome = "CONTINUE"
	Rollback  Outcome = "ROLLBACK"
)

// Outcomes lists every outcome of an ended invocation.
func Outcomes() []Outcome { return []Outcome{Continue, Rollback} }

// TimeoutAction is what a passed deadline means (ECS: timeoutConfiguration.action, default ROLLBACK).
type TimeoutAction string

// The timeout actions.
const (
	OnTimeoutRollback TimeoutAction = "ROLLBACK"
	OnTimeoutContinue TimeoutAction = "CONTINUE"
)

// TimeoutActions lists every timeout action.
func TimeoutActions() []TimeoutAction { return []TimeoutAction{OnTimeoutRollback, OnTimeoutContinue} }

// Terminal reports whether an invocation in the state has ended.
func (s State) Terminal() bool {
	for _, t := range Transitions() {
		if t.From == s {
			return false
		}
	}
	return true
}

// outcome is fail-closed: only a handler's SUCCEEDED, or a timeout that was told to, lets a deployment go on.
func (s State) outcome(action TimeoutAction) Outcome {
	switch {
	case !s.Terminal():
		return NoOutcome
	case s == Succeeded, s == TimedOut && action == OnTimeoutContinue:
		return Continue
	default:
		return Rollback
	}
}

// Contract is what a handler is called with and how it gives its result.
type Contract string

// The contracts.
const (
	// ECS: the answer is the result, and IN_PROGRESS means to be called again.
	ECS Contract = "ECS"
	// CodeDeploy: called once; the answer does not count, the result is reported.
	CodeDeploy Contract = "CODEDEPLOY"
)

// Contracts lists every contract.
func Contracts() []Contract { return []Contract{ECS, CodeDeploy} }

// defaultTimeout is that of ECS's timeoutConfiguration, or CodeDeploy's hour for a report.
func (c Contract) defaultTimeout() time.Duration {
	if c == CodeDeploy {
		return DefaultReportTimeout
	}
	return DefaultTimeout
}
