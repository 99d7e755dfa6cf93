package settings

import (
	"errors"
	"slices"
	"testing"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
)

// busy is a deployment that waits for a person.
func (v *service) busy() string {
	v.t.Helper()
	id := v.deploy(v.good(), with(blueGreen, pauseAt(preScaleUp)))
	v.stands(id, orchestratorpb.Condition_TYPE_CONTINUE)
	return id
}

func (v *service) rejected(err error) {
	v.t.Helper()
	if p := problem.As(err); !errors.Is(err, problem.FailedPrecondition) || p == nil || p.Reason != "DEPLOYMENT_IN_PROGRESS" {
		v.t.Errorf("got %v, want DEPLOYMENT_IN_PROGRESS", err)
	}
}

// deployment_concurrency: what becomes of a deployment that is asked for while another is at work.
func TestConcurrency(t *testing.T) {
	t.Parallel()
	simple := &config{Strategy: blueGreen}
	t.Run("reject by default", func(t *testing.T) {
		t.Parallel()
		s := begin(t, setup{desired: 1, balanced: true})
		first := s.busy()
		_, err := s.try(s.good(), simple)
		s.rejected(err)
		second, err := system.Deployments.CreateDeployment(t.Context(), &orchestratorpb.CreateDeploymentRequest{
			Service: s.name, DeploymentConfiguration: simple, Supersede: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		s.ends(first, stopped)
		s.ends(second.GetDeployment().GetId(), successful)
	})
	t.Run("supersede", func(t *testing.T) {
		t.Parallel()
		s := begin(t, setup{desired: 1, balanced: true, mode: orchestratorpb.DeploymentConcurrency_MODE_SUPERSEDE})
		first := s.busy()
		second := s.deploy(s.good(), simple)
		if d := s.ends(first, stopped); d.GetSupersededBy() != second {
			t.Errorf("superseded by %q", d.GetSupersededBy())
		}
		s.ends(second, successful)
		s.runs(3, 1)
		s.runs(0, 1)
	})
	t.Run("queue", func(t *testing.T) {
		t.Parallel()
		s := begin(t, setup{desired: 1, balanced: true, mode: orchestratorpb.DeploymentConcurrency_MODE_QUEUE, queue: 2})
		first := s.busy()
		second, third := s.deploy(s.good(), simple), s.deploy(s.good(), simple)
		_, err := s.try(s.good(), simple)
		s.rejected(err)
		if got := s.get().GetQueuedDeployments(); !slices.Equal(got, []string{second, third}) {
			t.Errorf("%v wait, want %s and %s", got, second, third)
		}
		s.stands(second, orchestratorpb.Condition_TYPE_QUEUE)
		s.resume(first, "", 0)
		a, b := s.ends(second, successful), s.ends(third, successful)
		if b.GetStartTime().AsTime().Before(a.GetFinishTime().AsTime()) {
			t.Error("the third began before the second had ended")
		}
	})
	t.Run("stopped before its turn", func(t *testing.T) {
		t.Parallel()
		s := begin(t, setup{desired: 1, balanced: true, mode: orchestratorpb.DeploymentConcurrency_MODE_QUEUE})
		first := s.busy()
		second := s.deploy(s.good(), simple)
		s.stop(second, orchestratorpb.StopDeploymentRequest_STOP_TYPE_ROLLBACK)
		s.ends(second, stopped)
		s.resume(first, "", 0)
		s.ends(first, successful)
		s.runs(2, 1)
	})
	t.Run("coalesce", func(t *testing.T) {
		t.Parallel()
		s := begin(t, setup{desired: 1, balanced: true, mode: orchestratorpb.DeploymentConcurrency_MODE_COALESCE})
		first := s.busy()
		second, third := s.deploy(s.good(), simple), s.deploy(s.good(), simple)
		s.ends(second, stopped)
		s.resume(first, "", 0)
		s.ends(first, successful)
		s.ends(third, successful)
		s.runs(4, 1)
		s.runs(0, 1)
	})
}

// StopDeployment by state: what waits is withdrawn, a rollback goes on, what has ended is refused.
func TestStopByState(t *testing.T) {
	t.Parallel()
	t.Run("pending", func(t *testing.T) {
		t.Parallel()
		s := begin(t, setup{desired: 1, balanced: true})
		id := s.deploy(s.good(), watching(blueGreen, s.alarm(isAlarm), true))
		s.stands(id, orchestratorpb.Condition_TYPE_ALARM)
		s.stop(id, orchestratorpb.StopDeploymentRequest_STOP_TYPE_ROLLBACK)
		s.until(id, "the deployment to end", func(d *deployment) bool { return d.GetFinishTime() != nil })
		if shifts := s.events(id, "TRAFFIC_SHIFTED"); len(shifts) != 0 {
			t.Errorf("tells of traffic that never moved: %q", shifts)
		}
	})
	t.Run("abort", func(t *testing.T) {
		t.Parallel()
		s := begin(t, setup{desired: 1, balanced: true})
		id := s.deploy(s.good(), with(blueGreen, pauseAt(postShift)))
		s.stands(id, orchestratorpb.Condition_TYPE_CONTINUE)
		s.stop(id, orchestratorpb.StopDeploymentRequest_STOP_TYPE_ABORT)
		if d := s.ends(id, stopped); s.weight(d) != 100 || d.GetErrorCode() != "MANUAL_STOP" {
			t.Errorf("%g %% of the traffic, %s", s.weight(d), d.GetErrorCode())
		}
		_, err := system.Deployments.StopDeployment(t.Context(), &orchestratorpb.StopDeploymentRequest{Deployment: id})
		if p := problem.As(err); p == nil || p.Reason != "DEPLOYMENT_STATE" {
			t.Errorf("a stop of what has ended: %v", err)
		}
	})
}
