package rollout

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// explained is the explanation of a deployment in the world as it stands, as text.
func explained(w *world, id string) string {
	d := Deployment{}
	switch at := w.state.Deployment; {
	case at != nil && at.ID == id:
		d = *at
	default:
		for _, waiting := range append(w.ended, w.state.Service.Queue...) {
			if waiting.ID == id {
				d = waiting
			}
		}
	}
	ev := Evidence{Observation: w.observe(), Alarms: map[string]AlarmEvidence{}, Invocations: map[string]InvocationEvidence{}}
	for name, state := range w.alarms {
		ev.Alarms[name] = AlarmEvidence{Reason: "Threshold Crossed (" + string(state) + ")", Since: epoch}
	}
	for id := range w.calls {
		ev.Invocations[id] = InvocationEvidence{Attempt: 2, Next: w.now.Add(30 * time.Second), Since: epoch}
	}
	for _, e := range w.events {
		if e.Deployment == id {
			ev.Events = append(ev.Events, e)
		}
	}
	return toldWhy(Explain(w.state, d, ev, w.now))
}

func toldWhy(x Explanation) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	facts := func(indent string, list []Fact) {
		for _, f := range list {
			at := ""
			if !f.Time.IsZero() {
				at = fmt.Sprintf(" [%s]", f.Time.Sub(epoch))
			}
			line("%s%s %s %s: %s%s", indent, f.Kind, f.Subject, f.State, f.Text, at)
		}
	}
	actions := func(indent string, list []Action) {
		for _, a := range list {
			line("%sto %s: %s | %s %s", indent, a.Description, a.Command, a.Method, a.Request)
		}
	}
	line("%s", x.Summary)
	for _, w := range x.Waits {
		line("waits %s: %s, since %s, then %q", w.Condition.Type, w.Condition.Message, w.Condition.Since.Sub(epoch), w.Condition.Then)
		facts("  ", w.Evidence)
		line("  %s", w.Who)
		actions("  ", w.Actions)
	}
	if len(x.Causes) > 0 {
		line("because")
		facts("  ", x.Causes)
	}
	line("serving, back to %q", x.Revision)
	facts("  ", x.Serving)
	actions("", x.Actions)
	return b.String()
}

