//go:build linux || darwin

package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	"github.com/slipway-deploy/slipway/platform/problem"
)

func TestATaskGetsItsPortsAndItsEnvironment(t *testing.T) {
	t.Parallel()
	d := open(t, Config{Dir: t.TempDir(), WorkingDirectory: t.TempDir()})
	c := shell(`echo "$1 $PORT $PORT_HTTP $PORT_9090 $VERSION $SLIPWAY_TASK $SLIPWAY_SERVICE"; pwd; exec sleep 300`)
	c.Command = append(c.Command, "sh", "-listen=:${PORT}")
	c.Environment = map[string]string{"VERSION": "v7"}
	c.Ports = []runtime.Port{{Name: "http", ContainerPort: 80}, {ContainerPort: 9090}}
	set := oneTask(t, c)
	ensure(t, d, 1, set)
	task := reaches(t, d, set.Tasks[0], runtime.Running)
	first := strings.TrimPrefix(task.Endpoints[0].Address, "127.0.0.1:")
	second := strings.TrimPrefix(task.Endpoints[1].Address, "127.0.0.1:")
	logged(t, d, task.Name, fmt.Sprintf("-listen=:%s %s %s %s v7 %s prod/web\n%s\n",
		first, first, first, second, task.Name, d.cfg.WorkingDirectory))
}

func TestATaskThatCannotStartNamesItsCommand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken")
	if err := os.WriteFile(broken, []byte("\x7fELF"), 0o700); err != nil {
		t.Fatal(err)
	}
	for i, c := range []runtime.Container{
		{Command: []string{"slipway-nothing"}},
		{Command: []string{"sh"}, WorkingDirectory: "/nowhere"},
		{Command: []string{broken}}, // found only by the exec itself
	} {
		c.Name, c.Essential = "app", true
		d := open(t, Config{Dir: filepath.Join(dir, fmt.Sprint(i))})
		set := oneTask(t, c)
		ensure(t, d, 1, set)
		task := reaches(t, d, set.Tasks[0], runtime.Stopped)
		if task.StopCode != runtime.TaskFailedToStart || !strings.Contains(task.StopReason, fmt.Sprintf("%q", c.Command[0])) {
			t.Errorf("got %s: %s", task.StopCode, task.StopReason)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		again := open(t, Config{Dir: filepath.Join(dir, fmt.Sprint(i))})
		if after := reaches(t, again, task.Name, runtime.Stopped); after.StopReason != task.StopReason {
			t.Errorf("after a restart: got %q, want %q", after.StopReason, task.StopReason)
		}
	}
}

func TestAnEssentialContainerThatExitsStopsTheTask(t *testing.T) {
	t.Parallel()
	d := open(t, Config{Dir: t.TempDir()})
	app, sidecar := shell("read line <go; exit 5"), shell("trap 'echo bye; exit 0' TERM; echo hi; while :; do sleep 0.05; done")
	app.WorkingDirectory = t.TempDir()
	sidecar.Name, sidecar.Essential = "sidecar", false
	set := oneTask(t, sidecar, app)
	ensure(t, d, 1, set)
	name := set.Tasks[0]
	// app ends at once: there is no file go.
	task := reaches(t, d, name, runtime.Stopped)
	if task.StopCode != runtime.EssentialContainerExited || task.ExitCode == nil || *task.ExitCode == 0 {
		t.Errorf("got %+v", task)
	}
	if want := fmt.Sprintf("essential container app exited with code %d", *task.ExitCode); task.StopReason != want {
		t.Errorf("got %q, want %q", task.StopReason, want)
	}
	if left := processes(t, name); len(left) != 0 {
		t.Errorf("these run on: %+v", left)
	}
}

func TestAContainerThatIsNotEssentialMayExit(t *testing.T) {
	t.Parallel()
	d := open(t, Config{Dir: t.TempDir()})
	app, sidecar := shell("exec sleep 300"), shell("echo over; exit 1")
	sidecar.Name, sidecar.Essential = "setup", false
	set := oneTask(t, sidecar, app)
	ensure(t, d, 1, set)
	name := set.Tasks[0]
	reaches(t, d, name, runtime.Running)
	eventually(t, "only app runs", func() bool { return len(leaders(t, name)) == 1 })
	if out := logged(t, d, name, "setup | over\n"); strings.Contains(out, "app |") {
		t.Errorf("got %q", out)
	}
	if task := reaches(t, d, name, runtime.Running); task.StopCode != "" {
		t.Errorf("got %+v", task)
	}
}

