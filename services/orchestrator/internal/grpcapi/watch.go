package grpcapi

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/page"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/engine"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/store"
)

// Watchers look again after this long even when nothing woke them: another replica may have saved.
const lookAgain = time.Second

const eventPage = 500

// resumeHeader is the response header that holds the resume_token of a stream's beginning.
const resumeHeader = "slipway-resume-token"

// waiter wakes when one of the engine's keys changes.
type waiter struct {
	next func(ctx context.Context) error
	done func()
}

func (s *Server) waiter(key string) waiter {
	sub := s.Engine.Changes().Subscribe(func(k string, _ int64) bool { return k == key })
	return waiter{
		next: func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, lookAgain)
			defer cancel()
			_, err := sub.Next(ctx)
			return err
		},
		done: sub.Close,
	}
}

// wait returns when it is time to look again, or the error that ends the stream.
func (w waiter) wait(ctx context.Context) error {
	_ = w.next(ctx) // a change, or the time to look again
	return ctx.Err()
}

func (d *deployments) WatchDeployment(
	req *orchestratorpb.WatchDeploymentRequest,
	stream grpc.ServerStreamingServer[orchestratorpb.WatchDeploymentResponse],
) error {
	ctx := stream.Context()
	w := d.s.waiter("deployment:" + req.GetDeployment())
	defer w.done()
	after, sent := req.GetAfterSequence(), ""
	for {
		pb, err := d.get(ctx, req.GetDeployment())
		if err != nil {
			return err
		}
		events, err := d.s.Store.EventsOfDeployment(ctx, req.GetDeployment(), after, eventPage)
		if err != nil {
			return err
		}
		full := len(events) == eventPage
		for len(events) > 0 && events[len(events)-1].Event.Sequence > pb.GetEventSequence() {
			events = events[:len(events)-1] // saved since the deployment was read: they come with what they made of it
		}
		if stamp := pb.GetUpdateTime().AsTime().String() + pb.GetState().String(); len(events) > 0 || stamp != sent {
			resp := &orchestratorpb.WatchDeploymentResponse{Deployment: pb}
			for _, row := range events {
				resp.Events = append(resp.Events, eventPB(row))
				after = row.Event.Sequence
			}
			if err := stream.Send(resp); err != nil {
				return err
			}
			sent = stamp
		}
		switch {
		case full || after < pb.GetEventSequence():
			continue
		case pb.GetFinishTime() != nil:
			return nil
		}
		if err := w.wait(ctx); err != nil {
			return err
		}
	}
}

type events struct {
	orchestratorpb.UnimplementedEventServiceServer
	s *Server
}

func (e *events) ListEvents(ctx context.Context, req *orchestratorpb.ListEventsRequest) (*orchestratorpb.ListEventsResponse, error) {
	var after store.Position
	if err := page.Decode(req.GetPageToken(), &after); err != nil {
		return nil, err
	}
	size := int(page.Size(req.GetPageSize(), 100, 1000))
	filter := store.EventFilter{Cluster: req.GetCluster(), Service: req.GetService(), Deployment: req.GetDeployment(), Names: req.GetNames()}
	list, err := e.s.Store.EventList(ctx, filter, after, size+1)
	if err != nil {
		return nil, err
	}
	resp := &orchestratorpb.ListEventsResponse{}
	if len(list) > size {
		list = list[:size]
		resp.NextPageToken = page.Encode(list[size-1].Position)
	}
	for _, row := range list {
		resp.Events = append(resp.Events, eventPB(row))
	}
	return resp, nil
}

func (e *events) WatchEvents(req *orchestratorpb.WatchEventsRequest, stream grpc.ServerStreamingServer[orchestratorpb.WatchEventsResponse]) error {
	ctx := stream.Context()
	var after store.Position
	if page.Decode(req.GetResumeToken(), &after) != nil {
		return problem.Invalid("resume_token", "must be a resume_token of an earlier answer")
	}
	w := e.s.waiter(engine.EventsKey)
	defer w.done()
	if req.GetResumeToken() == "" {
		var err error
		if after, err = e.s.Store.EventEnd(ctx); err != nil {
			return err
		}
	}
	filter := store.EventFilter{Cluster: req.GetCluster(), Service: req.GetService(), Deployment: req.GetDeployment()}
	// A stream that breaks before its first event can be resumed too: the header says where it begins, at once.
	if err := stream.SendHeader(metadata.Pairs(resumeHeader, page.Encode(after))); err != nil {
		return err
	}
	for {
		list, err := e.s.Store.EventList(ctx, filter, after, eventPage)
		if err != nil {
			return err
		}
		for _, row := range list {
			after = row.Position
			if err := stream.Send(&orchestratorpb.WatchEventsResponse{Event: eventPB(row), ResumeToken: page.Encode(after)}); err != nil {
				return err
			}
		}
		if len(list) == eventPage {
			continue
		}
		if err := w.wait(ctx); err != nil {
			return err
		}
	}
}
