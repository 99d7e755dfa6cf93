package intake

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/hooks/internal/event"
	"github.com/slipway-deploy/slipway/services/hooks/internal/outbox"
)

// Deployments is the feed of the orchestrator.
type Deployments struct {
	Place       event.Place
	Events      orchestratorpb.EventServiceClient
	Deployments orchestratorpb.DeploymentServiceClient
	// HookType returns ECS's name for the kind of a hook's target, and "" for a hook that is not registered.
	HookType func(ctx context.Context, hook string) string
	Now      func() time.Time

	known map[string]event.About // what does not change of a deployment; only Read's goroutine
}

var _ Source = (*Deployments)(nil)

// Name is that of the feed.
func (*Deployments) Name() string { return "orchestrator" }

const (
	resumeHeader = "slipway-resume-token"
	callTimeout  = 10 * time.Second
	listAtOnce   = 1000
	maxKnown     = 1024
	// horizon is how far back it reads when it has no place to go on from: less than events are kept to know duplicates by.
	horizon = 12 * time.Hour
)

// Read follows WatchEvents. The first time it reads what happened since the feed was made, too.
func (d *Deployments) Read(ctx context.Context, from outbox.Feed, record Recorder) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	token := from.Token
	stream, err := d.Events.WatchEvents(ctx, &orchestratorpb.WatchEventsRequest{ResumeToken: token})
	if err != nil {
		return err
	}
	if token == "" {
		if token, err = beginning(stream); err != nil {
			return err
		}
		if err := d.catchUp(ctx, from.CreateTime, token, record); err != nil {
			return err
		}
	}
	arrivals := receive(ctx, stream)
	for {
		answers, broken := gather(arrivals)
		var events []event.Event
		for _, answer := range answers {
			some, err := d.translate(ctx, answer.GetEvent())
			if err != nil {
				return err
			}
			events, token = append(events, some...), answer.GetResumeToken()
		}
		if len(answers) > 0 {
			if err := record(ctx, token, events); err != nil {
				return err
			}
		}
		if p := problem.As(broken); p != nil && errors.Is(broken, problem.InvalidArgument) {
			// The orchestrator does not know the place any more. What is read twice is dropped.
			return errors.Join(broken, record(ctx, "", nil))
		}
		if broken != nil {
			return broken
		}
	}
}

// beginning is where a stream begins, which its header says at once.
func beginning(stream grpc.ServerStreamingClient[orchestratorpb.WatchEventsResponse]) (string, error) {
	header, err := stream.Header()
	if err != nil {
		return "", err
	}
	tokens := header.Get(resumeHeader)
	if len(tokens) != 1 {
		if _, err := stream.Recv(); err != nil {
			return "", err // why there was no header
		}
		return "", errors.New("the orchestrator did not say where its events begin")
	}
	return tokens[0], nil
}

// catchUp records what happened between the making of the feed and the beginning of the stream.
func (d *Deployments) catchUp(ctx context.Context, since time.Time, token string, record Recorder) error {
	if earliest := d.Now().Add(-horizon); since.Before(earliest) {
		since = earliest
	}
	for page := ""; ; {
		callCtx, cancel := context.WithTimeout(ctx, callTimeout)
		answer, err := d.Events.ListEvents(callCtx, &orchestratorpb.ListEventsRequest{PageSize: listAtOnce, PageToken: page})
		cancel()
		if err != nil {
			return err
		}
		var events []event.Event
		for _, e := range answer.GetEvents() {
			if e.GetTime().AsTime().Before(since) {
				continue
			}
			some, err := d.translate(ctx, e)
			if err != nil {
				return err
			}
			events = append(events, some...)
		}
		saved := ""
		if page = answer.GetNextPageToken(); page == "" {
			saved = token
		}
		if err := record(ctx, saved, events); err != nil || page == "" {
			return err
		}
	}
}

func (d *Deployments) translate(ctx context.Context, e *orchestratorpb.Event) ([]event.Event, error) {
	f := event.Fact{
		Cluster: e.GetCluster(), Service: e.GetService(), Deployment: e.GetDeployment(), Sequence: e.GetSequence(),
		Type: strings.TrimPrefix(e.GetType().String(), "TYPE_"), Name: e.GetName(), Reason: e.GetReason(), Detail: e.GetDetail(),
		Time: e.GetTime().AsTime(),
	}
	about, err := d.about(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("read deployment %s: %w", f.Deployment, err)
	}
	return event.OfOrchestrator(d.Place, f, about)
}

// about asks for the deployment: once for what does not change of it, and again for hooks and rollbacks.
func (d *Deployments) about(ctx context.Context, f event.Fact) (event.About, error) {
	if f.Deployment == "" {
		return event.About{}, nil
	}
	about, known := d.known[f.Deployment]
	if known && !f.IsHook() && !f.IsRollback() {
		return about, nil
	}
	callCtx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	answer, err := d.Deployments.GetDeployment(callCtx, &orchestratorpb.GetDeploymentRequest{Deployment: f.Deployment})
	if err != nil && !errors.Is(err, problem.NotFound) {
		return about, err
	}
	if err == nil && !known {
		about = unchanging(answer.GetDeployment())
		if len(d.known) >= maxKnown || d.known == nil {
			d.known = make(map[string]event.About)
		}
		d.known[f.Deployment] = about
	}
	about.RollbackTo = answer.GetDeployment().GetRollback().GetDeployment()
	about.BreakerTrips = answer.GetDeployment().GetTaskFailures().GetStatus() == orchestratorpb.TaskFailures_STATUS_TRIGGERED
	if f.IsHook() {
		d.aboutHook(ctx, f, answer.GetDeployment(), &about)
	}
	return about, nil
}

func unchanging(d *orchestratorpb.Deployment) event.About {
	c := d.GetDeploymentConfiguration()
	return event.About{
		CodeDeploy: c.GetDeploymentConfigName() != "" || c.GetDeploymentReadyOption() != nil || c.GetTerminateSourceOption() != nil ||
			c.GetAutoRollbackConfiguration() != nil,
		RollbackOf: d.GetRollbackOf(),
	}
}

// aboutHook says what kind of hook it is and when it expires. A deployment that has gone on does not tell any more; the
// kind is then known by the hook's name, which is in the id: deployment/stage/step/name.
func (d *Deployments) aboutHook(ctx context.Context, f event.Fact, deployment *orchestratorpb.Deployment, about *event.About) {
	const pause = "PAUSE"
	hookID := f.Detail["hookId"]
	for _, h := range deployment.GetLifecycleHooks() {
		if h.GetHookId() != hookID {
			continue
		}
		if h.GetExpireTime() != nil {
			about.HookExpire = h.GetExpireTime().AsTime()
		}
		if h.GetHook() == "" {
			about.HookType = pause
			return
		}
	}
	if f.Name == "HOOK_AWAITING_ACTION" {
		about.HookType = pause
		return
	}
	if parts := strings.Split(hookID, "/"); len(parts) >= 4 {
		about.HookType = d.HookType(ctx, parts[3])
		if about.HookType == "" && strings.HasPrefix(parts[3], "pause") {
			about.HookType = pause
		}
	}
}
