//go:build linux || darwin

package process

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	"github.com/slipway-deploy/slipway/drivers/runtime/process/internal/proc"
	"github.com/slipway-deploy/slipway/drivers/runtime/runtimetest"
)

// patience is how long a test waits for what should come soon.
const patience = 20 * time.Second

// TestMain lets the test binary also be a driver that a test kills (see crash_test.go).
func TestMain(m *testing.M) {
	if os.Getenv(helperVariable) != "" {
		os.Exit(helperMain())
	}
	os.Exit(m.Run())
}

// open opens a driver on dir and closes it at the end of the test. Whatever of its tasks still runs then is killed.
func open(t *testing.T, cfg Config) *Driver {
	t.Helper()
	d, err := New(cfg, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		killTasks(d)
	})
	return d
}

// killTasks kills every container of a closed driver.
func killTasks(d *Driver) {
	for _, e := range d.tasks {
		for _, c := range e.sup.rec.Containers {
			if h, err := proc.Open(c.PID, c.Start); c.PID != 0 && err == nil {
				_ = h.SignalGroup(syscall.SIGKILL)
				h.Reap() // if it has ended already; the test's end does the rest
				h.Close()
			}
		}
	}
}

// processes are the processes of a task, by the environment that the driver gives them.
func processes(t *testing.T, task string) []proc.Process {
	t.Helper()
	found, err := proc.Find("SLIPWAY_TASK", nil)
	if err != nil {
		t.Fatal(err)
	}
	return found[task]
}

// shell is a container that runs a script.
func shell(script string) runtime.Container {
	return runtime.Container{
		Name: "app", Essential: true, Command: []string{"/bin/sh", "-c", script}, StopTimeout: 5 * time.Second,
	}
}

// oneTask is a set of one task with a name that is unique on the machine.
func oneTask(t *testing.T, containers ...runtime.Container) runtime.TaskSet {
	id := strings.ToLower(strings.Map(func(r rune) rune {
		if r == '/' || r == '_' {
			return '-'
		}
		return r
	}, t.Name())) + fmt.Sprintf("-%d", os.Getpid())
	id = id[max(0, len(id)-60):]
	id = strings.TrimLeft(id, "-")
	return runtime.TaskSet{
		ID: id, Service: "prod/web", TaskDefinition: "web:1", Containers: containers, Tasks: []string{id + "-1"},
	}
}

func ensure(t *testing.T, d *Driver, generation int64, set runtime.TaskSet) {
	t.Helper()
	if err := d.EnsureTaskSet(t.Context(), generation, set); err != nil {
		t.Fatal(err)
	}
}

// until watches the driver until the task is as asked and returns it.
func until(t *testing.T, d *Driver, name string, condition func(runtime.Task) bool) runtime.Task {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var got runtime.Task
	found := false
	err := d.Watch(ctx, func(u runtime.Update) {
		for _, task := range u.Tasks {
			if task.Name == name && !found {
				got = task
				if found = condition(task); found {
					cancel()
				}
			}
		}
	})
	if err != nil || !found {
		t.Fatalf("task %s: not in time (%v); it is %+v", name, err, got)
	}
	return got
}

func reaches(t *testing.T, d *Driver, name string, state runtime.TaskState) runtime.Task {
	t.Helper()
	return until(t, d, name, func(task runtime.Task) bool { return task.State == state })
}

// logged waits until the task has written the text.
func logged(t *testing.T, d *Driver, task, text string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out := &sink{text: text, found: cancel}
	if err := d.Logs(ctx, task, runtime.LogOptions{Tail: -1, Follow: true}, out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), text) {
		t.Fatalf("task %s wrote %q, want %q in it", task, out, text)
	}
	return out.String()
}

type sink struct {
	bytes.Buffer
	text  string
	found func()
}

func (s *sink) Write(p []byte) (int, error) {
	n, err := s.Buffer.Write(p)
	if strings.Contains(s.String(), s.text) {
		s.found()
	}
	return n, err
}

func TestTheDriverKeepsThePromisesOfThePort(t *testing.T) {
	t.Parallel()
	runtimetest.Run(t, func(t *testing.T) runtimetest.Harness {
		dir := t.TempDir()
		d := open(t, Config{Dir: dir})
		return runtimetest.Harness{
			Runtime: d,
			Define:  func(w runtimetest.Workload) (string, []runtime.Container) { return "web:1", define(w) },
			Restart: func() runtime.Runtime {
				if err := d.Close(); err != nil {
					t.Fatal(err)
				}
				return open(t, Config{Dir: dir})
			},
		}
	})
}

// define makes a shell script of a workload.
func define(w runtimetest.Workload) []runtime.Container {
	script := ""
	if w.IgnoresTerm {
		script = "trap '' TERM; "
	}
	for line := range strings.Lines(w.Output) {
		script += "echo " + line
	}
	switch {
	case w.Exits:
		script += fmt.Sprintf("exit %d", w.ExitCode)
	case w.IgnoresTerm:
		script += "while :; do sleep 1; done"
	default:
		script += "exec sleep 300"
	}
	c := shell(script)
	c.Ports, c.StopTimeout = w.Ports, w.StopTimeout
	if w.CannotStart {
		c.Command = []string{"slipway-no-such-program"}
	}
	if w.Health != "" {
		verdict := "exit 0"
		if w.Health == runtime.Unhealthy {
			verdict = "exit 1"
		}
		c.HealthCheck = &runtime.HealthCheck{Command: []string{"CMD-SHELL", verdict}, Interval: 20 * time.Millisecond, Retries: 2}
	}
	return []runtime.Container{c}
}

// eventually polls a condition that nothing signals.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(patience)
	for !condition() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("not in time: %s", what)
		}
	}
}

// build compiles a program of this module.
func build(t *testing.T, path, dir string) {
	t.Helper()
	if out, err := exec.Command("go", "build", "-o", path, dir).CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", dir, err, out)
	}
}
