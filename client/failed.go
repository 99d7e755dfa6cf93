package client

import (
	"fmt"
	"strings"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

// DeploymentFailedError is a deployment that has ended without the asked-for revision being live: it failed, was rolled
// back, stopped or superseded. Get at it with errors.As:
//
//	if failed, ok := errors.AsType[*client.DeploymentFailedError](err); ok {
type DeploymentFailedError struct {
	// Deployment is how it ended, with the history of its stages.
	Deployment *orchestratorpb.Deployment
}

// State is the deployment's last state: STOPPED, ROLLBACK_SUCCESSFUL or ROLLBACK_FAILED.
func (e *DeploymentFailedError) State() orchestratorpb.Deployment_State {
	return e.Deployment.GetState()
}

// Reason says why, for people.
func (e *DeploymentFailedError) Reason() string { return e.Deployment.GetReason() }

// RolledBackTo is the id of the service revision that serves again, "cluster/service/number"; empty when the deployment
// was not rolled back, or could not be: Reason then states what still serves.
func (e *DeploymentFailedError) RolledBackTo() string {
	if e.State() != orchestratorpb.Deployment_STATE_ROLLBACK_SUCCESSFUL {
		return ""
	}
	return e.Deployment.GetRollback().GetServiceRevision()
}

// SupersededBy is the id of the deployment that took its place; empty when none did.
func (e *DeploymentFailedError) SupersededBy() string { return e.Deployment.GetSupersededBy() }

// Error is the end in one sentence.
func (e *DeploymentFailedError) Error() string {
	d := e.Deployment
	text := fmt.Sprintf("deployment %s of %s/%s ended %s", d.GetId(), d.GetCluster(), d.GetService(),
		strings.TrimPrefix(d.GetState().String(), "STATE_"))
	if e.Reason() != "" {
		text += ": " + strings.TrimSuffix(e.Reason(), ".")
	}
	if to := e.RolledBackTo(); to != "" {
		text += "; " + to + " serves again"
	}
	if by := e.SupersededBy(); by != "" {
		text += "; superseded by " + by
	}
	return text
}
