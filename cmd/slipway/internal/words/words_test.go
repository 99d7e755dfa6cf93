package words

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

func TestEnumsLoseTheirPrefix(t *testing.T) {
	t.Parallel()
	for want, got := range map[string]string{
		"ROLLBACK_FAILED":  Enum(orchestratorpb.Deployment_STATE_ROLLBACK_FAILED),
		"PRE_SCALE_UP":     Enum(orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_PRE_SCALE_UP),
		"":                 Enum(orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_UNSPECIFIED),
		"4711":             Enum(orchestratorpb.Deployment_State(4711)),
		"BLUE_GREEN":       Enum(orchestratorpb.DeploymentConfiguration_STRATEGY_BLUE_GREEN),
		"TASK_START_DELAY": Enum(orchestratorpb.Condition_TYPE_TASK_START_DELAY),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestTimesAreShort(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration][2]string{
		-time.Second:                         {"0.0s", "+0.0s"},
		240 * time.Millisecond:               {"0.2s", "+0.2s"},
		9960 * time.Millisecond:              {"10s", "+9.9s"},
		12340 * time.Millisecond:             {"12s", "+12.3s"},
		59990 * time.Millisecond:             {"1m00s", "+59.9s"},
		185 * time.Second:                    {"3m05s", "+3m05.0s"},
		119980 * time.Millisecond:            {"2m00s", "+1m59.9s"},
		62 * time.Minute:                     {"1h02m", "+1h02m"},
		76*time.Hour + 4*time.Minute:         {"3d04h", "+3d04h"},
		59*time.Minute + 59*time.Second + 1:  {"59m59s", "+59m59s"},
		time.Hour - 200*time.Millisecond + 1: {"1h00m", "+1h00m"},
	} {
		if got := [2]string{Took(d), Since(d)}; got != want {
			t.Errorf("%s: got %q, want %q", d, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "0s", 30 * time.Second: "30s", 5 * time.Minute: "5m", 90 * time.Minute: "1h30m", 2 * time.Hour: "2h",
		500 * time.Millisecond: "500ms", 10 * time.Minute: "10m", 20*time.Minute + 10*time.Second: "20m10s",
	} {
		if got := Length(durationpb.New(d)); got != want {
			t.Errorf("Length(%s) is %q, want %q", d, got, want)
		}
	}
}

func TestTextFromAServerCannotDriveTheTerminal(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a\x1b[2Jb":              "a[2Jb",
		" two\nlines\t\x07 ":     "two lines",
		"title\u009dx\u202eevil": "titlexevil",
		"Grüße, 世界":              "Grüße, 世界",
	} {
		if got := Clean(text); got != want {
			t.Errorf("Clean(%q) is %q, want %q", text, got, want)
		}
	}
}

func TestStrategiesFitOneLine(t *testing.T) {
	t.Parallel()
	minute := durationpb.New(time.Minute)
	for want, c := range map[string]*orchestratorpb.DeploymentConfiguration{
		"-":                        nil,
		"ROLLING":                  {},
		"BLUE_GREEN, bake time 1m": {Strategy: orchestratorpb.DeploymentConfiguration_STRATEGY_BLUE_GREEN, BakeTime: minute},
		"CANARY 2.5 % (1m), 100 %": {
			Strategy:            orchestratorpb.DeploymentConfiguration_STRATEGY_CANARY,
			CanaryConfiguration: &orchestratorpb.CanaryConfiguration{CanaryPercent: new(2.5), CanaryBakeTime: minute},
		},
		"LINEAR CodeDeployDefault.ECSLinear10PercentEvery1Minutes 10 % (every 1m)": {
			Strategy: orchestratorpb.DeploymentConfiguration_STRATEGY_LINEAR, DeploymentConfigName: "CodeDeployDefault.ECSLinear10PercentEvery1Minutes",
			LinearConfiguration: &orchestratorpb.LinearConfiguration{StepPercent: new(10.0), StepBakeTime: minute},
		},
		"STEPS 10 % (1m), 50 % (pause), 100 %": {
			Strategy: orchestratorpb.DeploymentConfiguration_STRATEGY_STEPS,
			StepsConfiguration: &orchestratorpb.StepsConfiguration{Steps: []*orchestratorpb.TrafficStep{
				{Percent: 10, BakeTime: minute}, {Percent: 50, Pause: true}, {Percent: 100},
			}},
		},
	} {
		if got := Strategy(c); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestOutcomeSaysWhatServes(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	at := func(s float64) *timestamppb.Timestamp {
		return timestamppb.New(start.Add(time.Duration(s * float64(time.Second))))
	}
	d := &orchestratorpb.Deployment{
		Id: "d-2", State: orchestratorpb.Deployment_STATE_SUCCESSFUL, CreateTime: at(0), FinishTime: at(72),
		SourceServiceRevisions: []*orchestratorpb.ServiceRevision{
			{Id: "default/web/2", Number: 2, TaskDefinition: "web:2"}, {Id: "default/web/3", Number: 3, TaskDefinition: "web:3"},
		},
		TargetServiceRevision: &orchestratorpb.ServiceRevision{Id: "default/web/4", Number: 4, TaskDefinition: "web:4"},
	}
	check := func(want string) {
		t.Helper()
		if got := Outcome(d, start.Add(time.Hour)); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
	check("deployment d-2 SUCCESSFUL after 1m12s: web:4 is live")
	d.State, d.Reason = orchestratorpb.Deployment_STATE_ROLLBACK_SUCCESSFUL, "Alarm web-5xx went to ALARM."
	d.Rollback = &orchestratorpb.Rollback{ServiceRevision: "default/web/3", StartTime: at(60), SafeTime: at(60.2)}
	check("deployment d-2 ROLLBACK_SUCCESSFUL after 1m12s: alarm web-5xx went to ALARM; web:3 serves again, " +
		"with all production traffic 200ms after the rollback began")
	d.State, d.Reason, d.SupersededBy = orchestratorpb.Deployment_STATE_STOPPED, "", "d-3"
	check("deployment d-2 STOPPED after 1m12s: superseded by d-3")
	d.State, d.SupersededBy, d.FinishTime = orchestratorpb.Deployment_STATE_IN_PROGRESS, "", nil
	check("deployment d-2 IN_PROGRESS after 1h00m")
	if got := Definitions(d, "->") + ", " + Revisions(d, "->"); got != "web:3 -> web:4, 3 -> 4" {
		t.Errorf("got %q", got)
	}
}
