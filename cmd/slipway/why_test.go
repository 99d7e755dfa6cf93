package main

import (
	"testing"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

func TestWhyTellsWhatIsWaitedForAndWhatCanBeDone(t *testing.T) {
	t.Parallel()
	f, address := start(t)
	f.addService("web")
	f.explanation = &orchestratorpb.ExplainDeploymentResponse{
		Deployment: "d-1", Summary: "Deployment d-1 of default/web to web:1 is IN_PROGRESS; it waits: ContinueDeployment.",
		Waits: []*orchestratorpb.ExplainedWait{{
			Condition: &orchestratorpb.Condition{Type: orchestratorpb.Condition_TYPE_CONTINUE, Message: "ContinueDeployment (hook h-1)"},
			Evidence: []*orchestratorpb.Evidence{
				{Kind: orchestratorpb.Evidence_KIND_PAUSE, Subject: "h-1", State: "AWAITING_ACTION", Text: "nobody has answered"},
				{Kind: orchestratorpb.Evidence_KIND_TASK, Subject: "web-1-1", Text: "it runs\x1b[2J", Time: at(0)},
			},
			Who: "A person: go on, or roll back.",
			Actions: []*orchestratorpb.ExplainedAction{{
				Description: "go on", Command: "slipway continue d-1", Grpcurl: "grpcurl -plaintext -d '{}' 127.0.0.1:7001 X/Y",
			}},
		}},
		Causes:  []*orchestratorpb.Evidence{{Kind: orchestratorpb.Evidence_KIND_ALARM, Subject: "web-5xx", State: "ALARM", Text: "7 > 5"}},
		Serving: []*orchestratorpb.Evidence{{Kind: orchestratorpb.Evidence_KIND_REVISION, Subject: "default/web/1", State: "HEALTHY", Text: "4 of 4 tasks healthy"}},
		Actions: []*orchestratorpb.ExplainedAction{{Description: "roll back", Command: "slipway stop d-1"}},
	}
	want := `Deployment d-1 of default/web to web:1 is IN_PROGRESS; it waits: ContinueDeployment.

waits for  ContinueDeployment (hook h-1)
evidence   pause h-1 AWAITING_ACTION: nobody has answered
           task web-1-1: it runs[2J (2026-01-31 12:00:00)
who        A person: go on, or roll back.
           go on
             slipway continue d-1
             grpcurl -plaintext -d '{}' 127.0.0.1:7001 X/Y

because    alarm web-5xx ALARM: 7 > 5

serving    revision default/web/1 HEALTHY: 4 of 4 tasks healthy

you can
           roll back
             slipway stop d-1
`
	for _, name := range []string{"web", "d-1"} {
		s := slipway(t, address, "why", name)
		s.want(t, 0)
		if s.out != want {
			t.Errorf("got\n%s\nwant\n%s", s.out, want)
		}
	}
	slipway(t, address, "why", "web", "-o", "json").want(t, 0, `"who": "A person: go on, or roll back."`)
	slipway(t, address, "why", "nothing").want(t, 2, "there is no deployment nothing, and no service of that name")
}
