package rollout

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var rewrite = flag.Bool("rewrite", false, "rewrite testdata instead of comparing with it")

// Each transcript is a story and what the core says of it, event by event. A change of behaviour is a change of a file in
// testdata that a reviewer reads: go test -rewrite.
func TestTranscripts(t *testing.T) {
	t.Parallel()
	for name, story := range stories() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := story(t)
			if len(w.problems) > 0 {
				t.Error(w.problems)
			}
			var b strings.Builder
			b.WriteString(strings.Join(w.trace, "\n"))
			for _, d := range w.ended {
				b.WriteString("\n= " + d.ID + " " + string(d.State) + " " + string(d.RolloutState) + ": " + d.Reason)
			}
			b.WriteString("\n")
			file := filepath.Join("testdata", name+".txt")
			if *rewrite {
				if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got := b.String(); got != string(want) {
				t.Errorf("%s differs; got:\n%s", file, got)
			}
		})
	}
}

func config(strategy Strategy, change func(*Config)) Config {
	c := DefaultConfig()
	c.Strategy = strategy
	c.RollbackTimeout, c.ScaleUpTimeout = 10*time.Minute, time.Minute
	switch strategy {
	case BlueGreen:
		c.Steps = AllAtOnce()
	case Canary:
		c.Steps = CanarySteps(100, 5*time.Minute)
	case Steps:
		c.Steps = CompleteSteps([]TrafficStep{{Share: 100, BakeTime: time.Minute}, {Share: 500, BakeTime: time.Minute}})
	}
	if change != nil {
		change(&c)
	}
	return c
}

// begun is a world in which version 1 of a service with n tasks is live.
func begun(t *testing.T, n int, c Config) *world {
	t.Helper()
	w := newWorld(Spec{DesiredCount: n, Config: c, LoadBalancer: testLoadBalancer()})
	mustDeploy(t, w, "d-1", c, false)
	w.run(time.Hour)
	w.trace = nil
	w.ended = nil
	return w
}

func mustDeploy(t *testing.T, w *world, id string, c Config, supersede bool) {
	t.Helper()
	if err := w.deploy(id, "web:"+strings.TrimPrefix(id, "d-"), c, supersede); err != nil {
		t.Fatal(err)
	}
}

