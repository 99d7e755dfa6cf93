package client

import (
	"context"
	"errors"
	"io"
	"iter"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

// Progress is news of a deployment that is followed, or of the connection.
type Progress struct {
	// Deployment is how it stands, as last heard; nil before the first answer.
	Deployment *orchestratorpb.Deployment
	// Events is what happened since the Progress before, in order: over all of them each event comes once, and none is
	// missing, however often the connection breaks.
	Events []*orchestratorpb.Event
	// Lost is why the connection was lost, nil when it was not. It is made again.
	Lost error
}

// Ended reports whether a deployment has ended, well or not.
func Ended(d *orchestratorpb.Deployment) bool {
	switch d.GetState() {
	case orchestratorpb.Deployment_STATE_SUCCESSFUL, orchestratorpb.Deployment_STATE_STOPPED,
		orchestratorpb.Deployment_STATE_ROLLBACK_SUCCESSFUL, orchestratorpb.Deployment_STATE_ROLLBACK_FAILED:
		return true
	}
	return false
}

// Watch follows a deployment, from its first event to its end:
//
//	for p, err := range c.Watch(ctx, id) {
//		if err != nil {
//			return err
//		}
//		...
//	}
//
// The sequence ends after the deployment has ended and all its events have come. An error comes last: the context's, an
// *Error such as NotFound, or, when the orchestrator could not be reached for Config.Patience, Unavailable. How a
// deployment ended is no error here; see Wait. Leaving the loop, or canceling the context, leaves the deployment going.
//
// A slow reader misses no event, but sees fewer states in between.
func (c *Client) Watch(ctx context.Context, deployment string) iter.Seq2[Progress, error] {
	return c.watch(ctx, deployment, nil)
}

// watch is Watch of a deployment of which something is known already, or nil.
func (c *Client) watch(ctx context.Context, deployment string, last *orchestratorpb.Deployment) iter.Seq2[Progress, error] {
	return func(yield func(Progress, error) bool) {
		f := follower{client: c, id: deployment, yield: yield, last: last}
		if err := f.follow(ctx); err != nil && !errors.Is(err, errLeft) {
			yield(Progress{Deployment: f.last}, err)
		}
	}
}

var (
	// errLeft says that the reader left the loop.
	errLeft = errors.New("left")
	// errCut says that the server ended the stream of a deployment that goes on.
	errCut = &Error{Kind: Unavailable, Message: "the orchestrator ended the stream"}
)

// follower is one deployment that is followed over any number of streams.
type follower struct {
	client *Client
	id     string
	yield  func(Progress, error) bool
	last   *orchestratorpb.Deployment
	after  int64 // the sequence of the last event passed on
}

// follow returns nil when the deployment has ended and all is passed on.
func (f *follower) follow(ctx context.Context) error {
	p := f.client.patient()
	for {
		err := f.stream(ctx, p)
		switch {
		case err == nil || errors.Is(err, errLeft):
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case !f.resumable(err) || p.over():
			return err
		}
		if !f.yield(Progress{Deployment: f.last, Lost: err}, nil) {
			return errLeft
		}
		if err := p.pause(ctx); err != nil {
			return err
		}
	}
}

// resumable reports whether another stream may go on after an error: reading again does no harm.
func (f *follower) resumable(err error) bool {
	return again(err) || errors.Is(err, Internal) || errors.Is(err, Aborted) || errors.Is(err, ResourceExhausted)
}

// stream passes on what one stream brings.
func (f *follower) stream(ctx context.Context, p *patient) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := f.client.Deployments.WatchDeployment(ctx,
		&orchestratorpb.WatchDeploymentRequest{Deployment: f.id, AfterSequence: f.after})
	if err != nil {
		return err
	}
	for {
		r, err := s.Recv()
		switch {
		case errors.Is(err, io.EOF) && Ended(f.last):
			return nil
		case errors.Is(err, io.EOF):
			return errCut
		case err != nil:
			return err
		}
		p.answered()
		f.last = r.GetDeployment()
		if !f.yield(Progress{Deployment: f.last, Events: f.fresh(r.GetEvents())}, nil) {
			return errLeft
		}
		if Ended(f.last) && f.after >= f.last.GetEventSequence() {
			return nil
		}
	}
}

// fresh leaves out events that were passed on already.
func (f *follower) fresh(events []*orchestratorpb.Event) []*orchestratorpb.Event {
	var fresh []*orchestratorpb.Event
	for _, e := range events {
		if e.GetSequence() > f.after {
			f.after = e.GetSequence()
			fresh = append(fresh, e)
		}
	}
	return fresh
}
