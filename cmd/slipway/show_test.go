package main

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/durationpb"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

func TestServicesAndTasksAreListed(t *testing.T) {
	t.Parallel()
	f, address := start(t)
	f.addService("web")
	code := int32(1)
	unlock := f.lock("")
	f.services = append(f.services, &orchestratorpb.Service{Cluster: "staging", Name: "api", TaskDefinition: "api:7", Deployment: "d-9"})
	f.tasks = []*orchestratorpb.Task{
		{Name: "web-1-1", Service: "web", TaskDefinition: "web:1", State: orchestratorpb.Task_STATE_RUNNING, TargetHealth: "HEALTHY", Draining: true, Addresses: []string{"127.0.0.1:9000"}},
		{Name: "web-1-2", Service: "web", TaskDefinition: "web:1", State: orchestratorpb.Task_STATE_STOPPED, StartTime: at(0), StopTime: at(62), StopCode: "ESSENTIAL_CONTAINER_EXITED", ExitCode: &code},
	}
	unlock()
	slipway(t, address, "services").want(t, 0, "CLUSTER  SERVICE  STATE   TASK DEFINITION  DESIRED  RUNNING  PENDING  DEPLOYMENT\ndefault  web      ACTIVE  web:1            4        4        0        -\n")
	if s := slipway(t, address, "services"); strings.Contains(s.out, "api") {
		t.Error("services of other clusters are listed")
	}
	slipway(t, address, "services", "-A").want(t, 0, "staging  api")
	s := slipway(t, address, "services", "-A", "-o", "json")
	answer := &orchestratorpb.ListServicesResponse{}
	if err := protojson.Unmarshal([]byte(s.out), answer); err != nil || len(answer.GetServices()) != 2 {
		t.Errorf("%v in\n%s", err, s.out)
	}
	slipway(t, address, "tasks", "web").want(t, 0, "web-1-1  web:1            RUNNING, drains  -           HEALTHY  127.0.0.1:9000", "1m02s  ESSENTIAL_CONTAINER_EXITED, exit code 1")
	slipway(t, address, "tasks", "nothing").want(t, 2, `there is no service nothing; "slipway services" lists those there are`)
}

func TestStatusIsOneScreen(t *testing.T) {
	t.Parallel()
	f, address := start(t)
	s := f.addService("web")
	s.DeploymentConfiguration = &orchestratorpb.DeploymentConfiguration{
		Strategy: orchestratorpb.DeploymentConfiguration_STRATEGY_BLUE_GREEN,
		Alarms:   &orchestratorpb.DeploymentAlarms{AlarmNames: []string{"web-5xx", "gone"}, Enable: true},
		LifecycleHooks: []*orchestratorpb.LifecycleHook{{
			Hook: "smoke", LifecycleStages: []orchestratorpb.LifecycleStage{orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_POST_SCALE_UP},
			Timeout: durationpb.New(time.Minute),
		}},
	}
	s.LoadBalancer = &orchestratorpb.LoadBalancer{ProductionListener: "127.0.0.1:8080", TestListener: "127.0.0.1:8081"}
	s.TaskSets = []*orchestratorpb.TaskSet{{TaskDefinition: "web:1", TargetGroup: "web-a", DesiredCount: 4, RunningCount: 4, HealthyCount: 4, ProductionTrafficWeight: 100}}
	f.alarms["web-5xx"] = &alarmspb.MetricAlarm{Name: "web-5xx", State: alarmspb.MetricAlarm_STATE_OK, StateUpdateTime: at(0)}
	slipway(t, address, "status", "web").want(t, 0,
		"web  ACTIVE  web:1 · cluster default", "4 of 4 tasks running, 0 pending · revision default/web/1 serves",
		"production 127.0.0.1:8080 · test 127.0.0.1:8081", "last: deployment d-1 SUCCESSFUL after 5.0s: web:1 is live", "web:1 web-a █",
		"smoke  at POST_SCALE_UP  within 1m, else ROLLBACK", "web-5xx  OK  since 2026-01-31 12:00:00", "gone  does not exist")
	slipway(t, address, "deploy", "web", "--task-definition", "web:2", "--detach").want(t, 0)
	f.change("d-2", 1, "X", "x", func(d *orchestratorpb.Deployment) {
		d.Conditions = []*orchestratorpb.Condition{{Type: orchestratorpb.Condition_TYPE_CONTINUE, Message: "ContinueDeployment (hook h-1)", SinceTime: at(1)}}
	})
	slipway(t, address, "status", "web").want(t, 0, "deployment d-2 · revision 1 → 2", "IN_PROGRESS", "‖ ContinueDeployment (hook h-1)", "slipway continue d-2")
	answer := slipway(t, address, "status", "web", "-o", "yaml")
	answer.want(t, 0, "---\nservice:\n  cluster: default\n  name: web\n", "\ndeployment:\n  id: d-2\n", "\nalarms:\n  - name: web-5xx\n")
	down := terminal{}.slipway(t.Context(), "", "status", "web", "--orchestrator", address, "--alarms", "127.0.0.1:1")
	down.want(t, 0, "cannot reach the alarms at 127.0.0.1:1: connection refused")
}