func TestWhenTheSecondContainerCannotStartTheFirstIsStopped(t *testing.T) {
	t.Parallel()
	d := open(t, Config{Dir: t.TempDir()})
	broken := shell("")
	broken.Name, broken.Command = "broken", []string{"slipway-nothing"}
	set := oneTask(t, shell("exec sleep 300"), broken)
	ensure(t, d, 1, set)
	task := reaches(t, d, set.Tasks[0], runtime.Stopped)
	if task.StopCode != runtime.TaskFailedToStart || !task.RunningTime.IsZero() {
		t.Errorf("got %+v", task)
	}
	if left := processes(t, task.Name); len(left) != 0 {
		t.Errorf("these run on: %+v", left)
	}
}

func TestTheEndOfAContainerIsTheEndOfItsWholeGroup(t *testing.T) {
	t.Parallel()
	d := open(t, Config{Dir: t.TempDir()})
	set := oneTask(t, shell("sleep 300 & exit 0"))
	ensure(t, d, 1, set)
	reaches(t, d, set.Tasks[0], runtime.Stopped)
	eventually(t, "the background process is gone", func() bool { return len(processes(t, set.Tasks[0])) == 0 })
}

func TestAHealthCheckThatHangsFailsAndIsKilled(t *testing.T) {
	t.Parallel()
	d := open(t, Config{Dir: t.TempDir()})
	c := shell("exec sleep 300")
	c.HealthCheck = &runtime.HealthCheck{
		Command:  []string{"CMD-SHELL", "sleep 300 & sleep 300; exit 0"},
		Interval: 10 * time.Millisecond, Timeout: 100 * time.Millisecond, Retries: 2,
	}
	set := oneTask(t, c)
	ensure(t, d, 1, set)
	name := set.Tasks[0]
	until(t, d, name, func(task runtime.Task) bool { return task.Health == runtime.Unhealthy })
	if err := d.DeleteTaskSet(t.Context(), 1, set.Service, set.ID); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the task and its checks are gone", func() bool { return len(processes(t, name)) == 0 })
}

func TestAHealthCheckSeesWhatItsContainerSees(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := open(t, Config{Dir: t.TempDir()})
	c := shell("exec sleep 300")
	c.WorkingDirectory, c.Environment = dir, map[string]string{"FLAG": "well"}
	c.Ports = []runtime.Port{{}}
	c.HealthCheck = &runtime.HealthCheck{
		Command:  []string{"CMD", "/bin/sh", "-c", `test "$0" = "$PORT" && test -n "$PORT" && test -e "$FLAG"`, "${PORT}"},
		Interval: 10 * time.Millisecond, Retries: 1,
	}
	set := oneTask(t, c)
	ensure(t, d, 1, set)
	until(t, d, set.Tasks[0], func(task runtime.Task) bool { return task.Health == runtime.Unhealthy })
	if err := os.WriteFile(filepath.Join(dir, "well"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	until(t, d, set.Tasks[0], func(task runtime.Task) bool { return task.Health == runtime.Healthy })
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, Config{Dir: d.cfg.Dir})
	if task := reaches(t, again, set.Tasks[0], runtime.Running); task.Health != runtime.Healthy {
		t.Errorf("after a restart it is %s", task.Health)
	}
	if err := os.Remove(filepath.Join(dir, "well")); err != nil {
		t.Fatal(err)
	}
	until(t, again, set.Tasks[0], func(task runtime.Task) bool { return task.Health == runtime.Unhealthy })
}

func TestTwoDriversOnOneFolderAreRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := open(t, Config{Dir: dir})
	_, err := New(Config{Dir: dir}, d.log)
	if !errors.Is(err, problem.FailedPrecondition) || !strings.Contains(err.Error(), fmt.Sprintf("process %d", os.Getpid())) {
		t.Errorf("got %v", err)
	}
}

