package client

import (
	"context"
	"fmt"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

// WaitOption says what Deploy and Wait do while they wait.
type WaitOption func(*waiting)

type waiting struct{ onProgress []func(Progress) }

// OnProgress calls f with all news of the deployment and of the connection, from the goroutine that waits. A slow f
// misses no event, but sees fewer states in between.
func OnProgress(f func(Progress)) WaitOption {
	return func(w *waiting) { w.onProgress = append(w.onProgress, f) }
}

// OnEvent calls f with each event of the deployment once, in order, from the goroutine that waits.
func OnEvent(f func(*orchestratorpb.Event)) WaitOption {
	return OnProgress(func(p Progress) {
		for _, e := range p.Events {
			f(e)
		}
	})
}

func waitingWith(opts []WaitOption) *waiting {
	w := &waiting{}
	for _, opt := range opts {
		opt(w)
	}
	return w
}

func (w *waiting) tell(p Progress) {
	for _, f := range w.onProgress {
		f(p)
	}
}

// Wait follows a deployment to its end and returns it as it then stands. The error is nil only when the asked-for
// revision is live; a deployment that ended otherwise is a *DeploymentFailedError.
//
// When the context ends, or the orchestrator cannot be reached for Config.Patience, Wait returns the deployment as it
// was last heard of (nil if never) with an error that wraps the context's error or an *Error. The deployment goes on:
// Wait for it again, or stop it with Deployments.StopDeployment.
func (c *Client) Wait(ctx context.Context, deployment string, opts ...WaitOption) (*orchestratorpb.Deployment, error) {
	return c.wait(ctx, deployment, nil, waitingWith(opts))
}

func (c *Client) wait(ctx context.Context, id string, last *orchestratorpb.Deployment, w *waiting) (*orchestratorpb.Deployment, error) {
	for p, err := range c.watch(ctx, id, last) {
		last = p.Deployment
		switch {
		case err != nil && last == nil:
			return nil, fmt.Errorf("follow deployment %s: %w", id, err)
		case err != nil:
			return last, fmt.Errorf("deployment %s of %s/%s is not followed any more and may go on: %w", id, last.GetCluster(), last.GetService(), err)
		}
		w.tell(p)
	}
	if last.GetState() != orchestratorpb.Deployment_STATE_SUCCESSFUL {
		return last, &DeploymentFailedError{Deployment: last}
	}
	return last, nil
}
