// Package follow watches a deployment until it has ended, over any number of broken connections. It reopens a broken
// stream after the last event it has passed on, so that events come once each and none is missing.
package follow

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"

	"github.com/slipway-deploy/slipway/cmd/slipway/internal/words"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
)

// Watcher is the part of the deployment service that is needed.
type Watcher interface {
	WatchDeployment(
		ctx context.Context, in *orchestratorpb.WatchDeploymentRequest, opts ...grpc.CallOption,
	) (grpc.ServerStreamingClient[orchestratorpb.WatchDeploymentResponse], error)
}

// Update is news of a deployment, or of the connection.
type Update struct {
	// Response is the deployment and the events not passed on before; nil when the connection was lost.
	Response *orchestratorpb.WatchDeploymentResponse
	// Lost is why the connection was lost. It is made again.
	Lost error
}

// errEnded says that the server ended the stream of a deployment that goes on.
var errEnded = problem.New(problem.Unavailable, "", "the orchestrator ended the stream")

// Deployment passes on what happens to a deployment until it has ended. patience is how long it tries to get back a
// lost connection before it returns the error; other errors, such as that there is no such deployment, and those of
// emit are returned at once.
func Deployment(ctx context.Context, w Watcher, id string, patience time.Duration, emit func(Update) error) error {
	f := follower{watcher: w, id: id, emit: emit}
	var backoff Backoff
	var lost time.Time
	for {
		before := f.received
		err := f.stream(ctx)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case !Passing(err):
			return err
		}
		if f.received > before {
			backoff, lost = Backoff{}, time.Time{}
		}
		if lost.IsZero() {
			lost = time.Now()
		}
		if time.Since(lost) > patience {
			return err
		}
		if err := emit(Update{Lost: err}); err != nil {
			return err
		}
		if err := backoff.Wait(ctx); err != nil {
			return err
		}
	}
}

// follower is one deployment that is followed.
type follower struct {
	watcher  Watcher
	id       string
	emit     func(Update) error
	after    int64 // the sequence of the last event passed on
	received int   // answers on all streams
	ended    bool  // the last answer showed a deployment that has ended
}

// emitError is an error of emit, which ends everything.
type emitError struct{ error }

func (e emitError) Unwrap() error { return e.error }

// stream passes on what one stream brings. nil means that the deployment has ended.
func (f *follower) stream(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := f.watcher.WatchDeployment(ctx, &orchestratorpb.WatchDeploymentRequest{Deployment: f.id, AfterSequence: f.after})
	if err != nil {
		return err
	}
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			if f.ended {
				return nil
			}
			return errEnded
		}
		if err != nil {
			return err
		}
		f.received++
		f.keepNew(r)
		if err := f.emit(Update{Response: r}); err != nil {
			return emitError{err}
		}
		f.ended = words.Ended(r.GetDeployment().GetState())
		if f.ended && f.after >= r.GetDeployment().GetEventSequence() {
			return nil
		}
	}
}

// keepNew leaves out events that were passed on already.
func (f *follower) keepNew(r *orchestratorpb.WatchDeploymentResponse) {
	var fresh []*orchestratorpb.Event
	for _, e := range r.GetEvents() {
		if e.GetSequence() > f.after {
			f.after = e.GetSequence()
			fresh = append(fresh, e)
		}
	}
	r.Events = fresh
}

// Passing reports whether trying again may help after an error of a stream.
func Passing(err error) bool {
	if _, ok := errors.AsType[emitError](err); ok {
		return false
	}
	switch problem.KindOf(err) {
	case problem.Unavailable, problem.Internal, problem.Aborted, problem.ResourceExhausted, problem.DeadlineExceeded:
		return true
	}
	return false
}
