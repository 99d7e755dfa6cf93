//go:build linux || darwin

package process

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	"github.com/slipway-deploy/slipway/drivers/runtime/internal/state"
	"github.com/slipway-deploy/slipway/drivers/runtime/process/internal/proc"
)

// counted is a container that notes each of its starts in a file of its task, and the file's folder.
func counted(t *testing.T) (runtime.Container, string) {
	dir := t.TempDir()
	c := shell(`echo $$ >>"$STARTS/$SLIPWAY_TASK"; exec sleep 300`)
	c.Environment = map[string]string{"STARTS": dir}
	return c, dir
}

// starts are the process ids that a task has ever had.
func starts(t *testing.T, dir, task string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, task))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.Fields(string(text))
}

// leaders are the first processes of the task's containers that run now.
func leaders(t *testing.T, task string) []proc.Process {
	return slices.DeleteFunc(processes(t, task), func(p proc.Process) bool { return !p.Leader })
}

// leader waits until exactly one process leads: one that is just executing another program shows no environment.
func leader(t *testing.T, task string) []proc.Process {
	t.Helper()
	var found []proc.Process
	eventually(t, "one process of task "+task+" runs", func() bool {
		found = leaders(t, task)
		return len(found) == 1
	})
	return found
}

// A driver is killed at each point on the way from the order to the running task; the next one is given the same
// order again.
func TestATaskRunsOnceWhereverTheDriverIsKilledWhileItStarts(t *testing.T) {
	t.Parallel()
	points := []struct {
		point string
		// runs: a process was there when the driver was killed, and must be adopted.
		runs bool
		// fails: nobody can know whether it ran, so it must not be started again.
		fails bool
	}{
		{point: "writing service"},
		{point: "renaming service"},
		{point: "accepted"},
		{point: "writing task"},
		{point: "renaming task"},
		{point: "intended", fails: true},
		{point: "started", runs: true},
		{point: "recorded", runs: true},
	}
	for _, p := range points {
		t.Run(p.point, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			container, startsDir := counted(t)
			set := oneTask(t, container)
			name := set.Tasks[0]
			block := strings.NewReplacer(
				"service", state.FileName(set.Service)+".json", "task", state.FileName(name)+".json").Replace(p.point)
			h := startHelper(t, dir, block)
			h.expect("ready")
			h.order(1, set)
			h.expect("at " + block)
			h.kill()
			var before []proc.Process
			if p.runs {
				before = leader(t, name)
			} else if n := len(leaders(t, name)); n != 0 {
				t.Fatalf("after the crash %d processes run", n)
			}

			d := open(t, Config{Dir: dir})
			ensure(t, d, 1, set)
			if p.fails {
				task := reaches(t, d, name, runtime.Stopped)
				if task.StopCode != runtime.TaskFailedToStart || len(starts(t, startsDir, name)) != 0 {
					t.Errorf("got %s (%s), started %v", task.StopCode, task.StopReason, starts(t, startsDir, name))
				}
				return
			}
			reaches(t, d, name, runtime.Running)
			eventually(t, "it has noted its start", func() bool { return len(starts(t, startsDir, name)) > 0 })
			after := leader(t, name)
			if n := len(starts(t, startsDir, name)); n != 1 {
				t.Errorf("it was started %d times", n)
			}
			if p.runs && !slices.Equal(before, after) {
				t.Errorf("it was process %+v and is %+v", before, after)
			}
		})
	}
}

func TestATaskStopsWhereverTheDriverIsKilledWhileItStops(t *testing.T) {
	t.Parallel()
	for _, point := range []string{"stopping", "terminating", "exited", "stopped"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			container, startsDir := counted(t)
			container.StopTimeout = time.Minute // SIGTERM ends it, not SIGKILL
			set := oneTask(t, container)
			name := set.Tasks[0]
			h := startHelper(t, dir, point)
			h.order(1, set)
			h.expect(name + " RUNNING")
			set.Tasks = nil
			h.order(2, set)
			h.expect("at " + point)
			h.kill()

			d := open(t, Config{Dir: dir})
			eventually(t, "the task is forgotten", func() bool {
				_, there := d.feed.Get(name)
				return !there
			})
			if left := processes(t, name); len(left) != 0 || len(starts(t, startsDir, name)) > 1 {
				t.Errorf("these processes run: %+v, and these were started: %v", left, starts(t, startsDir, name))
			}
			if entries, err := os.ReadDir(d.cfg.tasksDir()); err != nil || len(entries) != 0 {
				t.Errorf("these records are left: %v %v", entries, err)
			}
			if err := d.EnsureTaskSet(t.Context(), 1, set); err == nil {
				t.Error("the fence was lost")
			}
		})
	}
}

