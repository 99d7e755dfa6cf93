package client

import (
	"context"
	"errors"
	"fmt"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

// DeployRequest is a deployment to begin; the fields are those of the contract's CreateDeploymentRequest.
type DeployRequest struct {
	// RequestID makes the request safe to send again, also by another process: the same id is the same deployment. At
	// most 128 characters. By default each Deploy makes one of its own.
	RequestID string
	// Cluster is the service's. Default "default".
	Cluster string
	// Service is its name.
	Service string
	// TaskDefinition is "family:revision", or "family" for its latest; empty for what the service has.
	TaskDefinition string
	// DeploymentConfiguration is how it goes; nil for what the service has.
	DeploymentConfiguration *orchestratorpb.DeploymentConfiguration
	// Supersede stops the deployment at work and puts this one in its place. Without it the request is refused while
	// another is at work, as FailedPrecondition with the reason DEPLOYMENT_IN_PROGRESS.
	Supersede bool
}

// Deploy begins a deployment, follows it to its end and returns it as it then stands. The error is nil only when the
// asked-for revision is live; a deployment that ended otherwise is a *DeploymentFailedError, a request that was refused
// an *Error.
//
// The request carries a request_id, and is sent again with the same one while the orchestrator cannot be reached, for
// Config.Patience at most: one deployment begins, however many answers are lost. Connections that break while it is
// followed are made again, as with Watch.
//
// When the context ends, Deploy returns its error and leaves the deployment going, as with Wait; the returned deployment
// names it. It is nil when the context ended before an answer came: whether the deployment began is not known then, and
// Deploy with the same RequestID finds out.
func (c *Client) Deploy(ctx context.Context, req DeployRequest, opts ...WaitOption) (*orchestratorpb.Deployment, error) {
	w := waitingWith(opts)
	d, err := c.begin(ctx, req, w)
	if err != nil {
		return nil, err
	}
	return c.wait(ctx, d.GetId(), d, w)
}

func (c *Client) begin(ctx context.Context, req DeployRequest, w *waiting) (*orchestratorpb.Deployment, error) {
	if req.RequestID == "" {
		req.RequestID = requestID()
	}
	message := &orchestratorpb.CreateDeploymentRequest{
		RequestId: req.RequestID, Cluster: req.Cluster, Service: req.Service, TaskDefinition: req.TaskDefinition,
		DeploymentConfiguration: req.DeploymentConfiguration, Supersede: req.Supersede,
	}
	var d *orchestratorpb.Deployment
	err := c.insist(ctx, func(err error) { w.tell(Progress{Lost: err}) }, func(ctx context.Context) error {
		r, err := c.Deployments.CreateDeployment(ctx, message)
		d = r.GetDeployment()
		return err
	})
	switch {
	case errors.Is(err, errUnknown):
		return nil, fmt.Errorf("begin a deployment of %s with request id %s: %w", req.Service, req.RequestID, err)
	case err != nil:
		return nil, fmt.Errorf("begin a deployment of %s: %w", req.Service, err)
	}
	return d, nil
}

// RegisterTaskDefinition registers the next revision of a family and returns its name, "family:revision", for
// DeployRequest.TaskDefinition. It is sent again while the orchestrator cannot be reached, as in Deploy, and registers
// one revision.
func (c *Client) RegisterTaskDefinition(ctx context.Context, definition *orchestratorpb.TaskDefinition) (string, error) {
	message := &orchestratorpb.RegisterTaskDefinitionRequest{RequestId: requestID(), TaskDefinition: definition}
	var made *orchestratorpb.TaskDefinition
	err := c.insist(ctx, func(error) {}, func(ctx context.Context) error {
		r, err := c.TaskDefinitions.RegisterTaskDefinition(ctx, message)
		made = r.GetTaskDefinition()
		return err
	})
	if err != nil {
		return "", fmt.Errorf("register task definition %s: %w", definition.GetFamily(), err)
	}
	return fmt.Sprintf("%s:%d", made.GetFamily(), made.GetRevision()), nil
}
