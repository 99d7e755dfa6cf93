package client_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"

	"github.com/slipway-deploy/slipway/client"
	errorspb "github.com/slipway-deploy/slipway/gen/go/slipway/errors/v1"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

var conflict = &client.Error{Kind: client.Aborted, Reason: "CONFLICT"}

func TestALostAnswerIsAskedForAgainWithTheSameRequestID(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakeDeployments{events: 2, create: func(ctx context.Context, attempt int) error {
			switch attempt {
			case 1:
				return down
			case 2:
				return conflict
			case 3: // hangs
				<-ctx.Done()
				return &client.Error{Kind: client.DeadlineExceeded}
			}
			return nil
		}}
		c := &client.Client{Deployments: f}
		request := client.DeployRequest{
			Cluster: "staging", Service: "web", TaskDefinition: "web:2", Supersede: true,
			DeploymentConfiguration: &orchestratorpb.DeploymentConfiguration{DeploymentConfigName: "x"},
		}
		var lost []error
		d, err := c.Deploy(t.Context(), request, client.OnProgress(func(p client.Progress) {
			if p.Lost != nil {
				lost = append(lost, p.Lost)
			}
		}))
		if err != nil || d.GetId() != "d-1" || len(f.created) != 4 || len(lost) != 3 {
			t.Fatalf("%v, %v after %d attempts with the losses %v, want d-1 after 4 with 3", d, err, len(f.created), lost)
		}
		first := f.created[0]
		for _, r := range f.created {
			if r.GetRequestId() == "" || r.GetRequestId() != first.GetRequestId() {
				t.Errorf("request ids %q and %q, want the same", first.GetRequestId(), r.GetRequestId())
			}
		}
		if first.GetCluster() != "staging" || first.GetService() != "web" || first.GetTaskDefinition() != "web:2" || !first.GetSupersede() ||
			first.GetDeploymentConfiguration() != request.DeploymentConfiguration {
			t.Errorf("sent %v for %v", first, request)
		}
		if _, err := c.Deploy(t.Context(), request); err != nil || f.created[4].GetRequestId() == first.GetRequestId() {
			t.Errorf("another Deploy has the same request id (%v)", err)
		}
		request.RequestID = "mine"
		if _, err := c.Deploy(t.Context(), request); err != nil || f.created[5].GetRequestId() != "mine" {
			t.Errorf("sent the request id %q (%v), want mine", f.created[5].GetRequestId(), err)
		}
	})
}

func TestARefusedDeploymentIsNotAskedForAgain(t *testing.T) {
	t.Parallel()
	for _, kind := range []client.Kind{
		client.InvalidArgument, client.NotFound, client.AlreadyExists, client.Aborted, client.FailedPrecondition, client.PermissionDenied,
		client.Unauthenticated, client.ResourceExhausted, client.Internal,
	} {
		f := &fakeDeployments{create: func(context.Context, int) error { return &client.Error{Kind: kind, Message: "no"} }}
		d, err := (&client.Client{Deployments: f}).Deploy(t.Context(), client.DeployRequest{Service: "web"})
		if d != nil || !errors.Is(err, kind) || len(f.created) != 1 || strings.Contains(err.Error(), "not known") {
			t.Errorf("%v: %v, %v after %d attempts", kind, d, err, len(f.created))
		}
	}
}

func TestWhetherADeploymentBeganMayBeUnknown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		c := &client.Client{Deployments: &fakeDeployments{create: func(context.Context, int) error { return down }}}
		request := client.DeployRequest{Service: "web", RequestID: "mine"}
		d, err := c.Deploy(t.Context(), request)
		if took := time.Since(start); d != nil || !errors.Is(err, client.Unavailable) || took < time.Minute || took > 70*time.Second {
			t.Errorf("%v, %v after %s, want Unavailable after a minute", d, err, took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		_, canceled := c.Deploy(ctx, request)
		if !errors.Is(canceled, context.DeadlineExceeded) {
			t.Errorf("got %v, want the context's error", canceled)
		}
		for _, err := range []error{err, canceled} {
			if !strings.Contains(err.Error(), "request id mine") || !strings.Contains(err.Error(), "not known") {
				t.Errorf("%q does not say how to find out", err)
			}
		}
	})
}

func TestAContextThatEndsLeavesTheDeploymentGoing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		f := &fakeDeployments{} // StopDeployment would panic
		d, err := (&client.Client{Deployments: f}).Deploy(ctx, client.DeployRequest{Service: "web"})
		if !errors.Is(err, context.DeadlineExceeded) || d.GetId() != "d-1" || !strings.Contains(err.Error(), "d-1 of default/web") {
			t.Errorf("%v, %v", d, err)
		}
	})
}

