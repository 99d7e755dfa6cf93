package main

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

func TestDeployFollowsToTheEnd(t *testing.T) {
	t.Parallel()
	f, address := start(t)
	f.addService("web")
	f.drive = succeed
	s := slipway(t, address, "deploy", "web", "--task-definition", "web:2")
	s.want(t, 0)
	want := `deployment d-2 of web: web:1 -> web:2, ROLLING
12:00:00 +0.0s    SERVICE_DEPLOYMENT_IN_PROGRESS  ECS deployment d-2 in progress.
12:00:04 +4.0s    TASK_HEALTHY                    task web-1-1 is healthy
12:00:12 +12.3s   SERVICE_DEPLOYMENT_ENDED        ended:
deployment d-2 SUCCESSFUL after 12s: web:2 is live
`
	if s.out != want || s.err != "" {
		t.Errorf("got\n%s%swant\n%s", s.out, s.err, want)
	}
}

func TestTheExitCodeTellsWhetherTheRevisionIsLive(t *testing.T) {
	t.Parallel()
	for state, want := range map[orchestratorpb.Deployment_State]int{
		orchestratorpb.Deployment_STATE_SUCCESSFUL:          0,
		orchestratorpb.Deployment_STATE_STOPPED:             1,
		orchestratorpb.Deployment_STATE_ROLLBACK_SUCCESSFUL: 1,
		orchestratorpb.Deployment_STATE_ROLLBACK_FAILED:     1,
	} {
		f, address := start(t)
		f.addService("web")
		f.drive = func(f *fake, id string) { f.end(id, state, "Alarm web-5xx went to ALARM.") }
		s := slipway(t, address, "deploy", "web", "--task-definition", "web:2")
		s.want(t, want, strings.TrimPrefix(state.String(), "STATE_")+" after 12s")
		slipway(t, address, "watch", "d-2").want(t, want)
		slipway(t, address, "watch", "web").want(t, want)
		if want != 0 {
			s.want(t, want, ": alarm web-5xx went to ALARM")
		}
	}
}

func TestABrokenStreamIsResumedWithoutARepeatedLine(t *testing.T) {
	t.Parallel()
	f, address := start(t)
	f.addService("web")
	f.drive, f.breakAfter = succeed, []int{1, 0, 1}
	s := slipway(t, address, "deploy", "web", "--task-definition", "web:2")
	s.want(t, 0, "connection lost: ", "restarting", "connected again")
	for _, line := range []string{"in progress.", "is healthy", "ended:"} {
		if n := strings.Count(s.out, line); n != 1 {
			t.Errorf("%q is there %d times in\n%s", line, n, s.out)
		}
	}
	if want := []int64{0, 1, 1, 2}; !slices.Equal(f.watched, want) {
		t.Errorf("resumed after %v, want %v", f.watched, want)
	}
}

func TestTimeoutAndCtrlCLeaveTheDeploymentAtWork(t *testing.T) {
	t.Parallel()
	f, address := start(t)
	f.addService("web")
	s := slipway(t, address, "deploy", "web", "--task-definition", "web:2", "--timeout", "300ms")
	s.want(t, 124, "not done within 300ms; deployment d-2 goes on (IN_PROGRESS). Come back with: slipway watch d-2. Stop it with: slipway stop d-2")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan session)
	go func() { done <- terminal{}.slipway(ctx, address, "watch", "web") }()
	f.eventually(t, func() bool { return len(f.watched) == 2 })
	cancel()
	(<-done).want(t, 130, "left; deployment d-2 goes on")
	if f.find("d-2").GetFinishTime() != nil {
		t.Error("leaving ended the deployment")
	}
}

func TestAServiceThatCannotBeReachedIsToldInOneSentence(t *testing.T) {
	t.Parallel()
	s := slipway(t, "127.0.0.1:1", "deploy", "web", "--task-definition", "web:2")
	s.want(t, 3)
	want := "error: cannot reach the orchestrator at 127.0.0.1:1: connection refused; start it with \"slipway dev\" or set --orchestrator\n"
	if s.err != want {
		t.Errorf("got %q, want %q", s.err, want)
	}
}

