package docker

import (
	"strconv"
	"testing"
	"time"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	"github.com/slipway-deploy/slipway/drivers/runtime/runtimetest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	cli := engineOrSkip(t)
	ref := image(t, cli)
	runtimetest.Run(t, func(t *testing.T) runtimetest.Harness {
		cfg := config(t, cli)
		d := open(t, cfg)
		return runtimetest.Harness{
			Runtime: d,
			Define: func(w runtimetest.Workload) (string, []runtime.Container) {
				return "web:1", []runtime.Container{containerOf(w, ref)}
			},
			Restart: func() runtime.Runtime {
				if err := d.Close(); err != nil {
					t.Fatal(err)
				}
				d = open(t, cfg)
				return d
			},
		}
	})
}

func containerOf(w runtimetest.Workload, ref string) runtime.Container {
	c := runtime.Container{Name: "app", Image: ref, Essential: true, Command: []string{"/workload", "run"}, Ports: w.Ports, StopTimeout: w.StopTimeout}
	if w.Exits {
		c.Command = append(c.Command, "-exit", strconv.Itoa(w.ExitCode))
	}
	if w.IgnoresTerm {
		c.Command = append(c.Command, "-ignore-term")
	}
	if w.Output != "" {
		c.Command = append(c.Command, "-output", w.Output)
	}
	if w.CannotStart {
		c.Command = []string{"/nothing"}
	}
	if w.Health != "" {
		code := "1"
		if w.Health == runtime.Healthy {
			code = "0"
		}
		c.HealthCheck = &runtime.HealthCheck{Command: []string{"CMD", "/workload", "check", code}, Interval: 100 * time.Millisecond, Retries: 2}
	}
	return c
}
