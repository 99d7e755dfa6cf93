package settings

import (
	"fmt"
	"strings"
	"testing"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

// timeline is a plan's shifts, as "minute:percent".
func timeline(t *testing.T, c *config) string {
	t.Helper()
	desired := int32(2)
	plan, err := system.Deployments.PlanDeployment(t.Context(), &orchestratorpb.PlanDeploymentRequest{DeploymentConfiguration: c, DesiredCount: &desired})
	if err != nil {
		t.Fatal(err)
	}
	var shifts []string
	last := 0.0
	for _, step := range plan.GetSteps() {
		if weight := step.GetProductionTrafficWeight(); weight != last {
			shifts = append(shifts, fmt.Sprintf("%g:%g", step.GetOffset().AsDuration().Minutes(), weight))
			last = weight
		}
	}
	return strings.Join(shifts, " ")
}

// CodeDeploy's five configurations for ECS, and custom ones.
func TestNamedConfigurations(t *testing.T) {
	t.Parallel()
	s := begin(t, setup{desired: 1, balanced: true})
	for name, want := range map[string]string{
		"CodeDeployDefault.ECSAllAtOnce":                    "0:100",
		"CodeDeployDefault.ECSCanary10Percent5Minutes":      "0:10 5:100",
		"CodeDeployDefault.ECSCanary10Percent15Minutes":     "0:10 15:100",
		"CodeDeployDefault.ECSLinear10PercentEvery1Minutes": "0:10 1:20 2:30 3:40 4:50 5:60 6:70 7:80 8:90 9:100",
		"CodeDeployDefault.ECSLinear10PercentEvery3Minutes": "0:10 3:20 6:30 9:40 12:50 15:60 18:70 21:80 24:90 27:100",
	} {
		if got := timeline(t, &config{DeploymentConfigName: name}); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	thirty := 30.0
	custom := &orchestratorpb.DeploymentConfig{
		Name: s.name, Strategy: orchestratorpb.DeploymentConfiguration_STRATEGY_LINEAR,
		LinearConfiguration: &orchestratorpb.LinearConfiguration{StepPercent: &thirty, StepBakeTime: seconds(120)},
	}
	if _, err := configs().CreateDeploymentConfig(t.Context(), &orchestratorpb.CreateDeploymentConfigRequest{DeploymentConfig: custom}); err != nil {
		t.Fatal(err)
	}
	if got, want := timeline(t, &config{DeploymentConfigName: s.name}), "0:30 2:60 4:90 6:100"; got != want {
		t.Errorf("custom: %s, want %s", got, want)
	}
	_, err := s.try(s.good(), &config{DeploymentConfigName: s.name, Strategy: canary})
	refused(t, err, "deployment_configuration.strategy")
	s.ends(s.deploy(s.good(), &config{DeploymentConfigName: "CodeDeployDefault.ECSAllAtOnce"}), successful)
}

func configs() orchestratorpb.DeploymentConfigServiceClient {
	return orchestratorpb.NewDeploymentConfigServiceClient(system.orchestrator)
}

// ready is a deployment ready option that waits.
func ready(wait float64) *orchestratorpb.DeploymentReadyOption {
	return &orchestratorpb.DeploymentReadyOption{
		ActionOnTimeout: orchestratorpb.DeploymentReadyOption_ACTION_ON_TIMEOUT_STOP_DEPLOYMENT, WaitTime: seconds(wait),
	}
}

func (v *service) notify(id string, wait orchestratorpb.DeploymentWaitType) {
	v.t.Helper()
	_, err := system.Deployments.ContinueDeployment(v.t.Context(), &orchestratorpb.ContinueDeploymentRequest{Deployment: id, DeploymentWaitType: wait})
	if err != nil {
		v.t.Fatal(err)
	}
}

// deployment_ready_option: traffic waits for READY_WAIT, and the deployment is stopped when it does not come.
func TestDeploymentReadyOption(t *testing.T) {
	t.Parallel()
	t.Run("continued", func(t *testing.T) {
		t.Parallel()
		s := begin(t, setup{desired: 1, balanced: true})
		id := s.deploy(s.good(), &config{Strategy: blueGreen, DeploymentReadyOption: ready(3600)})
		s.stands(id, orchestratorpb.Condition_TYPE_CONTINUE)
		if d := s.deployment(id); s.weight(d) != 0 || len(s.alive(2)) != 1 {
			t.Errorf("%g %% on %d tasks before the notification", s.weight(d), len(s.alive(2)))
		}
		s.notify(id, orchestratorpb.DeploymentWaitType_DEPLOYMENT_WAIT_TYPE_READY_WAIT)
		s.ends(id, successful)
	})
	t.Run("timed out", func(t *testing.T) {
		t.Parallel()
		s := begin(t, setup{desired: 1, balanced: true})
		d := s.ends(s.deploy(s.good(), &config{Strategy: blueGreen, DeploymentReadyOption: ready(1)}), stopped)
		if d.GetErrorCode() != "TIMEOUT" || s.weight(d) != 0 || !strings.Contains(d.GetReason(), "timed out") {
			t.Errorf("ended with %s: %s", d.GetErrorCode(), d.GetReason())
		}
	})
	t.Run("fields", func(t *testing.T) {
		t.Parallel()
		s := begin(t, setup{desired: 1, balanced: true})
		for _, o := range []*orchestratorpb.DeploymentReadyOption{ready(0), ready(2881 * 60), {WaitTime: seconds(60)}} {
			_, err := s.try(s.good(), &config{Strategy: blueGreen, DeploymentReadyOption: o})
			refused(t, err, "deployment_configuration.deployment_ready_option.wait_time")
		}
	})
}

// terminate_source_option: the old revision is stopped after a wait that TERMINATION_WAIT ends, or kept.
func TestTerminateSourceOption(t *testing.T) {
	t.Parallel()
	terminate := func(action orchestratorpb.TerminateSourceOption_Action, wait float64) *config {
		return &config{Strategy: blueGreen, TerminateSourceOption: &orchestratorpb.TerminateSourceOption{Action: action, TerminationWaitTime: seconds(wait)}}
	}
	t.Run("wait", func(t *testing.T) {
		t.Parallel()
		s := begin(t, setup{desired: 1, balanced: true})
		id := s.deploy(s.good(), terminate(0, 3600))
		s.stands(id, orchestratorpb.Condition_TYPE_CONTINUE)
		if d := s.deployment(id); s.weight(d) != 100 || len(s.alive(1)) != 1 {
			t.Errorf("%g %% on the new revision, %d old tasks", s.weight(d), len(s.alive(1)))
		}
		s.notify(id, orchestratorpb.DeploymentWaitType_DEPLOYMENT_WAIT_TYPE_TERMINATION_WAIT)
		s.ends(id, successful)
		s.runs(1, 0)
	})
	t.Run("wait ends", func(t *testing.T) {
		t.Parallel()
		s := begin(t, setup{desired: 1, balanced: true})
		s.ends(s.deploy(s.good(), terminate(orchestratorpb.TerminateSourceOption_ACTION_TERMINATE, 0.3)), successful)
		s.runs(1, 0)
	})
	t.Run("rolled back at once", func(t *testing.T) {
		t.Parallel()
		s := begin(t, setup{desired: 1, balanced: true})
		id := s.deploy(s.good(), terminate(0, 3600))
		s.stands(id, orchestratorpb.Condition_TYPE_CONTINUE)
		old := s.alive(1)
		s.stop(id, orchestratorpb.StopDeploymentRequest_STOP_TYPE_ROLLBACK)
		s.ends(id, rollbackSuccessful)
		if now := s.alive(1); len(now) != 1 || now[0] != old[0] {
			t.Errorf("%v was replaced by %v", old, now)
		}
	})
	t.Run("keep alive", func(t *testing.T) {
		t.Parallel()
		s := begin(t, setup{desired: 1, balanced: true})
		s.ends(s.deploy(s.good(), terminate(orchestratorpb.TerminateSourceOption_ACTION_KEEP_ALIVE, 0)), successful)
		s.runs(1, 1)
		s.scale(3)
		s.runs(2, 3)
		s.ends(s.deploy(s.good(), &config{Strategy: blueGreen}), successful)
		s.runs(3, 3)
		s.runs(0, 3)
	})
}

// auto_rollback_configuration: the events say which ends are rolled back, by a deployment of its own that is linked both ways.
func TestAutoRollbackConfiguration(t *testing.T) {
	t.Parallel()
	const (
		onFailure = orchestratorpb.AutoRollbackConfiguration_EVENT_DEPLOYMENT_FAILURE
		onAlarm   = orchestratorpb.AutoRollbackConfiguration_EVENT_DEPLOYMENT_STOP_ON_ALARM
		onRequest = orchestratorpb.AutoRollbackConfiguration_EVENT_DEPLOYMENT_STOP_ON_REQUEST
	)
	type event = orchestratorpb.AutoRollbackConfiguration_Event
	causes := map[string]struct {
		event event
		code  string
		cause func(*service, string)
	}{
		"failure": {onFailure, "HOOK_EXECUTION_FAILURE", func(s *service, id string) {
			s.resume(id, "", 0)
		}},
		"alarm":   {onAlarm, "ALARM_ACTIVE", func(s *service, _ string) { s.becomes(isAlarm) }},
		"request": {onRequest, "MANUAL_STOP", func(s *service, id string) { s.stop(id, 0) }},
	}
	for name, c := range causes {
		for _, on := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s %t", name, on), func(t *testing.T) {
				t.Parallel()
				s := begin(t, setup{desired: 1, balanced: true})
				auto := &orchestratorpb.AutoRollbackConfiguration{Enabled: true, Events: []event{onFailure, onAlarm, onRequest}}
				if !on { // all but the one
					auto.Events = nil
					for _, other := range []event{onFailure, onAlarm, onRequest} {
						if other != c.event {
							auto.Events = append(auto.Events, other)
						}
					}
				}
				h := newHandler(t, s.name, says(failed))
				config := watching(blueGreen, s.alarm(isOK), false)
				config.AutoRollbackConfiguration = auto
				config.LifecycleHooks = append(config.LifecycleHooks, pauseAt(preShift), at(h, postShift))
				if name != "failure" {
					config.LifecycleHooks = append(config.LifecycleHooks[:0], pauseAt(postShift))
				}
				id := s.deploy(s.good(), config)
				s.stands(id, orchestratorpb.Condition_TYPE_CONTINUE)
				c.cause(s, id)
				d := s.ends(id, stopped)
				if d.GetErrorCode() != c.code || (d.GetRollbackDeployment() != "") != on {
					t.Fatalf("ended with %s, rolled back by %q", d.GetErrorCode(), d.GetRollbackDeployment())
				}
				if !on {
					if s.weight(d) != 100 {
						t.Errorf("%g %% of the traffic is left on the new revision", s.weight(d))
					}
					return
				}
				back := s.ends(d.GetRollbackDeployment(), successful)
				if back.GetRollbackOf() != id || back.GetTargetServiceRevision().GetId() != d.GetSourceServiceRevisions()[0].GetId() {
					t.Errorf("the rollback is %v", back)
				}
			})
		}
	}
}
