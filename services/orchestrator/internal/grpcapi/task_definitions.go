package grpcapi

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/once"
	"github.com/slipway-deploy/slipway/platform/page"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/store"
)

type taskDefinitions struct {
	orchestratorpb.UnimplementedTaskDefinitionServiceServer
	s *Server
}

func (t *taskDefinitions) RegisterTaskDefinition(
	ctx context.Context,
	req *orchestratorpb.RegisterTaskDefinitionRequest,
) (resp *orchestratorpb.RegisterTaskDefinitionResponse, err error) {
	definition := proto.CloneOf(req.GetTaskDefinition())
	if err := checkTaskDefinition(definition); err != nil {
		return nil, err
	}
	definition.Revision, definition.RegisterTime = 0, nil
	body, err := proto.Marshal(definition)
	if err != nil {
		return nil, err
	}
	err = t.s.Store.InTx(ctx, func(tx pgx.Tx) error {
		resp, err = once.Do(ctx, tx, "RegisterTaskDefinition", req.GetRequestId(), req, func() (*orchestratorpb.RegisterTaskDefinitionResponse, error) {
			row, err := t.s.Store.TaskDefinitionRegister(ctx, tx, definition.GetFamily(), body, t.s.Now())
			if err != nil {
				return nil, err
			}
			pb, err := taskDefinitionPB(row)
			return &orchestratorpb.RegisterTaskDefinitionResponse{TaskDefinition: pb}, err
		})
		return err
	})
	return resp, err
}

// checkTaskDefinition checks what spans fields: names are unique, one container is essential, durations are in range.
func checkTaskDefinition(t *orchestratorpb.TaskDefinition) error {
	var broken []problem.Violation
	add := func(field, rule string, args ...any) {
		broken = append(broken, problem.Violation{Field: "task_definition.container_definitions" + field, Rule: fmt.Sprintf(rule, args...)})
	}
	names, essential := map[string]bool{}, false
	for i, c := range t.GetContainerDefinitions() {
		at := fmt.Sprintf("[%d].", i)
		if names[c.GetName()] {
			add(at+"name", "%q is used twice", c.GetName())
		}
		names[c.GetName()] = true
		essential = essential || c.Essential == nil || c.GetEssential()
		inRange(add, at+"stop_timeout", c.GetStopTimeout(), 2*time.Minute)
		check := c.GetHealthCheck()
		if check == nil {
			continue
		}
		if kind := check.GetCommand()[0]; kind != "CMD" && kind != "CMD-SHELL" {
			add(at+"health_check.command", "must begin with CMD or CMD-SHELL")
		}
		inRange(add, at+"health_check.interval", check.GetInterval(), 300*time.Second)
		inRange(add, at+"health_check.timeout", check.GetTimeout(), 60*time.Second)
		inRange(add, at+"health_check.start_period", check.GetStartPeriod(), 300*time.Second)
	}
	if !essential {
		add("", "at least one container must be essential")
	}
	if len(broken) > 0 {
		return problem.Violated(broken...)
	}
	return nil
}

func inRange(add func(string, string, ...any), field string, d *durationpb.Duration, most time.Duration) {
	if v := d.AsDuration(); d != nil && (v < 0 || v > most) {
		add(field, "must be 0 to %s", most)
	}
}

func (t *taskDefinitions) DescribeTaskDefinition(
	ctx context.Context,
	req *orchestratorpb.DescribeTaskDefinitionRequest,
) (*orchestratorpb.DescribeTaskDefinitionResponse, error) {
	definition, err := taskDefinitionByName(ctx, t.s.Store, req.GetTaskDefinition())
	if err != nil {
		return nil, err
	}
	return &orchestratorpb.DescribeTaskDefinitionResponse{TaskDefinition: definition}, nil
}

type taskDefinitionPlace struct {
	Family   string
	Revision int32
}

