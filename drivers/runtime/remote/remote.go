// Package remote is the runtime port over gRPC, slipway.runtime.v1: Driver for whoever gives orders, Server for whoever runs the
// tasks. The one that runs them keeps the generations, so any number of orchestrators can give it orders. The client is to come
// from platform/grpcclient, which sets deadlines, retries (every call is idempotent) and makes problems of statuses.
package remote

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	runtimepb "github.com/slipway-deploy/slipway/gen/go/slipway/runtime/v1"
)

// Driver is the runtime port over gRPC.
type Driver struct {
	client runtimepb.RuntimeServiceClient
}

var _ runtime.Runtime = (*Driver)(nil)

// New returns a driver of the runtime that the client calls.
func New(client runtimepb.RuntimeServiceClient) *Driver { return &Driver{client: client} }

// EnsureTaskSet is Runtime.EnsureTaskSet.
func (d *Driver) EnsureTaskSet(ctx context.Context, generation int64, set runtime.TaskSet) error {
	if err := set.Validate(); err != nil {
		return err
	}
	if _, err := d.client.EnsureTaskSet(ctx, &runtimepb.EnsureTaskSetRequest{Generation: generation, TaskSet: taskSetPB(set)}); err != nil {
		return fmt.Errorf("ensure task set: %w", errors.Join(ctx.Err(), err))
	}
	return nil
}

// DeleteTaskSet is Runtime.DeleteTaskSet.
func (d *Driver) DeleteTaskSet(ctx context.Context, generation int64, service, id string) error {
	if _, err := d.client.DeleteTaskSet(ctx, &runtimepb.DeleteTaskSetRequest{Generation: generation, Service: service, Id: id}); err != nil {
		return fmt.Errorf("delete task set: %w", errors.Join(ctx.Err(), err))
	}
	return nil
}

// Watch is Runtime.Watch.
func (d *Driver) Watch(ctx context.Context, f func(runtime.Update)) error {
	stream, err := d.client.WatchTasks(ctx, &runtimepb.WatchTasksRequest{})
	for err == nil {
		var m *runtimepb.WatchTasksResponse
		if m, err = stream.Recv(); err != nil {
			break
		}
		update := runtime.Update{Snapshot: m.GetSnapshot(), Removed: m.GetRemovedTasks()}
		for _, task := range m.GetTasks() {
			update.Tasks = append(update.Tasks, taskOf(task))
		}
		f(update)
	}
	if ctx.Err() != nil {
		return nil //nolint:nilerr // the watch was ended, it did not break
	}
	return fmt.Errorf("watch tasks: %w", err)
}

// Logs is Runtime.Logs.
func (d *Driver) Logs(ctx context.Context, task string, opts runtime.LogOptions, w io.Writer) error {
	stream, err := d.client.GetLogs(ctx, &runtimepb.GetLogsRequest{
		Task: task, Container: opts.Container, Tail: int32(min(opts.Tail, 1<<30)), Follow: opts.Follow,
	})
	for err == nil {
		var m *runtimepb.GetLogsResponse
		if m, err = stream.Recv(); err != nil {
			break
		}
		if _, err := w.Write(m.GetData()); err != nil {
			return err
		}
	}
	if errors.Is(err, io.EOF) || ctx.Err() != nil {
		return nil //nolint:nilerr // all was copied, or it was ended
	}
	return fmt.Errorf("get logs: %w", err)
}

// Server serves a runtime.
type Server struct {
	runtimepb.UnimplementedRuntimeServiceServer
	runtime runtime.Runtime
}

// NewServer returns a server of a runtime.
func NewServer(r runtime.Runtime) *Server { return &Server{runtime: r} }

// EnsureTaskSet passes an order on.
func (s *Server) EnsureTaskSet(ctx context.Context, req *runtimepb.EnsureTaskSetRequest) (*runtimepb.EnsureTaskSetResponse, error) {
	return &runtimepb.EnsureTaskSetResponse{}, s.runtime.EnsureTaskSet(ctx, req.GetGeneration(), taskSetOf(req.GetTaskSet()))
}

// DeleteTaskSet passes an order on.
func (s *Server) DeleteTaskSet(ctx context.Context, req *runtimepb.DeleteTaskSetRequest) (*runtimepb.DeleteTaskSetResponse, error) {
	return &runtimepb.DeleteTaskSetResponse{}, s.runtime.DeleteTaskSet(ctx, req.GetGeneration(), req.GetService(), req.GetId())
}

// WatchTasks streams the tasks. A watcher that is too slow holds up itself.
func (s *Server) WatchTasks(_ *runtimepb.WatchTasksRequest, stream grpc.ServerStreamingServer[runtimepb.WatchTasksResponse]) error {
	ctx, cancel := context.WithCancelCause(stream.Context())
	defer cancel(nil)
	err := s.runtime.Watch(ctx, func(u runtime.Update) {
		m := &runtimepb.WatchTasksResponse{Snapshot: u.Snapshot, RemovedTasks: u.Removed}
		for _, task := range u.Tasks {
			m.Tasks = append(m.Tasks, taskPB(task))
		}
		if err := stream.Send(m); err != nil {
			cancel(err)
		}
	})
	if err == nil {
		err = context.Cause(ctx)
	}
	return err
}

// GetLogs streams a task's output.
func (s *Server) GetLogs(req *runtimepb.GetLogsRequest, stream grpc.ServerStreamingServer[runtimepb.GetLogsResponse]) error {
	opts := runtime.LogOptions{Container: req.GetContainer(), Tail: int(req.GetTail()), Follow: req.GetFollow()}
	return s.runtime.Logs(stream.Context(), req.GetTask(), opts, writer{stream})
}

// writer sends what is written to it.
type writer struct {
	stream grpc.ServerStreamingServer[runtimepb.GetLogsResponse]
}

func (w writer) Write(p []byte) (int, error) {
	if err := w.stream.Send(&runtimepb.GetLogsResponse{Data: append([]byte(nil), p...)}); err != nil {
		return 0, err
	}
	return len(p), nil
}
