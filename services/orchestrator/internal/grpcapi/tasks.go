package grpcapi

import (
	"context"
	"sort"
	"strings"

	"google.golang.org/grpc"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/page"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
)

type tasks struct {
	orchestratorpb.UnimplementedTaskServiceServer
	s *Server
}

func (t *tasks) ListTasks(ctx context.Context, req *orchestratorpb.ListTasksRequest) (*orchestratorpb.ListTasksResponse, error) {
	var after string
	if err := page.Decode(req.GetPageToken(), &after); err != nil {
		return nil, err
	}
	list := t.s.Engine.AllTasks()
	sort.Slice(list, func(i, j int) bool { return list[i].Name < list[j].Name })
	known := map[string]map[string]taskPlace{}
	size := int(page.Size(req.GetPageSize(), 100, 1000))
	resp := &orchestratorpb.ListTasksResponse{}
	for _, task := range list {
		cluster, service, _ := strings.Cut(task.Service, "/")
		if task.Name <= after || req.GetCluster() != "" && req.GetCluster() != cluster || req.GetService() != "" && req.GetService() != service {
			continue
		}
		if len(resp.GetTasks()) == size {
			resp.NextPageToken = page.Encode(resp.GetTasks()[size-1].GetName())
			break
		}
		if known[task.Service] == nil {
			known[task.Service] = t.places(ctx, cluster, service)
		}
		resp.Tasks = append(resp.Tasks, t.taskPB(task, cluster, service, known[task.Service][task.Name]))
	}
	return resp, nil
}

// taskPlace is what the service's state knows of a task.
type taskPlace struct {
	set  rollout.TaskSet
	task rollout.Task
}

func (t *tasks) places(ctx context.Context, cluster, service string) map[string]taskPlace {
	places := map[string]taskPlace{}
	a, err := t.s.Store.ServiceGet(ctx, cluster, service)
	if err != nil {
		return places // the runtime knows tasks of a service that the store does not: show what it says
	}
	for _, set := range a.State.Service.TaskSets {
		for _, task := range set.Tasks {
			places[task.Name] = taskPlace{set, task}
		}
	}
	return places
}

func (t *tasks) taskPB(task runtime.Task, cluster, service string, place taskPlace) *orchestratorpb.Task {
	pb := &orchestratorpb.Task{
		Name: task.Name, Cluster: cluster, Service: service, TaskSet: task.TaskSet,
		ServiceRevision: place.set.Revision.ID, TaskDefinition: place.set.Revision.TaskDefinition,
		State:        orchestratorpb.Task_State(orchestratorpb.Task_State_value["STATE_"+string(task.State)]),
		HealthStatus: orchestratorpb.Task_HealthStatus(orchestratorpb.Task_HealthStatus_value["HEALTH_STATUS_"+string(task.Health)]),
		TargetHealth: t.s.Engine.TargetState(place.set.TargetGroup, task.Name), Draining: !place.task.DrainTime.IsZero(),
		StartTime: timePB(task.StartTime), StopTime: timePB(task.StopTime), StopCode: string(task.StopCode), StopReason: task.StopReason,
	}
	for _, e := range task.Endpoints {
		pb.Addresses = append(pb.Addresses, e.Address)
	}
	if task.ExitCode != nil {
		code := int32(*task.ExitCode)
		pb.ExitCode = &code
	}
	return pb
}

func (t *tasks) GetLogs(req *orchestratorpb.GetLogsRequest, stream grpc.ServerStreamingServer[orchestratorpb.GetLogsResponse]) error {
	return t.s.Runtime.Logs(stream.Context(), req.GetTask(), runtime.LogOptions{Tail: tail(req.GetTailLines()), Follow: req.GetFollow()}, logWriter{stream})
}

// logWriter sends what is written to it.
type logWriter struct {
	stream grpc.ServerStreamingServer[orchestratorpb.GetLogsResponse]
}

func (w logWriter) Write(p []byte) (int, error) {
	if err := w.stream.Send(&orchestratorpb.GetLogsResponse{Data: append([]byte(nil), p...)}); err != nil {
		return 0, err
	}
	return len(p), nil
}

// tail turns the contract's 0 (all that is kept) into the runtime's.
func tail(lines int32) int {
	if lines == 0 {
		return -1
	}
	return int(lines)
}
