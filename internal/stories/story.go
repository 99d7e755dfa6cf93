package stories

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

// Story is one thing that Slipway must do.
type Story struct {
	Name string
	Says string // what it shows, in a sentence
	play func(ctx context.Context, p *player) error

	service string // "" as the story
}

// Result is how a story ended.
type Result struct {
	Story         string
	Outcome       string        // the deployment's state
	Stages        []StageTime   // when each stage began
	Duration      time.Duration // of the deployment
	FailureToSafe time.Duration // from the failure to all traffic on the old version; 0 when nothing failed
	Requests      int64
	Lost          int64
	Err           error // nil only if the story ended as it must
}

// StageTime is when a stage began, since the deployment was created.
type StageTime struct {
	Stage  string
	Offset time.Duration
}

// All is the four stories.
func All() []Story { return []Story{rolling(), blueGreen(), canary(), circuitBreaker()} }

const storyTimeout = 90 * time.Second

// Play plays a story on its own service and removes it.
func (s Story) Play(ctx context.Context, env *Env) Result {
	ctx, cancel := context.WithTimeout(ctx, storyTimeout)
	defer cancel()
	name := s.service
	if name == "" {
		name = s.Name
	}
	p := &player{Env: env, name: name, result: Result{Story: s.Name}}
	err := p.prepare()
	if err == nil {
		err = s.play(ctx, p)
	}
	p.finish()
	if err == nil && p.result.Lost > 0 {
		err = fmt.Errorf("%d of %d requests were lost, the last by: %s", p.result.Lost, p.result.Requests, p.load.lastLoss)
	}
	ended, cancelCleanUp := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancelCleanUp()
	p.result.Err = errors.Join(err, p.cleanUp(ended, name))
	return p.result
}

// player plays one story.
type player struct {
	*Env
	name       string
	production listener
	test       listener
	load       *load
	began      time.Time
	result     Result
}

func (p *player) prepare() (err error) {
	if p.production, err = p.Place.listener(); err == nil {
		p.test, err = p.Place.listener()
	}
	return err
}

func (p *player) finish() {
	if p.load != nil {
		p.load.end()
		p.result.Requests, p.result.Lost = p.load.sent.Load(), p.load.lost.Load()
	}
}

func (p *player) say(format string, args ...any) {
	offset := time.Duration(0)
	if !p.began.IsZero() {
		offset = time.Since(p.began)
	}
	p.Say(Line{Story: p.name, Offset: offset, Text: fmt.Sprintf(format, args...)})
}

// register registers a version of the workload and returns its task definition.
func (p *player) register(ctx context.Context, version string, env ...string) (string, error) {
	container := p.Place.container()
	container.StopTimeout = durationpb.New(10 * time.Second)
	env = append(env, "VERSION", version)
	for i := 0; i+1 < len(env); i += 2 {
		container.Environment = append(container.Environment, &orchestratorpb.KeyValuePair{Name: env[i], Value: env[i+1]})
	}
	got, err := p.TaskDefinitions.RegisterTaskDefinition(ctx, &orchestratorpb.RegisterTaskDefinitionRequest{
		TaskDefinition: &orchestratorpb.TaskDefinition{Family: p.name, ContainerDefinitions: []*orchestratorpb.ContainerDefinition{container}},
	})
	if err != nil {
		return "", fmt.Errorf("register version %s: %w", version, err)
	}
	return fmt.Sprintf("%s:%d", p.name, got.GetTaskDefinition().GetRevision()), nil
}

// createService brings version 1 live and begins the load.
func (p *player) createService(ctx context.Context, tasks int32, config *orchestratorpb.DeploymentConfiguration) error {
	for _, group := range []string{p.name + "-a", p.name + "-b"} {
		_, err := p.TargetGroups.CreateTargetGroup(ctx, &healthcheckpb.CreateTargetGroupRequest{TargetGroup: &healthcheckpb.TargetGroup{
			Name: group,
			HealthCheck: &healthcheckpb.HealthCheck{
				Type: healthcheckpb.HealthCheck_TYPE_HTTP, Path: "/health", UnhealthyThreshold: 2, HealthyThreshold: 2,
				Interval: durationpb.New(500 * time.Millisecond), Timeout: durationpb.New(500 * time.Millisecond),
			},
		}})
		if err != nil {
			return fmt.Errorf("create target group %s: %w", group, err)
		}
	}
	definition, err := p.register(ctx, "v1")
	if err != nil {
		return err
	}
	created, err := p.Services.CreateService(ctx, &orchestratorpb.CreateServiceRequest{Service: &orchestratorpb.Service{
		Name: p.name, TaskDefinition: definition, DesiredCount: tasks, DeploymentConfiguration: config,
		HealthCheckGracePeriod: durationpb.New(5 * time.Second),
		LoadBalancer: &orchestratorpb.LoadBalancer{
			TargetGroup: p.name + "-a", AlternateTargetGroup: p.name + "-b", ProductionListener: p.production.bind, TestListener: p.test.bind,
			DeregistrationDelay: durationpb.New(10 * time.Second),
		},
	}})
	if err != nil {
		return fmt.Errorf("create service: %w", err)
	}
	first, err := p.follow(ctx, created.GetDeployment().GetId(), nil)
	if err != nil {
		return fmt.Errorf("first deployment: %w", err)
	}
	if first.GetState() != orchestratorpb.Deployment_STATE_SUCCESSFUL {
		return fmt.Errorf("the first deployment ended %s: %s", first.GetState(), first.GetReason())
	}
	p.say("%d tasks of v1 are live on http://%s; load begins", tasks, p.production.dial)
	p.load = startLoad(p.production.dial, p.Clients)
	return nil
}