func TestADeploymentThatIsNotLiveIsAnError(t *testing.T) {
	t.Parallel()
	const by = "d-2"
	for state, want := range map[orchestratorpb.Deployment_State]string{
		orchestratorpb.Deployment_STATE_STOPPED:             "deployment d-1 of default/web ended STOPPED: it crashed; superseded by d-2",
		orchestratorpb.Deployment_STATE_ROLLBACK_SUCCESSFUL: "deployment d-1 of default/web ended ROLLBACK_SUCCESSFUL: it crashed; default/web/1 serves again",
		orchestratorpb.Deployment_STATE_ROLLBACK_FAILED:     "deployment d-1 of default/web ended ROLLBACK_FAILED: it crashed",
	} {
		d := &orchestratorpb.Deployment{
			Id: "d-1", Cluster: "default", Service: "web", State: state, Reason: "it crashed.",
			Rollback: &orchestratorpb.Rollback{ServiceRevision: "default/web/1"},
		}
		if state == orchestratorpb.Deployment_STATE_STOPPED {
			d.SupersededBy = by
		}
		err := &client.DeploymentFailedError{Deployment: d}
		if err.Error() != want || err.State() != state || err.Reason() != "it crashed." || err.SupersededBy() != d.GetSupersededBy() {
			t.Errorf("%s: %q, want %q", state, err, want)
		}
		if back := err.RolledBackTo(); (back == "default/web/1") != (state == orchestratorpb.Deployment_STATE_ROLLBACK_SUCCESSFUL) {
			t.Errorf("%s: rolled back to %q", state, back)
		}
		c := &client.Client{Deployments: &fakeDeployments{events: 2, end: state}}
		last, waited := c.Wait(t.Context(), "d-1")
		failed, ok := errors.AsType[*client.DeploymentFailedError](waited)
		if !ok || failed.State() != state || last.GetState() != state {
			t.Errorf("%s: waited until %v, %v", state, last, waited)
		}
	}
}

func TestWaitingForNothingIsNotFound(t *testing.T) {
	t.Parallel()
	f := &fakeDeployments{plan: []stop{{-1, &client.Error{Kind: client.NotFound, Reason: "DEPLOYMENT_NOT_FOUND", Message: "no deployment d-1"}}}}
	d, err := (&client.Client{Deployments: f}).Wait(t.Context(), "d-1")
	if d != nil || !errors.Is(err, client.NotFound) || client.ReasonOf(err) != errorspb.Reason_REASON_DEPLOYMENT_NOT_FOUND {
		t.Errorf("%v, %v", d, err)
	}
}

// DeployRequest has a field for each of CreateDeploymentRequest's, so that a new one is not forgotten.
func TestDeployRequestHasTheContractsFields(t *testing.T) {
	t.Parallel()
	fields := (&orchestratorpb.CreateDeploymentRequest{}).ProtoReflect().Descriptor().Fields()
	have := reflect.TypeFor[client.DeployRequest]()
	for i := range fields.Len() {
		name := strings.ReplaceAll(string(fields.Get(i).Name()), "_", "")
		if _, ok := have.FieldByNameFunc(func(s string) bool { return strings.EqualFold(s, name) }); !ok {
			t.Errorf("DeployRequest has no field for %s", fields.Get(i).Name())
		}
	}
	if have.NumField() != fields.Len() {
		t.Errorf("DeployRequest has %d fields, the contract %d", have.NumField(), fields.Len())
	}
}

// fakeTaskDefinitions loses the first answer.
type fakeTaskDefinitions struct {
	orchestratorpb.TaskDefinitionServiceClient
	ids []string
}

func (f *fakeTaskDefinitions) RegisterTaskDefinition(
	_ context.Context, in *orchestratorpb.RegisterTaskDefinitionRequest, _ ...grpc.CallOption,
) (*orchestratorpb.RegisterTaskDefinitionResponse, error) {
	f.ids = append(f.ids, in.GetRequestId())
	if len(f.ids) == 1 {
		return nil, down
	}
	return &orchestratorpb.RegisterTaskDefinitionResponse{
		TaskDefinition: &orchestratorpb.TaskDefinition{Family: in.GetTaskDefinition().GetFamily(), Revision: 7},
	}, nil
}

func TestATaskDefinitionIsRegisteredOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakeTaskDefinitions{}
		name, err := (&client.Client{TaskDefinitions: f}).RegisterTaskDefinition(t.Context(), &orchestratorpb.TaskDefinition{Family: "web"})
		if err != nil || name != "web:7" || len(f.ids) != 2 || f.ids[0] == "" || f.ids[0] != f.ids[1] {
			t.Errorf("%q, %v with the request ids %q", name, err, f.ids)
		}
	})
}