func TestHistoryTellsHowLongARollbackTook(t *testing.T) {
	t.Parallel()
	f, address := start(t)
	f.addService("web")
	f.drive = func(f *fake, id string) {
		f.change(id, 1, "X", "x", func(d *orchestratorpb.Deployment) {
			d.Rollback = &orchestratorpb.Rollback{ServiceRevision: "default/web/1", StartTime: at(10), SafeTime: at(10.4)}
			d.StepCount = 2
			d.History = []*orchestratorpb.StageHistory{
				{StartTime: at(0), EndTime: at(1), Outcome: orchestratorpb.StageHistory_OUTCOME_SUCCEEDED},
				{
					LifecycleStage: orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_PRODUCTION_TRAFFIC_SHIFT, Step: 2, StartTime: at(1), EndTime: at(10),
					Outcome: orchestratorpb.StageHistory_OUTCOME_FAILED, Reason: "alarm web-5xx",
				},
				{LifecycleStage: orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_CLEAN_UP, Rollback: true, StartTime: at(10), EndTime: at(12), Outcome: orchestratorpb.StageHistory_OUTCOME_SUCCEEDED},
			}
		})
		f.end(id, orchestratorpb.Deployment_STATE_ROLLBACK_SUCCESSFUL, "alarm web-5xx")
	}
	slipway(t, address, "deploy", "web", "--task-definition", "web:2").want(t, 1, "web:1 serves again, with all production traffic 400ms after the rollback began")
	s := slipway(t, address, "history", "web")
	s.want(t, 0, "d-2         web      web:1 -> web:2   ROLLING   2026-01-31 12:00:00  12s   ROLLBACK_SUCCESSFUL  web:1           400ms       alarm web-5xx")
	if strings.Index(s.out, "d-2") > strings.Index(s.out, "d-1") {
		t.Error("the newest is not first")
	}
	if s := slipway(t, address, "history", "web", "--limit", "1"); strings.Contains(s.out, "d-1 ") {
		t.Error("--limit does not limit")
	}
	slipway(t, address, "history", "--deployment", "d-2").want(t, 0, "rolling update", "PRODUCTION_TRAFFIC_SHIFT  2 of 2  2026-01-31 12:00:01  +1.0s   9.0s  FAILED     alarm web-5xx", "CLEAN_UP (rollback)")
	slipway(t, address, "history", "web", "--deployment", "d-2").want(t, 2, "exclude each other")
}

func TestAlarmsAreListedSetAndRemembered(t *testing.T) {
	t.Parallel()
	f, address := start(t)
	f.alarms["web-5xx"] = &alarmspb.MetricAlarm{Name: "web-5xx", State: alarmspb.MetricAlarm_STATE_OK, Namespace: "AWS/ApplicationELB", MetricName: "m", StateUpdateTime: at(0)}
	slipway(t, address, "alarms").want(t, 0, "web-5xx  OK     2026-01-31 12:00:00  AWS/ApplicationELB/m  -")
	slipway(t, address, "alarms", "set", "web-5xx", "alarm", "--reason", "drill").want(t, 0, "alarm web-5xx is ALARM until its next evaluation")
	slipway(t, address, "alarms", "list").want(t, 0, "web-5xx  ALARM", "drill")
	slipway(t, address, "alarms", "history", "web-5xx").want(t, 0, "2026-01-31 12:01:00  web-5xx  STATE_UPDATE  Alarm updated from INSUFFICIENT_DATA to ALARM")
	slipway(t, address, "alarms", "set", "web-5xx", "red").want(t, 2, `STATE is OK, ALARM or INSUFFICIENT_DATA, not "red"`)
	slipway(t, address, "alarms", "set", "nothing", "OK").want(t, 2, `there is no alarm nothing; "slipway alarms" lists those there are`)
}
