package remote

import (
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	runtimepb "github.com/slipway-deploy/slipway/gen/go/slipway/runtime/v1"
)

func taskSetPB(set runtime.TaskSet) *runtimepb.TaskSet {
	pb := &runtimepb.TaskSet{Id: set.ID, Service: set.Service, TaskDefinition: set.TaskDefinition, Tasks: set.Tasks}
	for _, c := range set.Containers {
		container := &runtimepb.Container{
			Name: c.Name, Image: c.Image, Command: c.Command, Environment: c.Environment, WorkingDirectory: c.WorkingDirectory,
			Essential: c.Essential, StopTimeout: durationPB(c.StopTimeout), Cpu: int32(c.CPU), Memory: int32(c.MemoryMiB),
		}
		for _, p := range c.Ports {
			container.Ports = append(container.Ports, &runtimepb.Port{Name: p.Name, ContainerPort: int32(p.ContainerPort), HostPort: int32(p.HostPort)})
		}
		if h := c.HealthCheck; h != nil {
			container.HealthCheck = &runtimepb.HealthCheck{
				Command: h.Command, Interval: durationPB(h.Interval), Timeout: durationPB(h.Timeout), StartPeriod: durationPB(h.StartPeriod),
				Retries: int32(h.Retries),
			}
		}
		pb.Containers = append(pb.Containers, container)
	}
	return pb
}

func taskSetOf(pb *runtimepb.TaskSet) runtime.TaskSet {
	set := runtime.TaskSet{ID: pb.GetId(), Service: pb.GetService(), TaskDefinition: pb.GetTaskDefinition(), Tasks: pb.GetTasks()}
	for _, c := range pb.GetContainers() {
		container := runtime.Container{
			Name: c.GetName(), Image: c.GetImage(), Command: c.GetCommand(), Environment: c.GetEnvironment(), WorkingDirectory: c.GetWorkingDirectory(),
			Essential: c.GetEssential(), StopTimeout: c.GetStopTimeout().AsDuration(), CPU: int(c.GetCpu()), MemoryMiB: int(c.GetMemory()),
		}
		for _, p := range c.GetPorts() {
			container.Ports = append(container.Ports, runtime.Port{Name: p.GetName(), ContainerPort: int(p.GetContainerPort()), HostPort: int(p.GetHostPort())})
		}
		if h := c.GetHealthCheck(); h != nil {
			container.HealthCheck = &runtime.HealthCheck{
				Command: h.GetCommand(), Interval: h.GetInterval().AsDuration(), Timeout: h.GetTimeout().AsDuration(),
				StartPeriod: h.GetStartPeriod().AsDuration(), Retries: int(h.GetRetries()),
			}
		}
		set.Containers = append(set.Containers, container)
	}
	return set
}

const (
	statePrefix  = "STATE_"
	healthPrefix = "HEALTH_"
)

func taskPB(t runtime.Task) *runtimepb.Task {
	pb := &runtimepb.Task{
		Name: t.Name, TaskSet: t.TaskSet, Service: t.Service,
		State:     runtimepb.Task_State(runtimepb.Task_State_value[statePrefix+string(t.State)]),
		Health:    runtimepb.Task_Health(runtimepb.Task_Health_value[healthPrefix+string(t.Health)]),
		StartTime: timePB(t.StartTime), RunningTime: timePB(t.RunningTime), StopTime: timePB(t.StopTime),
		StopCode: string(t.StopCode), StopReason: t.StopReason,
	}
	if t.ExitCode != nil {
		pb.ExitCode = new(int32(*t.ExitCode))
	}
	for _, e := range t.Endpoints {
		pb.Endpoints = append(pb.Endpoints, &runtimepb.Endpoint{Container: e.Container, ContainerPort: int32(e.ContainerPort), Address: e.Address})
	}
	return pb
}

func taskOf(pb *runtimepb.Task) runtime.Task {
	t := runtime.Task{
		Name: pb.GetName(), TaskSet: pb.GetTaskSet(), Service: pb.GetService(),
		State: runtime.TaskState(strings.TrimPrefix(pb.GetState().String(), statePrefix)), Health: runtime.Unknown,
		StartTime: timeOf(pb.GetStartTime()), RunningTime: timeOf(pb.GetRunningTime()), StopTime: timeOf(pb.GetStopTime()),
		StopCode: runtime.StopCode(pb.GetStopCode()), StopReason: pb.GetStopReason(),
	}
	if pb.GetHealth() != runtimepb.Task_HEALTH_UNSPECIFIED {
		t.Health = runtime.Health(strings.TrimPrefix(pb.GetHealth().String(), healthPrefix))
	}
	if pb.ExitCode != nil {
		t.ExitCode = new(int(pb.GetExitCode()))
	}
	for _, e := range pb.GetEndpoints() {
		t.Endpoints = append(t.Endpoints, runtime.Endpoint{Container: e.GetContainer(), ContainerPort: int(e.GetContainerPort()), Address: e.GetAddress()})
	}
	return t
}

func durationPB(d time.Duration) *durationpb.Duration {
	if d == 0 {
		return nil
	}
	return durationpb.New(d)
}

func timePB(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func timeOf(pb *timestamppb.Timestamp) time.Time {
	if pb == nil {
		return time.Time{}
	}
	return pb.AsTime()
}