// Each file in testdata is what people are told, as a reviewer reads it: go test -rewrite.
func TestExplanations(t *testing.T) {
	t.Parallel()
	watched := func(c *Config) {
		c.Alarms = DefaultAlarms()
		c.Alarms.Names, c.Alarms.Enable, c.Alarms.Rollback = []string{"web-5xx"}, true, true
	}
	for name, story := range map[string]func(t *testing.T) *world{
		"why_tasks_fail": func(t *testing.T) *world {
			c := config(Rolling, func(c *Config) { breaks(c); c.CircuitBreaker.Threshold = Threshold{Count, 20} })
			w := begun(t, 2, c)
			w.behave = func(set string, n int) behaviour {
				return behaviour{Ready: time.Second, Unhealthy: set == "web-2" && n%2 == 0, ExitAtOnce: set == "web-2" && n%2 == 1}
			}
			mustDeploy(t, w, "d-2", c, false)
			w.run(20 * time.Second)
			return w
		},
		"why_starting": func(t *testing.T) *world {
			c := config(BlueGreen, nil)
			w := begun(t, 2, c)
			w.behave = func(string, int) behaviour { return behaviour{Ready: time.Hour} }
			mustDeploy(t, w, "d-2", c, false)
			w.run(30 * time.Second)
			return w
		},
		"why_pause": func(t *testing.T) *world {
			c := config(Steps, func(c *Config) {
				c.Hooks = []Hook{{Pause: true, Stages: []Stage{PreProductionTrafficShift}, Timeout: time.Hour, TimeoutAction: OnTimeoutRollback, Quorum: 2}}
			})
			w := begun(t, 2, config(Steps, nil))
			mustDeploy(t, w, "d-2", c, false)
			w.run(time.Minute)
			w.try(Continue(w.state, Answer{Approver: "ann"}, w.now))
			w.settle()
			return w
		},
		"why_alarm_at_start": func(t *testing.T) *world {
			c := config(BlueGreen, watched)
			w := begun(t, 1, config(BlueGreen, nil))
			w.alarms["web-5xx"] = AlarmInAlarm
			mustDeploy(t, w, "d-2", c, false)
			w.run(time.Minute)
			return w
		},
		"why_deadlock": func(t *testing.T) *world {
			c := config(Rolling, func(c *Config) { c.MaximumPercent = 125 })
			w := begun(t, 3, c)
			mustDeploy(t, w, "d-2", c, false)
			w.run(time.Minute)
			return w
		},
		"why_bake": func(t *testing.T) *world {
			c := config(Canary, watched)
			w := begun(t, 2, config(Canary, nil))
			w.alarms["web-5xx"] = AlarmOK
			mustDeploy(t, w, "d-2", c, false)
			w.run(time.Minute)
			return w
		},
		"why_hook": func(t *testing.T) *world {
			c := config(BlueGreen, func(c *Config) {
				c.Hooks = []Hook{
					{Hook: "smoke", Stages: []Stage{PostScaleUp}, Timeout: time.Hour, TimeoutAction: OnTimeoutRollback, ReportBack: true},
				}
			})
			w := begun(t, 1, config(BlueGreen, nil))
			w.hook = func(DesiredInvocation) InvocationFact {
				return InvocationFact{Status: HookInProgress, Reason: "waits for the report"}
			}
			mustDeploy(t, w, "d-2", c, false)
			w.run(30 * time.Second)
			return w
		},
		"why_no_data_plane": func(t *testing.T) *world {
			w := begun(t, 1, config(BlueGreen, nil))
			mustDeploy(t, w, "d-2", config(BlueGreen, nil), false)
			w.unknown["traffic"], w.unknown["health"] = true, true
			w.run(30 * time.Second)
			return w
		},
		"why_stopped": func(t *testing.T) *world {
			w := begun(t, 2, config(Canary, nil))
			mustDeploy(t, w, "d-2", config(Canary, nil), false)
			w.run(time.Minute)
			w.try(Stop(w.state, StopAbort, "hold it there", w.now))
			w.run(time.Minute)
			return w
		},
		"why_rolled_back": func(t *testing.T) *world {
			c := config(Canary, watched)
			w := begun(t, 2, config(Canary, nil))
			w.alarms["web-5xx"] = AlarmOK
			mustDeploy(t, w, "d-2", c, false)
			w.run(time.Minute)
			w.alarms["web-5xx"] = AlarmInAlarm
			w.run(time.Hour)
			return w
		},
		"why_tripped": func(t *testing.T) *world {
			w := begun(t, 16, config(Rolling, breaks))
			w.behave = func(set string, _ int) behaviour { return behaviour{Ready: time.Second, ExitAtOnce: set == "web-2"} }
			mustDeploy(t, w, "d-2", config(Rolling, breaks), false)
			w.run(time.Hour)
			return w
		},
		"why_queued": func(t *testing.T) *world {
			w := begun(t, 1, config(Canary, nil))
			w.state.Service.Spec.Concurrency = Concurrency{Mode: Queue}
			mustDeploy(t, w, "d-1b", config(Canary, nil), false)
			w.run(30 * time.Second)
			mustDeploy(t, w, "d-2", config(Canary, nil), false)
			return w
		},
		"why_successful": func(t *testing.T) *world {
			w := begun(t, 1, config(BlueGreen, nil))
			mustDeploy(t, w, "d-2", config(BlueGreen, nil), false)
			w.run(time.Hour)
			return w
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := story(t)
			w.sound(t)
			golden(t, filepath.Join("testdata", name+".txt"), explained(w, "d-2"))
		})
	}
}
