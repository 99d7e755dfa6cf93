package rollout

import (
	"fmt"
	"slices"
	"time"
)

// DeploymentState is ECS's ServiceDeploymentStatus.
type DeploymentState string

// The states of a deployment. There is no FAILED: a failure without rollback ends in STOPPED, and RolloutState
// tells how the new revision fared.
const (
	Pending            DeploymentState = "PENDING"
	InProgress         DeploymentState = "IN_PROGRESS"
	Successful         DeploymentState = "SUCCESSFUL"
	StopRequested      DeploymentState = "STOP_REQUESTED"
	Stopped            DeploymentState = "STOPPED"
	RollbackRequested  DeploymentState = "ROLLBACK_REQUESTED"
	RollbackInProgress DeploymentState = "ROLLBACK_IN_PROGRESS"
	RollbackSuccessful DeploymentState = "ROLLBACK_SUCCESSFUL"
	RollbackFailed     DeploymentState = "ROLLBACK_FAILED"
)

// RolloutState is ECS's DeploymentRolloutState.
type RolloutState string

// How the new revision fared.
const (
	RolloutInProgress RolloutState = "IN_PROGRESS"
	RolloutCompleted  RolloutState = "COMPLETED"
	RolloutFailed     RolloutState = "FAILED"
)

// DeploymentStates lists every state in the order of a deployment's life.
func DeploymentStates() []DeploymentState {
	return []DeploymentState{
		Pending, InProgress, Successful, StopRequested, Stopped,
		RollbackRequested, RollbackInProgress, RollbackSuccessful, RollbackFailed,
	}
}

// Transitions is the table of allowed changes of state, from the table in ECS's "service deployments" page.
func Transitions() map[DeploymentState][]DeploymentState {
	return map[DeploymentState][]DeploymentState{
		Pending:            {InProgress, RollbackRequested, StopRequested, Stopped},
		InProgress:         {Successful, StopRequested, Stopped, RollbackRequested, RollbackInProgress},
		StopRequested:      {Stopped},
		RollbackRequested:  {RollbackInProgress, Successful, Stopped},
		RollbackInProgress: {RollbackSuccessful, RollbackFailed, Stopped},
		Successful:         {},
		Stopped:            {},
		RollbackSuccessful: {},
		RollbackFailed:     {},
	}
}

// Terminal reports whether a deployment in the state has ended.
func (s DeploymentState) Terminal() bool { return len(Transitions()[s]) == 0 }

// enter is the only writer of Deployment.State. A transition that the table does not have is a defect.
func (d *Deployment) enter(to DeploymentState, reason string, now time.Time) {
	if !slices.Contains(Transitions()[d.State], to) {
		panic(fmt.Sprintf("rollout: no transition from %s to %s", d.State, to))
	}
	d.State, d.Reason = to, reason
	if to.Terminal() {
		d.FinishTime = now
	}
}