func stories() map[string]func(t *testing.T) *world {
	breaker := func(c *Config) { c.CircuitBreaker.Enable, c.CircuitBreaker.Rollback = true, true }
	return map[string]func(t *testing.T) *world{
		"rolling": func(t *testing.T) *world {
			w := begun(t, 4, config(Rolling, nil))
			mustDeploy(t, w, "d-2", config(Rolling, nil), false)
			w.run(time.Hour)
			return w
		},
		"rolling_stop_first": func(t *testing.T) *world {
			c := config(Rolling, func(c *Config) { c.MinimumHealthyPercent, c.MaximumPercent = 50, 100 })
			w := begun(t, 4, c)
			mustDeploy(t, w, "d-2", c, false)
			w.run(time.Hour)
			return w
		},
		"rolling_deadlock": func(t *testing.T) *world {
			c := config(Rolling, func(c *Config) { c.MaximumPercent = 125 })
			w := begun(t, 3, c)
			mustDeploy(t, w, "d-2", c, false)
			w.run(time.Hour)
			return w
		},
		"circuit_breaker": func(t *testing.T) *world {
			w := begun(t, 4, config(Rolling, breaker))
			w.behave = func(set string, _ int) behaviour { return behaviour{Ready: time.Second, ExitAtOnce: set == "web-2"} }
			mustDeploy(t, w, "d-2", config(Rolling, breaker), false)
			w.run(time.Hour)
			return w
		},
		"circuit_breaker_unhealthy": func(t *testing.T) *world {
			w := begun(t, 10, config(Rolling, breaker))
			w.behave = func(set string, _ int) behaviour { return behaviour{Ready: time.Second, Unhealthy: set == "web-2"} }
			mustDeploy(t, w, "d-2", config(Rolling, breaker), false)
			w.run(time.Hour)
			return w
		},
		"circuit_breaker_no_target": func(t *testing.T) *world { // the first deployment has nothing to return to
			c := config(Rolling, breaker)
			w := newWorld(Spec{DesiredCount: 4, Config: c, LoadBalancer: testLoadBalancer()})
			w.behave = func(string, int) behaviour { return behaviour{ExitAtOnce: true} }
			mustDeploy(t, w, "d-1", c, false)
			w.run(time.Hour)
			return w
		},
		"rollback_superseded_and_failed": func(t *testing.T) *world { // ECS's D1, D2, D3
			recreate := config(Rolling, func(c *Config) { breaker(c); c.MinimumHealthyPercent, c.MaximumPercent = 0, 100 })
			w := begun(t, 4, recreate)
			w.behave = func(set string, _ int) behaviour { return behaviour{Ready: time.Minute, ExitAtOnce: set != "web-1"} }
			mustDeploy(t, w, "d-2", recreate, false)
			w.run(30 * time.Second) // the old tasks are gone, so the rollback takes a minute
			mustDeploy(t, w, "d-3", recreate, true)
			w.run(10 * time.Minute)
			return w
		},
		"blue_green": func(t *testing.T) *world {
			c := config(BlueGreen, func(c *Config) {
				c.BakeTime = 5 * time.Minute
				c.Hooks = []Hook{
					{Hook: "pre", Stages: []Stage{PostTestTrafficShift}, Timeout: time.Hour, TimeoutAction: OnTimeoutRollback},
					{Hook: "post", Stages: []Stage{PostProductionTrafficShift}, Timeout: time.Hour, TimeoutAction: OnTimeoutRollback},
				}
			})
			w := begun(t, 2, c)
			mustDeploy(t, w, "d-2", c, false)
			w.run(time.Hour)
			return w
		},
		"blue_green_hook_failed": func(t *testing.T) *world {
			c := config(BlueGreen, func(c *Config) {
				c.Hooks = []Hook{{Hook: "smoke", Stages: []Stage{PostTestTrafficShift, TestTrafficShift}, Timeout: time.Hour, TimeoutAction: OnTimeoutRollback}}
			})
			w := begun(t, 2, c)
			w.hook = func(call DesiredInvocation) InvocationFact {
				if call.Stage == PostTestTrafficShift {
					return InvocationFact{Status: HookFailed, Reason: "green answers 500"}
				}
				return InvocationFact{Status: HookSucceeded, Continue: true}
			}
			mustDeploy(t, w, "d-2", c, false)
			w.run(time.Hour)
			return w
		},
		"canary_alarm": func(t *testing.T) *world {
			c := config(Steps, func(c *Config) {
				c.Alarms = Alarms{Names: []string{"5xx"}, Enable: true, Rollback: true, InitialPolicy: WaitForInitialAlarm}
			})
			w := newWorld(Spec{DesiredCount: 10, Config: c, LoadBalancer: testLoadBalancer()})
			w.alarms["5xx"] = AlarmOK
			mustDeploy(t, w, "d-1", c, false)
			w.run(time.Hour)
			w.trace, w.ended = nil, nil
			mustDeploy(t, w, "d-2", c, false)
			w.run(90 * time.Second)
			w.alarms["5xx"] = AlarmInAlarm
			w.run(time.Hour)
			return w
		},
		"alarm_before_start": func(t *testing.T) *world {
			c := config(BlueGreen, func(c *Config) {
				c.Alarms = Alarms{Names: []string{"5xx"}, Enable: true, Rollback: true, InitialPolicy: WaitForInitialAlarm}
			})
			w := newWorld(Spec{DesiredCount: 1, Config: c, LoadBalancer: testLoadBalancer()})
			w.alarms["5xx"] = AlarmInAlarm
			mustDeploy(t, w, "d-1", c, false)
			w.run(time.Hour)
			w.trace = append(w.trace, "         waits: "+w.state.Deployment.Conditions[0].Message)
			w.alarms["5xx"] = AlarmOK
			w.run(time.Hour)
			return w
		},
		"steps_with_pause": func(t *testing.T) *world {
			c := config(Steps, func(c *Config) { c.Steps[0].Pause = true })
			w := begun(t, 2, c)
			mustDeploy(t, w, "d-2", c, false)
			w.run(time.Hour)
			w.trace = append(w.trace, "         waits: "+w.state.Deployment.Conditions[0].Message)
			w.try(Continue(w.state, Answer{}, w.now))
			w.run(time.Hour)
			return w
		},
		"stop_with_rollback": func(t *testing.T) *world {
			c := config(Canary, nil)
			w := begun(t, 2, c)
			mustDeploy(t, w, "d-2", c, false)
			w.run(time.Minute)
			w.try(Stop(w.state, StopRollback, "looks wrong", w.now))
			w.run(time.Hour)
			return w
		},
		"stop_with_abort": func(t *testing.T) *world {
			c := config(Canary, nil)
			w := begun(t, 2, c)
			mustDeploy(t, w, "d-2", c, false)
			w.run(time.Minute)
			w.try(Stop(w.state, StopAbort, "hold it there", w.now))
			w.run(time.Hour)
			return w
		},
		"supersede_blue_green": func(t *testing.T) *world {
			c := config(Canary, nil)
			w := begun(t, 2, c)
			mustDeploy(t, w, "d-2", c, false)
			w.run(time.Minute)
			mustDeploy(t, w, "d-3", c, true)
			w.run(time.Hour)
			return w
		},
		"rollback_capacity_first": func(t *testing.T) *world { // the old tasks died: they must be back before they get the traffic
			c := config(Canary, nil)
			w := begun(t, 2, c)
			mustDeploy(t, w, "d-2", c, false)
			w.run(time.Minute)
			w.behave = func(string, int) behaviour { return behaviour{Ready: 30 * time.Second} }
			for _, task := range w.tasks {
				task.stopped = task.stopped || task.set == "web-1"
			}
			w.try(Stop(w.state, StopRollback, "", w.now))
			w.run(time.Hour)
			return w
		},
		"scale_up_timeout": func(t *testing.T) *world {
			c := config(BlueGreen, nil)
			w := begun(t, 2, c)
			w.behave = func(string, int) behaviour { return behaviour{Ready: time.Hour} }
			mustDeploy(t, w, "d-2", c, false)
			w.run(time.Hour)
			return w
		},
		"hooks_service_away": func(t *testing.T) *world {
			c := config(BlueGreen, func(c *Config) {
				c.Hooks = []Hook{{Hook: "smoke", Stages: []Stage{PostScaleUp}, Timeout: time.Hour, TimeoutAction: OnTimeoutRollback}}
			})
			w := begun(t, 1, c)
			w.unknown["hooks"] = true
			mustDeploy(t, w, "d-2", c, false)
			w.run(time.Hour)
			w.trace = append(w.trace, "         waits: "+w.state.Deployment.Conditions[0].Message)
			clear(w.unknown)
			w.run(time.Hour)
			return w
		},
	}
}
