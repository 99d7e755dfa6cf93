package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

// contains waits until the text is in the buffer.
func (s *syncBuffer) contains(t *testing.T, text string) {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !strings.Contains(s.String(), text) {
		select {
		case <-deadline.C:
			t.Fatalf("%q did not come; there is\n%s", text, s.String())
		case <-tick.C:
		}
	}
}

// running is a command line that goes on until it is left.
type running struct {
	out   *syncBuffer
	done  chan session
	leave context.CancelFunc
}

func (tt terminal) start(t *testing.T, address string, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	r := &running{out: &syncBuffer{}, done: make(chan session, 1), leave: cancel}
	tt.out = r.out
	go func() { r.done <- tt.slipway(ctx, address, args...) }()
	return r
}

func (r *running) left(t *testing.T) session {
	t.Helper()
	r.leave()
	select {
	case s := <-r.done:
		return s
	case <-time.After(20 * time.Second):
		t.Fatalf("the command goes on after it was left; it wrote\n%s", r.out)
	}
	return session{}
}

func TestEventsAreListed(t *testing.T) {
	t.Parallel()
	f, address := start(t)
	f.addService("web")
	f.addService("api")
	f.change("d-1", 3, "TASK_FAILED", "task web-1-1 exited\x1b[2J", func(*orchestratorpb.Deployment) {})
	slipway(t, address, "events", "web").want(t, 0,
		"2026-01-31 12:00:00  INFO  web          d-1                SERVICE_DEPLOYMENT_IN_PROGRESS  ECS deployment d-1 in progress.\n",
		"task web-1-1 exited[2J\n")
	if s := slipway(t, address, "events", "web", "--tail", "1"); strings.Count(s.out, "\n") != 1 || !strings.Contains(s.out, "exited") {
		t.Errorf("the last event is\n%s", s.out)
	}
	if s := slipway(t, address, "events", "--deployment", "d-2"); strings.Count(s.out, "\n") != 1 {
		t.Errorf("the events of d-2 are\n%s", s.out)
	}
}

func TestEventsGoOnOverBrokenStreamsWithoutGapOrRepeat(t *testing.T) {
	t.Parallel()
	f, address := start(t)
	f.addService("web")
	emit := func(i int) {
		f.change("d-1", float64(i), "X", fmt.Sprintf("<event %d>", i), func(*orchestratorpb.Deployment) {})
	}
	emit(1)
	f.breakAfter = []int{2}
	r := terminal{}.start(t, address, "events", "web", "-f")
	r.out.contains(t, "<event 1>")
	emit(2)
	emit(3) // the stream breaks here
	f.eventually(t, func() bool { return strings.Count(strings.Join(f.calls, ","), "WatchEvents") == 2 })
	emit(4)
	r.out.contains(t, "<event 4>")
	s := r.left(t)
	s.want(t, 130, "connection lost: the database cannot be reached; trying again")
	for i := 1; i <= 4; i++ {
		if n := strings.Count(s.out, fmt.Sprintf("<event %d>", i)); n != 1 {
			t.Errorf("event %d was written %d times:\n%s", i, n, s.out)
		}
	}
}

func TestAnEventBetweenTheListingAndTheStreamIsNotLost(t *testing.T) {
	t.Parallel()
	f, address := start(t)
	f.addService("web")
	f.change("d-1", 1, "X", "<hidden>", func(*orchestratorpb.Deployment) {})
	f.hidden = 1 // the listing is older than the stream
	r := terminal{}.start(t, address, "events", "-f")
	r.out.contains(t, "in progress.")
	f.eventually(t, func() bool { return strings.Contains(strings.Join(f.calls, ","), "WatchEvents") })
	unlock := f.lock("")
	f.hidden = 0
	unlock()
	f.change("d-1", 2, "X", "<next>", func(*orchestratorpb.Deployment) {})
	r.out.contains(t, "<next>")
	if s := r.left(t); !strings.Contains(s.out, "<hidden>") || strings.Index(s.out, "<hidden>") > strings.Index(s.out, "<next>") {
		t.Errorf("the hidden event is missing or late:\n%s", s.out)
	}
}

func (f *fake) addTask(name string, state orchestratorpb.Task_State, log string) {
	defer f.lock("addTask")()
	f.tasks = append(f.tasks, &orchestratorpb.Task{Name: name, Service: "web", State: state})
	f.logs[name] = log
}

func TestLogsOfATaskAndOfAService(t *testing.T) {
	t.Parallel()
	f, address := start(t)
	f.addService("web")
	f.addTask("web-1-1", orchestratorpb.Task_STATE_RUNNING, "one\ntwo\nthree\n")
	f.addTask("web-1-2", orchestratorpb.Task_STATE_RUNNING, "no end")
	f.addTask("web-1-0", orchestratorpb.Task_STATE_STOPPED, "old\n")
	for args, want := range map[string]string{
		"web-1-1":          "one\ntwo\nthree\n",
		"web-1-1 --tail 1": "three\n",
		"web-1-0":          "old\n",
		"web":              "web-1-1 | one\nweb-1-1 | two\nweb-1-1 | three\nweb-1-2 | no end\n",
	} {
		s := slipway(t, address, append([]string{"logs"}, strings.Fields(args)...)...)
		if s.want(t, 0); s.out != want {
			t.Errorf("logs %s wrote %q, want %q", args, s.out, want)
		}
	}
	slipway(t, address, "logs", "nothing").want(t, 2, "there is no task nothing, and no service of that name in cluster default")
}

func TestLogsOfAServiceGoOnWithNewTasks(t *testing.T) {
	t.Parallel()
	f, address := start(t)
	f.addService("web")
	f.addTask("web-1-1", orchestratorpb.Task_STATE_RUNNING, "one\n")
	r := terminal{}.start(t, address, "logs", "web", "-f")
	r.out.contains(t, "web-1-1 | one\n")
	f.addTask("web-2-1", orchestratorpb.Task_STATE_RUNNING, "new\n")
	r.out.contains(t, "web-2-1 | new\n")
	unlock := f.lock("log")
	f.logs["web-1-1"] += "two\n"
	unlock()
	r.out.contains(t, "web-1-1 | two\n")
	r.left(t).want(t, 130)
}
