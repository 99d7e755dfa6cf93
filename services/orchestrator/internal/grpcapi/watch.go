package grpcapi

import (
	"context"
	"sort"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/page"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/store"
)

// lookAgain is after how long a deployment is read again even when nothing was said of it: another replica may have saved.
const lookAgain = time.Second

const eventPage = 500

// resumeHeader is the response header that holds the resume_token of a stream's beginning.
const resumeHeader = "slipway-resume-token"

func (d *deployments) WatchDeployment(
	req *orchestratorpb.WatchDeploymentRequest,
	stream grpc.ServerStreamingServer[orchestratorpb.WatchDeploymentResponse],
) error {
	ctx := stream.Context()
	v := d.s.views.open(req.GetDeployment(), d.s.Engine.Listen("deployment:"+req.GetDeployment()))
	defer v.close()
	after, sent := req.GetAfterSequence(), ""
	for {
		pb, events, err := v.get(ctx, d)
		if err != nil {
			return err
		}
		news := events[sort.Search(len(events), func(i int) bool { return events[i].GetSequence() > after }):]
		stamp := pb.GetUpdateTime().AsTime().String() + pb.GetState().String()
		for len(news) > 0 || stamp != sent {
			n := min(len(news), eventPage)
			if err := stream.Send(&orchestratorpb.WatchDeploymentResponse{Deployment: pb, Events: news[:n]}); err != nil {
				return err
			}
			sent, news = stamp, news[n:]
		}
		after = max(after, pb.GetEventSequence())
		if pb.GetFinishTime() != nil {
			return nil
		}
		if err := v.wait(ctx); err != nil {
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
	var after *store.Position
	if token := req.GetResumeToken(); token != "" {
		after = &store.Position{}
		if page.Decode(token, after) != nil {
			return problem.Invalid("resume_token", "must be a resume_token of an earlier answer")
		}
	}
	filter := store.EventFilter{Cluster: req.GetCluster(), Service: req.GetService(), Deployment: req.GetDeployment()}
	reader, err := e.s.Feed.Subscribe(ctx, filter, after)
	if err != nil {
		return err
	}
	defer reader.Close()
	// A stream that breaks before its first event can be resumed too: the header says where it begins, at once.
	if err := stream.SendHeader(metadata.Pairs(resumeHeader, page.Encode(reader.Position()))); err != nil {
		return err
	}
	for {
		list, err := reader.Next(ctx)
		if err != nil {
			return err
		}
		for _, row := range list {
			if err := stream.Send(&orchestratorpb.WatchEventsResponse{Event: eventPB(row), ResumeToken: page.Encode(row.Position)}); err != nil {
				return err
			}
		}
	}
}
