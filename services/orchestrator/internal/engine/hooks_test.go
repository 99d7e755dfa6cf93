package engine_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
)

func TestAnInvocationWhoseAnswerWasLostIsRepeatedAsTheSame(t *testing.T) {
	for name, restart := range map[string]bool{"by the same engine": false, "by the next engine": true} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.start()
				w.create("web", withHook(blueGreen(), rollout.PostScaleUp))
				w.hooks.wire.loseAnswers(3)
				w.engine.Wake(key("web"))
				pass(10 * time.Millisecond)
				if restart {
					w.hooks.feed.cut() // what the next one sees first is a snapshot, in which the invocation is
					w.restart()
				}
				w.within(10*time.Second, "the deployment is done", func() bool { return w.deployment("web-1").State == rollout.Successful })
				asked := w.hooks.asked()
				if !restart && len(asked) != 4 {
					t.Errorf("%d calls, want 3 whose answer was lost and one more", len(asked))
				}
				for _, call := range asked {
					if call.GetId() != "web-1/POST_SCALE_UP/0/smoke" || !proto.Equal(call, asked[0]) {
						t.Errorf("asked for %v, want %v", call, asked[0])
					}
				}
				if n := count(w.happened("web-1"), rollout.EventHookInProgress); n != 1 {
					t.Errorf("the hook was called %d times by the events", n)
				}
			})
		})
	}
}

func TestAnInvocationThatIsGivenUpIsCanceled(t *testing.T) {
	reasons := map[string]func(w *world){
		"an alarm": func(w *world) { w.alarms.set("errors", alarmspb.MetricAlarm_STATE_ALARM) },
		"a rollback": func(w *world) {
			w.command("web", func(s rollout.State) (rollout.Decision, error) {
				return rollout.Stop(s, rollout.StopRollback, "", time.Now())
			})
		},
		"the service's end": func(w *world) { w.command("web", remove) },
	}
	for name, give := range reasons {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.start()
				w.live("web", blueGreen())
				w.alarms.set("errors", alarmspb.MetricAlarm_STATE_OK)
				w.hooks.state = hookspb.Invocation_STATE_IN_PROGRESS
				w.deploy(w.state("web"), "web-2", withHook(withAlarm(blueGreen(), "errors"), rollout.PreScaleUp))
				w.engine.Wake(key("web"))
				pass(time.Second)
				give(w)
				w.engine.Wake(key("web"))
				w.within(time.Second, "it is canceled", func() bool {
					return w.hooks.stateOf("web-2/PRE_SCALE_UP/0/smoke") == hookspb.Invocation_STATE_CANCELED
				})
			})
		})
	}
}

// A hook that reports back is invoked with CodeDeploy's contract, any other with ECS's.
func TestTheContractOfAHookReachesTheHooksService(t *testing.T) {
	for back, want := range map[bool]hookspb.Contract{true: hookspb.Contract_CONTRACT_CODEDEPLOY, false: hookspb.Contract_CONTRACT_UNSPECIFIED} {
		inWorld(t, func(t *testing.T, w *world) {
			w.start()
			c := withHook(blueGreen(), rollout.PostScaleUp)
			c.Hooks[0].ReportBack = back
			w.create("web", c)
			w.engine.Wake(key("web"))
			w.within(10*time.Second, "the deployment is done", func() bool { return w.deployment("web-1").State == rollout.Successful })
			if len(w.hooks.asked()) == 0 {
				t.Error("no hook was called")
			}
			for _, call := range w.hooks.asked() {
				if call.GetContract() != want || call.GetHookDetails().GetFields()["path"].GetStringValue() != "/health" {
					t.Errorf("report back %t: %v", back, call)
				}
			}
		})
	}
}
