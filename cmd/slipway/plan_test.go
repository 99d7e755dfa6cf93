package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

func TestPlanIsATable(t *testing.T) {
	t.Parallel()
	f, address := start(t)
	f.addService("web")
	s := slipway(t, address, "plan", "web", "--task-definition", "web:2", "--steps", "10:30s,100")
	s.want(t, 0)
	want := `STEPS 10 % (30s), 100 %

AT      EXPECTED  STAGE                     WHAT HAPPENS                      PRODUCTION  TEST   OLD TASKS  NEW TASKS
+0.0s   +0.0s     SCALE_UP                  begins                            0 %         0 %    4          4
+0.0s   +0.0s     PRODUCTION_TRAFFIC_SHIFT  10 % of production traffic moves  10 %        100 %  4          4
+30.0s  +30.0s    PRODUCTION_TRAFFIC_SHIFT  all production traffic moves      100 %       100 %  4          4

takes                  30s at least
tasks at most          8 at once
envelope               at least 4 healthy tasks, at most 8 tasks: 0 may stop first, 0 may start first
fails at               3 failed tasks
a rollback returns to  default/web/1
warning: nothing stops a bad revision: no alarm is looked at
`
	if s.out != want {
		t.Errorf("got\n%s\nwant\n%s", s.out, want)
	}
	if len(f.creates) > 0 {
		t.Error("a plan made a deployment")
	}
	slipway(t, address, "plan", "nothing").want(t, 2, "there is no service nothing")
}

// planOf is a plan that a server answered.
func planOf(t *testing.T, name string) *orchestratorpb.PlanDeploymentResponse {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("internal", "gantt", "testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	r := &orchestratorpb.PlanDeploymentResponse{}
	if err := protojson.Unmarshal(data, r); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAPlanNeedsNoService(t *testing.T) {
	t.Parallel()
	f, address := start(t)
	f.plan = planOf(t, "steps")
	slipway(t, address, "plan").want(t, 2, "SERVICE is missing, or --desired-count")
	slipway(t, address, "plan", "--desired-count", "10", "--strategy", "canary").want(t, 0,
		"takes                  17m at least, 2h17m30s expected", "a task starts in       10s, assumed", "waits for people       3 times",
		"PRODUCTION_TRAFFIC_SHIFT  begins, step 2 of 3", "alarms                 web-5xx",
		"it is rolled back to default/imagined/1 if\n  - 5 tasks of the new revision fail", "the deployment completes")
	r := f.plans[len(f.plans)-1]
	if r.GetService() != "" || r.GetCluster() != "" || r.GetDesiredCount() != 10 || r.GetDeploymentConfiguration().GetStrategy() != orchestratorpb.DeploymentConfiguration_STRATEGY_CANARY {
		t.Errorf("asked for %v", r)
	}
	f.plan = planOf(t, "deadlock")
	slipway(t, address, "plan", "--desired-count", "3").want(t, 0, "takes                  it would not end", "deadlock               100 % of 3 tasks")
}

func TestAPlanIsDrawn(t *testing.T) {
	t.Parallel()
	f, address := start(t)
	f.addService("web")
	f.plan = planOf(t, "steps")
	file := filepath.Join(t.TempDir(), "plan.svg")
	slipway(t, address, "plan", "web", "--svg", file, "--theme", "dark").want(t, 0, "the timeline is in "+file)
	picture, err := os.ReadFile(file)
	if err != nil || !strings.HasPrefix(string(picture), "<svg ") || !strings.Contains(string(picture), "Plan of a deployment of web") {
		t.Errorf("%v: %.200s", err, picture)
	}
	slipway(t, address, "plan", "web", "--svg", file, "-o", "json").want(t, 0)
	slipway(t, address, "plan", "web", "--theme", "pink").want(t, 2, `--theme is light, dark or auto, not "pink"`)
	slipway(t, address, "plan", "web", "--svg", filepath.Join(file, "x")).want(t, 2, "cannot write the picture")
	screen := terminal{width: 120, height: 40, env: map[string]string{"LANG": "C.UTF-8", "NO_COLOR": "1"}}
	screen.slipway(t.Context(), address, "plan", "web").want(t, 0, "PRODUCTION_TRAFFIC_SHIFT", "▓▓", "production traffic  at most 100 %", "expected time (not to scale)")
	if s := slipway(t, address, "plan", "web"); strings.Contains(s.out, "▓") {
		t.Error("a picture where no terminal is")
	}
}
