package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/slipway-deploy/slipway/cmd/slipway/internal/fault"
	"github.com/slipway-deploy/slipway/cmd/slipway/internal/follow"
	"github.com/slipway-deploy/slipway/cmd/slipway/internal/words"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

// patience is how long a lost connection is tried again without --timeout.
const patience = 5 * time.Minute

// following says what to make of a deployment that is followed.
type following struct {
	// succeeded says of one that has ended whether it is what was asked for.
	succeeded func(*orchestratorpb.Deployment) bool
	// each writes each answer with -o json or yaml, not only the last deployment.
	each bool
}

// viewer shows a deployment as it goes on.
type viewer interface {
	// update takes an answer in.
	update(*orchestratorpb.WatchDeploymentResponse) error
	// lost takes in that the connection was lost.
	lost(error)
	// tick is called a few times a second.
	tick() error
	// close ends the view.
	close() error
}

// follow shows a deployment until it has ended, and turns its end into an exit code.
func (c *cli) follow(ctx context.Context, a *api, d *orchestratorpb.Deployment, f following) error {
	v := c.viewer(d, f)
	last, err := c.watch(ctx, a, d, v)
	if closed := v.close(); err == nil {
		err = closed
	}
	if err != nil {
		return c.left(ctx, last, err)
	}
	if c.output != "table" && !f.each {
		if err := c.document(&orchestratorpb.GetDeploymentResponse{Deployment: last}); err != nil {
			return err
		}
	}
	if c.output == "table" {
		fmt.Fprintln(c.out, words.Outcome(last, c.now()))
	}
	if !f.succeeded(last) {
		return &fault.Exit{Code: fault.Failed}
	}
	return nil
}

// watch passes what happens on to the viewer, and returns the deployment as it was last seen.
func (c *cli) watch(ctx context.Context, a *api, d *orchestratorpb.Deployment, v viewer) (*orchestratorpb.Deployment, error) {
	ctx, cancel := context.WithCancel(ctx)
	updates, ended := make(chan follow.Update), make(chan error, 1)
	go func() {
		ended <- follow.Deployment(ctx, a.deployments, d.GetId(), c.patience(), func(u follow.Update) error {
			select {
			case updates <- u:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	stopped := false
	defer func() {
		cancel()
		if !stopped {
			<-ended //nolint:errcheck // what it says is not of interest any more
		}
	}()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		var err error
		select {
		case u := <-updates:
			if u.Response == nil {
				v.lost(u.Lost)
				continue
			}
			d = u.Response.GetDeployment()
			err = v.update(u.Response)
		case <-ticker.C:
			err = v.tick()
		case err = <-ended:
			stopped = true
			return d, err
		}
		if err != nil {
			return d, err
		}
	}
}

func (c *cli) patience() time.Duration {
	if c.timeout > 0 {
		return c.timeout
	}
	return patience
}

// left says why a deployment is not followed any more although it goes on, and how to come back.
func (c *cli) left(ctx context.Context, d *orchestratorpb.Deployment, err error) error {
	id := words.Clean(d.GetId())
	back := fmt.Sprintf("deployment %s goes on (%s). Come back with: slipway watch %s. Stop it with: slipway stop %s", id, words.Enum(d.GetState()), id, id)
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &fault.Exit{Code: fault.TimedOut, Text: fmt.Sprintf("not done within %s; %s", c.timeout, back)}
	case ctx.Err() != nil:
		return &fault.Exit{Code: fault.Interrupted, Text: "left; " + back}
	case fault.Code(err) == fault.Unreachable:
		lines := c.explainer().Lines(err)
		return &fault.Exit{Code: fault.Unreachable, Text: lines[0] +
			fmt.Sprintf("\ngave up after %s; deployment %s may go on. Come back with: slipway watch %s", c.patience(), id, id)}
	}
	return err
}