func TestTheSameRequestIDIsTheSameDeployment(t *testing.T) {
	t.Parallel()
	f, address := start(t)
	f.addService("web")
	for range 2 {
		slipway(t, address, "deploy", "web", "--task-definition", "web:2", "--request-id", "r-1", "--detach").
			want(t, 0, "deployment d-2 of web", "follow it with: slipway watch d-2")
	}
	slipway(t, address, "deploy", "web", "--task-definition", "web:2").want(t, 2, "deployment d-2 of web is at work", "slipway watch d-2", "--supersede")
	slipway(t, address, "deploy", "web", "--task-definition", "web:2", "--supersede", "--detach").want(t, 0, "deployment d-3 of web")
	for _, r := range f.creates {
		if r.GetRequestId() == "" {
			t.Error("a deployment was asked for without a request id")
		}
	}
}

func TestDeployRegistersTheFileFirst(t *testing.T) {
	t.Parallel()
	f, address := start(t)
	f.addService("web")
	f.drive = succeed
	file := write(t, "v3.yaml", "taskDefinition: {family: web, containerDefinitions: [{name: web}]}")
	slipway(t, address, "deploy", "web", "-f", file).want(t, 0, "web:1 -> web:3", "web:3 is live")
	file = write(t, "two.yaml", "cluster: {name: a}\n---\ntaskDefinition: {family: web, containerDefinitions: [{name: web}]}")
	slipway(t, address, "deploy", "web", "-f", file).want(t, 2, "two.yaml:1:1: deploy -f takes a file with one taskDefinition and nothing else")
	file = write(t, "bad.yaml", "taskDefinition:\n  family: '!'\n  containerDefinitions: [{name: web}]")
	slipway(t, address, "deploy", "web", "-f", file).want(t, 2, "bad.yaml:2:3: task_definition.family: ")
}

func TestStrategyFlagsChangeOnlyTheStrategy(t *testing.T) {
	t.Parallel()
	f, address := start(t)
	minimum := int32(50)
	hooks := []*orchestratorpb.LifecycleHook{{Hook: "smoke", LifecycleStages: []orchestratorpb.LifecycleStage{orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_POST_SCALE_UP}}}
	f.addService("web").DeploymentConfiguration = &orchestratorpb.DeploymentConfiguration{
		Strategy: orchestratorpb.DeploymentConfiguration_STRATEGY_ROLLING, MinimumHealthyPercent: &minimum,
		DeploymentCircuitBreaker: &orchestratorpb.DeploymentCircuitBreaker{Enable: true}, LifecycleHooks: hooks,
	}
	f.drive = succeed
	tests := []struct {
		args []string
		want *orchestratorpb.DeploymentConfiguration
	}{
		{nil, nil},
		{[]string{"--steps", "10:30s, 50%:1m:pause,100"}, &orchestratorpb.DeploymentConfiguration{
			Strategy: orchestratorpb.DeploymentConfiguration_STRATEGY_STEPS, LifecycleHooks: hooks,
			StepsConfiguration: &orchestratorpb.StepsConfiguration{Steps: []*orchestratorpb.TrafficStep{
				{Percent: 10, BakeTime: durationpb.New(30 * time.Second)}, {Percent: 50, BakeTime: durationpb.New(time.Minute), Pause: true}, {Percent: 100},
			}},
		}},
		{[]string{"--strategy", "blue-green"}, &orchestratorpb.DeploymentConfiguration{
			Strategy: orchestratorpb.DeploymentConfiguration_STRATEGY_BLUE_GREEN, LifecycleHooks: hooks,
		}},
		{[]string{"--config", "CodeDeployDefault.ECSAllAtOnce"}, &orchestratorpb.DeploymentConfiguration{
			DeploymentConfigName: "CodeDeployDefault.ECSAllAtOnce", LifecycleHooks: hooks,
		}},
		{[]string{"--strategy", "ROLLING"}, f.service("", "web").GetDeploymentConfiguration()},
	}
	for i, test := range tests {
		s := slipway(t, address, append([]string{"deploy", "web", "--task-definition", "web:2"}, test.args...)...)
		s.want(t, 0)
		if got := f.creates[i].GetDeploymentConfiguration(); !proto.Equal(got, test.want) {
			t.Errorf("%v:\n got %v\nwant %v", test.args, got, test.want)
		}
		dropped := test.want.GetStrategy() != orchestratorpb.DeploymentConfiguration_STRATEGY_ROLLING && test.want != nil
		if strings.Contains(s.err, "circuit breaker goes with ROLLING only") != dropped {
			t.Errorf("%v: stderr is %q", test.args, s.err)
		}
	}
}