// deploy begins a deployment and follows it to its end.
func (p *player) deploy(ctx context.Context, definition string) (*orchestratorpb.Deployment, []*orchestratorpb.Event, error) {
	p.began = time.Now()
	created, err := p.Deployments.CreateDeployment(ctx, &orchestratorpb.CreateDeploymentRequest{Service: p.name, TaskDefinition: definition})
	if err != nil {
		return nil, nil, fmt.Errorf("create deployment: %w", err)
	}
	var events []*orchestratorpb.Event
	d, err := p.follow(ctx, created.GetDeployment().GetId(), func(e *orchestratorpb.Event) {
		events = append(events, e)
		p.tell(e)
		if p.OnEvent != nil {
			p.OnEvent(e)
		}
	})
	if err != nil {
		return nil, nil, err
	}
	p.record(d, events)
	return d, events, nil
}

// tell prints an event.
func (p *player) tell(e *orchestratorpb.Event) {
	kind := e.GetType().String()[len("TYPE_"):]
	text := e.GetReason()
	if stage := e.GetDetail()["lifecycleStage"]; stage != "" && e.GetName() == "LIFECYCLE_STAGE_STARTED" {
		text = "-> " + stage
	}
	p.Say(Line{Story: p.name, Offset: e.GetTime().AsTime().Sub(p.began), Kind: kind, Text: text})
}

// follow watches a deployment to its end. A stream that breaks is resumed after the last event seen.
func (p *player) follow(ctx context.Context, id string, event func(*orchestratorpb.Event)) (*orchestratorpb.Deployment, error) {
	var last *orchestratorpb.Deployment
	var after int64
	for {
		stream, err := p.Deployments.WatchDeployment(ctx, &orchestratorpb.WatchDeploymentRequest{Deployment: id, AfterSequence: after})
		for err == nil {
			var m *orchestratorpb.WatchDeploymentResponse
			if m, err = stream.Recv(); err != nil {
				break
			}
			last = m.GetDeployment()
			for _, e := range m.GetEvents() {
				after = e.GetSequence()
				if event != nil {
					event(e)
				}
			}
		}
		if last.GetFinishTime() != nil && after == last.GetEventSequence() {
			return last, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("watch deployment %s (%s): %w", id, waitsFor(last), err)
		case <-time.After(resumeDelay):
		}
	}
}

const resumeDelay = 100 * time.Millisecond

// waitsFor says what a deployment that did not end waited for.
func waitsFor(d *orchestratorpb.Deployment) string {
	text := []string{d.GetState().String() + " " + d.GetLifecycleStage().String()}
	for _, c := range d.GetConditions() {
		text = append(text, "waits for "+c.GetMessage())
	}
	return strings.Join(text, "; ")
}

func (p *player) record(d *orchestratorpb.Deployment, events []*orchestratorpb.Event) {
	begin := d.GetCreateTime().AsTime()
	p.result.Outcome = d.GetState().String()[len("STATE_"):]
	p.result.Duration = d.GetFinishTime().AsTime().Sub(begin)
	for _, h := range d.GetHistory() {
		if h.GetOutcome() == orchestratorpb.StageHistory_OUTCOME_SKIPPED {
			continue
		}
		name := h.GetLifecycleStage().String()[len("LIFECYCLE_STAGE_"):]
		if h.GetStep() > 0 {
			name = fmt.Sprintf("%s %d", name, h.GetStep())
		}
		if h.GetRollback() {
			name = "rollback " + name
		}
		p.result.Stages = append(p.result.Stages, StageTime{name, h.GetStartTime().AsTime().Sub(begin)})
	}
	if len(p.result.Stages) == 0 {
		p.result.Stages = milestones(begin, events)
	}
	for _, e := range events {
		if e.GetName() == "SERVICE_DEPLOYMENT_FAILED" && d.GetRollback().GetSafeTime() != nil {
			p.result.FailureToSafe = d.GetRollback().GetSafeTime().AsTime().Sub(e.GetTime().AsTime())
		}
	}
}

// milestones stand in for the stages of a rolling deployment, which has none.
func milestones(begin time.Time, events []*orchestratorpb.Event) []StageTime {
	var list []StageTime
	seen := map[string]bool{}
	for _, e := range events {
		name := map[string]string{
			"TASKS_STARTED": "tasks start", "TASK_HEALTHY": "first healthy", "TASK_FAILED": "first failure", "TASKS_STOPPED": "tasks stop",
			"SERVICE_DEPLOYMENT_FAILED": "failed", "SERVICE_DEPLOYMENT_COMPLETED": "completed",
		}[e.GetName()]
		if name != "" && !seen[name] {
			seen[name] = true
			list = append(list, StageTime{name, e.GetTime().AsTime().Sub(begin)})
		}
	}
	return list
}

// Named is the story on a service of another name.
func (s Story) Named(name string) Story {
	s.service = name
	return s
}