func (t *taskDefinitions) ListTaskDefinitions(
	ctx context.Context,
	req *orchestratorpb.ListTaskDefinitionsRequest,
) (*orchestratorpb.ListTaskDefinitionsResponse, error) {
	var after taskDefinitionPlace
	if err := page.Decode(req.GetPageToken(), &after); err != nil {
		return nil, err
	}
	size := int(page.Size(req.GetPageSize(), 20, 100))
	list, err := t.s.Store.TaskDefinitionList(ctx, req.GetFamily(), after.Family, after.Revision, size+1)
	if err != nil {
		return nil, err
	}
	resp := &orchestratorpb.ListTaskDefinitionsResponse{}
	if len(list) > size {
		list = list[:size]
		last := list[size-1]
		resp.NextPageToken = page.Encode(taskDefinitionPlace{last.Family, last.Revision})
	}
	for _, row := range list {
		pb, err := taskDefinitionPB(row)
		if err != nil {
			return nil, err
		}
		resp.TaskDefinitions = append(resp.TaskDefinitions, pb)
	}
	return resp, nil
}

// taskDefinitionByName takes "family:revision", or "family" for the latest.
func taskDefinitionByName(ctx context.Context, st *store.Store, name string) (*orchestratorpb.TaskDefinition, error) {
	family, number, has := strings.Cut(name, ":")
	revision := int64(0)
	if has {
		var err error
		if revision, err = strconv.ParseInt(number, 10, 32); err != nil || revision < 1 {
			return nil, problem.Invalid("task_definition", "%q is not family:revision", name)
		}
	}
	row, err := st.TaskDefinitionGet(ctx, family, int32(revision))
	if err != nil {
		return nil, err
	}
	return taskDefinitionPB(row)
}

func taskDefinitionPB(row store.TaskDefinition) (*orchestratorpb.TaskDefinition, error) {
	pb := &orchestratorpb.TaskDefinition{}
	if err := proto.Unmarshal(row.Definition, pb); err != nil {
		return nil, fmt.Errorf("read task definition %s:%d: %w", row.Family, row.Revision, err)
	}
	pb.Revision, pb.RegisterTime = row.Revision, timestamppb.New(row.RegisterTime)
	return pb, nil
}

func fullName(t *orchestratorpb.TaskDefinition) string {
	return fmt.Sprintf("%s:%d", t.GetFamily(), t.GetRevision())
}

// hasHealthCheck reports whether an essential container has a health check: only then does the task's health count.
func hasHealthCheck(t *orchestratorpb.TaskDefinition) bool {
	for _, c := range t.GetContainerDefinitions() {
		if c.GetHealthCheck() != nil && (c.Essential == nil || c.GetEssential()) {
			return true
		}
	}
	return false
}

func containersOf(t *orchestratorpb.TaskDefinition) []runtime.Container {
	var list []runtime.Container
	for _, c := range t.GetContainerDefinitions() {
		container := runtime.Container{
			Name: c.GetName(), Image: c.GetImage(), Command: c.GetCommand(), WorkingDirectory: c.GetWorkingDirectory(),
			Essential: c.Essential == nil || c.GetEssential(), StopTimeout: c.GetStopTimeout().AsDuration(),
			CPU: int(c.GetCpu()), MemoryMiB: int(c.GetMemory()), Environment: map[string]string{},
		}
		for _, e := range c.GetEnvironment() {
			container.Environment[e.GetName()] = e.GetValue()
		}
		for _, p := range c.GetPortMappings() {
			container.Ports = append(container.Ports, runtime.Port{Name: p.GetName(), ContainerPort: int(p.GetContainerPort()), HostPort: int(p.GetHostPort())})
		}
		if h := c.GetHealthCheck(); h != nil {
			container.HealthCheck = &runtime.HealthCheck{
				Command: h.GetCommand(), Interval: h.GetInterval().AsDuration(), Timeout: h.GetTimeout().AsDuration(),
				StartPeriod: h.GetStartPeriod().AsDuration(), Retries: int(h.GetRetries()),
			}
		}
		list = append(list, container)
	}
	return list
}