func TestAClosedDriverRefusesOrdersAndLeavesItsTasksAlone(t *testing.T) {
	t.Parallel()
	d := open(t, Config{Dir: t.TempDir()})
	set := oneTask(t, shell("exec sleep 300"))
	ensure(t, d, 1, set)
	reaches(t, d, set.Tasks[0], runtime.Running)
	watch := make(chan error, 1)
	go func() { watch <- d.Watch(context.Background(), func(runtime.Update) {}) }()
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-watch; !errors.Is(err, problem.Unavailable) {
		t.Errorf("the watch ended with %v", err)
	}
	if err := d.EnsureTaskSet(t.Context(), 2, set); !errors.Is(err, problem.Unavailable) {
		t.Errorf("got %v", err)
	}
	if len(leaders(t, set.Tasks[0])) != 1 {
		t.Error("the task is gone")
	}
	if err := d.Close(); err != nil {
		t.Errorf("closed again: %v", err)
	}
}

func TestStopAllStopsEverythingAndKeepsTheFence(t *testing.T) {
	t.Parallel()
	d := open(t, Config{Dir: t.TempDir()})
	one := oneTask(t, shell("exec sleep 300"))
	two := one
	two.ID, two.Service, two.Tasks = one.ID+"-two", "prod/other", []string{one.Tasks[0] + "-two"}
	ensure(t, d, 5, one)
	ensure(t, d, 5, two)
	reaches(t, d, one.Tasks[0], runtime.Running)
	reaches(t, d, two.Tasks[0], runtime.Running)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := d.StopAll(ctx); err != nil {
		t.Fatal(err)
	}
	if left := append(processes(t, one.Tasks[0]), processes(t, two.Tasks[0])...); len(left) != 0 {
		t.Errorf("these run on: %+v", left)
	}
	if err := d.EnsureTaskSet(t.Context(), 4, one); !errors.Is(err, problem.Aborted) {
		t.Errorf("an older order: got %v", err)
	}
	if err := d.StopAll(ctx); err != nil {
		t.Errorf("with nothing left: %v", err)
	}
}

func TestStopAllEndsWithItsContext(t *testing.T) {
	t.Parallel()
	d := open(t, Config{Dir: t.TempDir()})
	c := shell("trap '' TERM; echo ready; while :; do sleep 1; done")
	c.StopTimeout = time.Minute
	set := oneTask(t, c)
	ensure(t, d, 1, set)
	logged(t, d, set.Tasks[0], "ready\n")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := d.StopAll(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestAServerIsReachedAtItsEndpoint(t *testing.T) {
	t.Parallel()
	web := filepath.Join(t.TempDir(), "web")
	build(t, web, "../../../examples/web")
	d := open(t, Config{Dir: t.TempDir()})
	set := oneTask(t, runtime.Container{
		Name: "app", Command: []string{web}, Essential: true,
		Environment: map[string]string{"VERSION": "v2"}, Ports: []runtime.Port{{Name: "http", ContainerPort: 8080}},
	})
	ensure(t, d, 1, set)
	task := reaches(t, d, set.Tasks[0], runtime.Running)
	var body string
	eventually(t, "it answers", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+task.Endpoints[0].Address+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return false
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		body = string(text)
		return err == nil && response.StatusCode == http.StatusOK
	})
	for _, want := range []string{`"version":"v2"`, `"task":"` + task.Name + `"`, fmt.Sprintf(`"pid":%d`, leader(t, task.Name)[0].PID)} {
		if !strings.Contains(body, want) {
			t.Errorf("got %s, want %s in it", body, want)
		}
	}
	set.Tasks = nil
	ensure(t, d, 2, set)
	stopped := until(t, d, task.Name, func(task runtime.Task) bool { return task.State == runtime.Stopped })
	if stopped.ExitCode == nil || *stopped.ExitCode != 0 {
		t.Errorf("after SIGTERM: got exit code %v, want 0", stopped.ExitCode)
	}
}
