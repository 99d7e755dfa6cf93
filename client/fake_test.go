package client_test

import (
	"cmp"
	"context"
	"io"

	"google.golang.org/grpc"

	"github.com/slipway-deploy/slipway/client"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

var down = &client.Error{Kind: client.Unavailable, Message: "down"}

// fakeDeployments is an orchestrator without a network, for synctest. It has one deployment, d-1, with a number of
// events; each stream sends those after the asked-for sequence, one for each answer, and breaks as the plan says.
type fakeDeployments struct {
	orchestratorpb.DeploymentServiceClient // what a test does not expect panics

	events int64
	early  int64                           // how many events before the last one the deployment has its last state
	end    orchestratorpb.Deployment_State // with the last event; SUCCESSFUL when not set
	plan   []stop                          // one for each stream; the last one is for all that follow
	asked  []int64                         // after_sequence of each stream

	create  func(ctx context.Context, attempt int) error // nil: every attempt succeeds
	created []*orchestratorpb.CreateDeploymentRequest
}

// stop says after which event a stream breaks, and with what. at < 0 refuses the stream, an err of nil is no break.
type stop struct {
	at  int64
	err error
}

func (f *fakeDeployments) CreateDeployment(
	ctx context.Context, in *orchestratorpb.CreateDeploymentRequest, _ ...grpc.CallOption,
) (*orchestratorpb.CreateDeploymentResponse, error) {
	f.created = append(f.created, in)
	if f.create != nil {
		if err := f.create(ctx, len(f.created)); err != nil {
			return nil, err
		}
	}
	return &orchestratorpb.CreateDeploymentResponse{Deployment: f.deployment(0)}, nil
}

// deployment is d-1 after an event.
func (f *fakeDeployments) deployment(event int64) *orchestratorpb.Deployment {
	d := &orchestratorpb.Deployment{
		Id: "d-1", Cluster: "default", Service: "web", State: orchestratorpb.Deployment_STATE_IN_PROGRESS, EventSequence: f.events,
	}
	if event >= f.events-f.early {
		d.State = cmp.Or(f.end, orchestratorpb.Deployment_STATE_SUCCESSFUL)
	}
	return d
}

func (f *fakeDeployments) WatchDeployment(
	ctx context.Context, in *orchestratorpb.WatchDeploymentRequest, _ ...grpc.CallOption,
) (grpc.ServerStreamingClient[orchestratorpb.WatchDeploymentResponse], error) {
	f.asked = append(f.asked, in.GetAfterSequence())
	plan := stop{}
	if len(f.plan) > 0 {
		plan = f.plan[min(len(f.asked), len(f.plan))-1]
	}
	if plan.at < 0 {
		return nil, plan.err
	}
	return &fakeStream{fake: f, ctx: ctx, next: in.GetAfterSequence() + 1, stop: plan}, nil
}

type fakeStream struct {
	grpc.ClientStream
	fake *fakeDeployments
	ctx  context.Context
	next int64
	stop stop
}

func (s *fakeStream) Recv() (*orchestratorpb.WatchDeploymentResponse, error) {
	if s.stop.err != nil && s.next > s.stop.at {
		return nil, s.stop.err
	}
	if s.next > s.fake.events {
		if s.fake.events > 0 {
			return nil, io.EOF
		}
		<-s.ctx.Done()
		return nil, &client.Error{Kind: client.Canceled}
	}
	// The event before is sent again: it must not be passed on twice.
	r := &orchestratorpb.WatchDeploymentResponse{
		Deployment: s.fake.deployment(s.next), Events: []*orchestratorpb.Event{{Sequence: s.next - 1}, {Sequence: s.next}},
	}
	s.next++
	return r, nil
}

// contextKeeper keeps the context of the last stream.
type contextKeeper struct {
	fakeDeployments
	ctx context.Context
}

func (k *contextKeeper) WatchDeployment(
	ctx context.Context, in *orchestratorpb.WatchDeploymentRequest, opts ...grpc.CallOption,
) (grpc.ServerStreamingClient[orchestratorpb.WatchDeploymentResponse], error) {
	k.ctx = ctx
	return k.fakeDeployments.WatchDeployment(ctx, in, opts...)
}
