package test

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"testing"

	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/internal/stack"
	"github.com/slipway-deploy/slipway/internal/stories"
)

// process is the orchestrator as a program of its own, which can be killed.
type process struct {
	t       *testing.T
	s       *stack.Stack
	address string
	args    []string // more of them
	url     string   // of Postgres, if not the stack's
	cmd     *exec.Cmd
	log     *os.File
}

func (p *process) start() {
	p.t.Helper()
	p.cmd = exec.CommandContext(p.t.Context(), program(p.t, "orchestrator"), append([]string{
		"-listen", p.address, "-runtime-dir", p.s.RuntimeDir, "-hooks-target", p.s.Addresses.Hooks, "-healthcheck-target", p.s.Addresses.Healthcheck,
		"-alarms-target", p.s.Addresses.Alarms, "-traffic-target", p.s.Addresses.Proxy,
	}, p.args...)...)
	p.cmd.Env = append(os.Environ(), "DATABASE_URL="+cmp.Or(p.url, p.s.DatabaseURL))
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	serving(p.t, p.address)
}

// kill is kill -9.
func (p *process) kill() {
	p.t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		p.t.Fatal(err)
	}
	_ = p.cmd.Wait() // it was killed
}

// When the orchestrator is killed at any stage and started again, the deployment ends as it would have, no request is lost and
// no hook is called under two identities.
func TestKilledOrchestratorGoesOnWhereItWas(t *testing.T) {
	s := startStack(t, stack.Config{NoOrchestrator: true})
	log, err := os.Create(folder(t) + "/orchestrator.log")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if text, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Log("the orchestrator's log:\n" + string(text[max(len(text)-20000, 0):]))
		}
	})
	p := &process{t: t, s: s, address: freeAddress(t), log: log}
	p.start()
	t.Cleanup(p.kill)
	addresses := s.Addresses
	addresses.Orchestrator = p.address
	e := env(t, addresses)
	for i, at := range []struct{ story, event, stage string }{
		{"rolling", "TASKS_STARTED", ""},
		{"rolling", "TASK_HEALTHY", ""},
		{"rolling", "TASKS_STOPPED", ""},
		{"blue-green", "LIFECYCLE_STAGE_STARTED", "SCALE_UP"},
		{"blue-green", "HOOK_IN_PROGRESS", "POST_TEST_TRAFFIC_SHIFT"},
		{"blue-green", "TRAFFIC_SHIFTED", ""},
		{"blue-green", "LIFECYCLE_STAGE_STARTED", "BAKE_TIME"},
		{"blue-green", "LIFECYCLE_STAGE_STARTED", "CLEAN_UP"},
		{"canary", "TRAFFIC_SHIFTED", ""},
		{"canary", "SERVICE_DEPLOYMENT_FAILED", ""},
		{"circuit-breaker", "TASK_FAILED", ""},
		{"circuit-breaker", "SERVICE_DEPLOYMENT_FAILED", ""},
	} {
		t.Run(fmt.Sprintf("%s at %s %s", at.story, at.event, at.stage), func(t *testing.T) {
			story := find(t, at.story).Named(fmt.Sprintf("%s-%d", at.story, i))
			killed := false
			deployment := ""
			e.OnEvent = func(event *orchestratorpb.Event) {
				deployment = event.GetDeployment()
				if !killed && event.GetName() == at.event && (at.stage == "" || event.GetDetail()["lifecycleStage"] == at.stage) {
					killed = true
					p.kill()
					p.start()
				}
			}
			r := story.Play(t.Context(), e)
			if r.Err != nil {
				t.Fatal(r.Err)
			}
			if !killed {
				t.Fatalf("the event %s never came: nothing was killed", at.event)
			}
			oneIdentity(t, e, deployment)
		})
	}
}

func find(t *testing.T, name string) stories.Story {
	t.Helper()
	for _, s := range stories.All() {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("no story %s", name)
	return stories.Story{}
}

// oneIdentity makes sure that each hook of a deployment was called in one attempt under one id.
func oneIdentity(t *testing.T, e *stories.Env, deployment string) {
	t.Helper()
	list, err := e.Hooks.ListInvocations(t.Context(), &hookspb.ListInvocationsRequest{Deployment: deployment})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, call := range list.GetInvocations() {
		key := fmt.Sprintf("%s %s %d", call.GetHook(), call.GetLifecycleStage(), call.GetStep())
		if seen[key] {
			t.Errorf("%s was invoked twice", key)
		}
		seen[key] = true
		if call.GetAttempt() != 1 {
			t.Errorf("%s took %d attempts", key, call.GetAttempt())
		}
	}
}