func TestBadStrategyFlagsAreRefusedBeforeAnyCall(t *testing.T) {
	t.Parallel()
	for flags, want := range map[string]string{
		"--steps 10:30":                   `"30" in "10:30" is neither a bake time such as 30s nor "pause"`,
		"--steps 50,10":                   "the percents must grow, and 10 follows 50",
		"--steps 0,100":                   `"0" is no percent above 0 and up to 100`,
		"--steps NaN":                     `"NaN" is no percent`,
		"--steps 10,":                     `"" is no percent`,
		"--strategy recreate":             `--strategy is rolling, blue-green, linear, canary or steps, not "recreate"`,
		"--strategy canary --steps 10":    "--steps goes with --strategy steps only",
		"--config a --steps 10":           "--config and --steps exclude each other",
		"--file a --task-definition b":    "--task-definition and --file exclude each other",
		"--timeout -1s":                   "--timeout must not be negative",
		"--output xml":                    "--output is table, json or yaml",
		"--insecure --tls-ca /no/such":    "--insecure and --tls-ca exclude each other",
		"--timeout soon":                  `invalid argument "soon" for "--timeout" flag`,
		"--tls-ca /no/such --steps 10:1s": "/no/such",
	} {
		s := slipway(t, "127.0.0.1:1", append([]string{"deploy", "web"}, strings.Fields(flags)...)...)
		s.want(t, 2, want)
	}
}

func TestDeployAnswersWithOneDocument(t *testing.T) {
	t.Parallel()
	f, address := start(t)
	f.addService("web")
	f.drive = succeed
	s := slipway(t, address, "deploy", "web", "--task-definition", "web:2", "-o", "json")
	s.want(t, 0)
	answer := &orchestratorpb.GetDeploymentResponse{}
	if err := protojson.Unmarshal([]byte(s.out), answer); err != nil {
		t.Fatalf("stdout is not one answer: %v\n%s", err, s.out)
	}
	if !isLive(answer.GetDeployment()) || !strings.Contains(s.err, "task web-1-1 is healthy") {
		t.Errorf("state %s, stderr\n%s", answer.GetDeployment().GetState(), s.err)
	}
}

func TestWatchAnswersLineByLine(t *testing.T) {
	t.Parallel()
	f, address := start(t)
	f.addService("web")
	f.drive = succeed
	slipway(t, address, "deploy", "web", "--task-definition", "web:2").want(t, 0)
	s := slipway(t, address, "watch", "d-2", "-o", "json")
	s.want(t, 0)
	lines := strings.Split(strings.TrimSpace(s.out), "\n")
	for _, line := range lines {
		var answer struct{ Events []struct{ Name string } }
		if err := json.Unmarshal([]byte(line), &answer); err != nil || len(answer.Events) != 1 {
			t.Errorf("%v: %s", err, line)
		}
	}
	if len(lines) != 3 {
		t.Errorf("got %d lines, want 3", len(lines))
	}
}

func TestWatchSaysWhatItCannotFind(t *testing.T) {
	t.Parallel()
	f, address := start(t)
	slipway(t, address, "watch", "nothing").want(t, 2, "there is no deployment nothing, and no service of that name in cluster default")
	unlock := f.lock("")
	f.services = append(f.services, &orchestratorpb.Service{Cluster: "default", Name: "new"})
	unlock()
	slipway(t, address, "watch", "new").want(t, 2, "service new has had no deployment")
}