func TestTheExitOfAnAdoptedTaskIsNoticedAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	container, _ := counted(t)
	set := oneTask(t, container)
	for i := range 4 {
		set.Tasks = append(set.Tasks, fmt.Sprintf("%s-%d", set.ID, i+2))
	}
	h := startHelper(t, dir, "")
	h.order(1, set)
	var lines []string
	for _, name := range set.Tasks {
		lines = append(lines, name+" RUNNING")
	}
	h.expect(lines...)
	h.kill()
	d := open(t, Config{Dir: dir})
	var times []time.Duration
	for _, name := range set.Tasks {
		times = append(times, killAndWait(t, d, name))
	}
	slices.Sort(times)
	if middle := times[len(times)/2]; middle > 100*time.Millisecond {
		t.Errorf("it took %v to notice", times)
	}
}

// killAndWait kills the process of an adopted task and says how long it took until that was known.
func killAndWait(t *testing.T, d *Driver, name string) time.Duration {
	t.Helper()
	reaches(t, d, name, runtime.Running)
	process := leader(t, name)[0]
	handle, err := proc.Open(process.PID, process.Start)
	if err != nil {
		t.Fatal(err)
	}
	defer handle.Close()
	killed := time.Now()
	if err := handle.Kill(); err != nil {
		t.Fatal(err)
	}
	task := reaches(t, d, name, runtime.Stopped)
	took := time.Since(killed)
	if task.ExitCode != nil || !strings.Contains(task.StopReason, "exit code is not known") {
		t.Errorf("got exit code %v, reason %q", task.ExitCode, task.StopReason)
	}
	return took
}

func TestTheStopDeadlineIsNeitherLostNorStartedAgain(t *testing.T) {
	t.Parallel()
	const timeout = 2 * time.Second
	dir := t.TempDir()
	container := shell(`trap '' TERM; echo ready; while :; do sleep 1; done`)
	container.StopTimeout = timeout
	set := oneTask(t, container)
	name := set.Tasks[0]
	h := startHelper(t, dir, "")
	h.order(1, set)
	h.expect(name + " RUNNING")
	path := Config{Dir: dir}.containerLog(set.Service, name, "app")
	eventually(t, "it ignores SIGTERM", func() bool {
		text, _ := os.ReadFile(path)
		return string(text) == "ready\n"
	})
	set.Tasks = nil
	ordered := time.Now()
	h.order(2, set)
	h.expect(name + " STOPPING")
	h.kill()
	<-time.After(timeout / 2) // nobody is at work

	d := open(t, Config{Dir: dir})
	eventually(t, "the task is forgotten", func() bool {
		_, there := d.feed.Get(name)
		return !there
	})
	if took := time.Since(ordered); took < timeout || took > timeout+timeout/4 {
		t.Errorf("it was killed after %s, want %s", took, timeout)
	}
	if left := processes(t, name); len(left) != 0 {
		t.Errorf("these processes run: %+v", left)
	}
}

// An id that is another process's now is in the record of a task that runs, of one that stops and of one that should
// stop: none of them may touch that process.
func TestAReusedProcessIDIsNeverSignalled(t *testing.T) {
	t.Parallel()
	stranger, err := proc.Start(proc.Command{Path: "/bin/sh", Args: []string{"sh", "-c", "sleep 300; exit 0"}, Dir: "/"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = stranger.SignalGroup(syscall.SIGKILL)
		_ = stranger.Wait(t.Context())
		stranger.Reap()
		stranger.Close()
	}()
	for _, state := range []runtime.TaskState{runtime.Pending, runtime.Running, runtime.Stopping} {
		dir := t.TempDir()
		container, _ := counted(t)
		set := oneTask(t, container)
		h := startHelper(t, dir, "")
		h.order(1, set)
		h.expect(set.Tasks[0] + " RUNNING")
		h.kill()
		original := leader(t, set.Tasks[0])[0]
		d := open(t, Config{Dir: dir})
		task := reaches(t, d, set.Tasks[0], runtime.Running)
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		damage(t, d, task.Name, func(r *taskRecord) {
			r.State = state
			// What the id was when it was the task's: the clock has ticked since.
			r.Containers[0].PID, r.Containers[0].Start = stranger.Process().PID, stranger.Process().Start-1
			if state == runtime.Stopping {
				r.StopCode, r.StopReason = runtime.ServiceSchedulerInitiated, "test"
				r.Containers[0].StopDeadline = now().Add(-time.Hour)
			}
		})
		d = open(t, Config{Dir: dir})
		stopped := reaches(t, d, task.Name, runtime.Stopped)
		if err := d.DeleteTaskSet(t.Context(), 2, set.Service, set.ID); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the task is forgotten", func() bool {
			_, there := d.feed.Get(task.Name)
			return !there
		})
		if _, err := proc.Open(stranger.Process().PID, stranger.Process().Start); err != nil {
			t.Fatalf("%s: the stranger is gone: %v; the task: %+v", state, err, stopped)
		}
		// The task's own process was found by its token and ended with it.
		eventually(t, "its own process is gone", func() bool {
			return !slices.Contains(leaders(t, task.Name), original)
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := stranger.Wait(ctx); err == nil {
		t.Error("the stranger was killed")
	}
}

// damage changes a task's record on disk.
func damage(t *testing.T, d *Driver, task string, change func(*taskRecord)) {
	t.Helper()
	var record *taskRecord
	err := state.Load(d.cfg.tasksDir(), func(r *taskRecord) error {
		if r.Name == task {
			record = r
		}
		return nil
	})
	if err != nil || record == nil {
		t.Fatalf("read the record: %v", err)
	}
	change(record)
	if err := d.disk.Write(d.cfg.taskPath(task), record); err != nil {
		t.Fatal(err)
	}
}

func TestATaskOfAnotherBootIsStoppedAndItsProcessIDLeftAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	container, _ := counted(t)
	set := oneTask(t, container)
	d := open(t, Config{Dir: dir})
	ensure(t, d, 1, set)
	task := reaches(t, d, set.Tasks[0], runtime.Running)
	before := leader(t, task.Name)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	damage(t, d, task.Name, func(r *taskRecord) { r.Boot = "another" })
	d = open(t, Config{Dir: dir})
	task = reaches(t, d, task.Name, runtime.Stopped)
	if task.StopCode != runtime.EssentialContainerExited || !strings.Contains(task.StopReason, "machine was restarted") {
		t.Errorf("got %s: %s", task.StopCode, task.StopReason)
	}
	if after := leader(t, task.Name); !slices.Equal(before, after) {
		t.Errorf("the processes were %+v and are %+v", before, after)
	}
}

// The order that dropped the task and the one that lists it again were accepted, and the driver ended before the task
// was told to stop.
func TestATaskThatIsListedAgainStopsAllTheSame(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	container, startsDir := counted(t)
	set := oneTask(t, container)
	name := set.Tasks[0]
	d := open(t, Config{Dir: dir})
	ensure(t, d, 1, set)
	reaches(t, d, name, runtime.Running)
	eventually(t, "it has noted its start", func() bool { return len(starts(t, startsDir, name)) == 1 })
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	service := d.services[set.Service]
	again := service.With(3, set.ID, service.Sets[set.ID].List(nil).List(set.Tasks))
	if err := d.disk.Write(d.cfg.servicePath(set.Service), again); err != nil {
		t.Fatal(err)
	}
	d = open(t, Config{Dir: dir})
	task := reaches(t, d, name, runtime.Stopped)
	if task.StopCode != runtime.ServiceSchedulerInitiated {
		t.Errorf("got %s", task.StopCode)
	}
	ensure(t, d, 3, set)
	reaches(t, d, name, runtime.Stopped)
	if n := len(starts(t, startsDir, name)); n != 1 {
		t.Errorf("it was started %d times", n)
	}
}

// Drivers are killed at random moments, one after the other, on the same folder.
func TestNoTaskRunsTwiceHoweverOftenTheDriverIsKilled(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	container, startsDir := counted(t)
	set := oneTask(t, container)
	prefix, tasks := set.ID, []string{}
	const rounds, perRound = 8, 3
	for round := range rounds {
		for i := range perRound {
			tasks = append(tasks, fmt.Sprintf("%s-%d", prefix, round*perRound+i+1))
		}
		set.Tasks = tasks[max(0, len(tasks)-2*perRound):]
		h := startHelper(t, dir, "")
		h.expect("ready")
		h.order(int64(round+1), set)
		<-time.After(time.Duration(random.IntN(20_000)) * time.Microsecond)
		h.kill()
	}
	d := open(t, Config{Dir: dir})
	ensure(t, d, rounds+1, set)
	for _, name := range tasks {
		listed := slices.Contains(set.Tasks, name)
		eventually(t, name+" has come to rest", func() bool {
			task, there := d.feed.Get(name)
			running := task.State == runtime.Running && len(starts(t, startsDir, name)) == 1
			return !there && !listed || listed && (task.State == runtime.Stopped || running)
		})
		task, _ := d.feed.Get(name)
		if n := len(starts(t, startsDir, name)); n > 1 {
			t.Errorf("task %s was started %d times", name, n)
		}
		want := 0
		if task.State == runtime.Running {
			want = 1
		}
		eventually(t, "its processes are as its state", func() bool { return len(leaders(t, name)) == want })
		if task.State == runtime.Stopped && task.StopCode != runtime.TaskFailedToStart {
			t.Errorf("task %s: %s", name, task.StopReason)
		}
	}
}
