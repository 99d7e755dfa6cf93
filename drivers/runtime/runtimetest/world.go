package runtimetest

import (
	"bytes"
	"context"
	"errors"
	"net"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	"github.com/slipway-deploy/slipway/platform/problem"
)

func health(b *bench) {
	sets := map[runtime.Health]runtime.TaskSet{
		runtime.Unknown:   b.set(Workload{}, "1", "1"),
		runtime.Healthy:   b.set(Workload{Health: runtime.Healthy}, "2", "1"),
		runtime.Unhealthy: b.set(Workload{Health: runtime.Unhealthy}, "3", "1"),
	}
	for _, set := range sets {
		b.ensure(1, set)
	}
	for want, set := range sets {
		b.until("task "+set.Tasks[0]+" is "+string(want), func(tasks map[string]runtime.Task) bool {
			return tasks[set.Tasks[0]].Health == want
		})
	}
	for _, set := range sets {
		b.reaches(set.Tasks[0], runtime.Running)
	}
}

func addresses(b *bench) {
	set := b.set(Workload{Ports: []runtime.Port{{Name: "http", ContainerPort: 80}, {ContainerPort: 443}}}, "1", "1", "2")
	b.ensure(1, set)
	seen := make(map[string]bool)
	for _, name := range set.Tasks {
		task := b.reaches(name, runtime.Running)
		if len(task.Endpoints) != 2 || task.Endpoints[0].ContainerPort != 80 || task.Endpoints[1].ContainerPort != 443 {
			b.Fatalf("task %s has the endpoints %+v", name, task.Endpoints)
		}
		for _, endpoint := range task.Endpoints {
			if _, _, err := net.SplitHostPort(endpoint.Address); err != nil || endpoint.Container != set.Containers[0].Name {
				b.Errorf("task %s has the endpoint %+v", name, endpoint)
			}
			if seen[endpoint.Address] {
				b.Errorf("%s was given away twice", endpoint.Address)
			}
			seen[endpoint.Address] = true
		}
	}
}

func watches(b *bench) {
	set := b.set(Workload{}, "1", "1")
	b.ensure(1, set)
	want := b.reaches(set.Tasks[0], runtime.Running)
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	var got []runtime.Update
	err := b.Runtime.Watch(ctx, func(u runtime.Update) {
		got = append(got, u)
		cancel()
	})
	if err != nil {
		b.Errorf("the watch ended with %v", err)
	}
	if len(got) != 1 || !got[0].Snapshot || len(got[0].Tasks) != 1 || !reflect.DeepEqual(got[0].Tasks[0], want) {
		b.Errorf("got %+v, want a snapshot of %+v", got, want)
	}
}

func tail(b *bench) {
	set := b.set(Workload{Output: "one\ntwo\nthree\n"}, "1", "1")
	b.ensure(1, set)
	name := set.Tasks[0]
	b.reaches(name, runtime.Running)
	b.untilLogged(name, "one\ntwo\nthree\n")
	for n, want := range map[int]string{-1: "one\ntwo\nthree\n", 0: "", 1: "three\n", 2: "two\nthree\n", 9: "one\ntwo\nthree\n"} {
		var out bytes.Buffer
		if err := b.Runtime.Logs(b.Context(), name, runtime.LogOptions{Tail: n}, &out); err != nil {
			b.Fatal(err)
		}
		if out.String() != want {
			b.Errorf("tail %d: got %q, want %q", n, out.String(), want)
		}
	}
}

// untilLogged waits until the task has written the text.
func (b *bench) untilLogged(task, text string) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), patience)
	defer cancel()
	out := &sink{text: text, found: cancel}
	if err := b.Runtime.Logs(ctx, task, runtime.LogOptions{Tail: -1, Follow: true}, out); err != nil {
		b.Fatal(err)
	}
	if !out.seen() {
		b.Fatalf("task %s wrote %q, want %q in it", task, out.String(), text)
	}
}

// sink calls found once the text was written to it.
type sink struct {
	text  string
	found func()

	mu  sync.Mutex
	out strings.Builder
}

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out.Write(p)
	if strings.Contains(s.out.String(), s.text) {
		s.found()
	}
	return len(p), nil
}

func (s *sink) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.String()
}

func (s *sink) seen() bool { return strings.Contains(s.String(), s.text) }

func follow(b *bench) {
	set := b.set(Workload{Output: "one\ntwo\n"}, "1", "1")
	b.ensure(1, set)
	name := set.Tasks[0]
	b.reaches(name, runtime.Running)
	begun := make(chan struct{})
	out := &sink{text: "one\ntwo\n", found: sync.OnceFunc(func() { close(begun) })}
	result := make(chan error, 1)
	go func() {
		result <- b.Runtime.Logs(b.Context(), name, runtime.LogOptions{Tail: -1, Follow: true}, out)
	}()
	select {
	case <-begun:
	case <-time.After(patience):
		b.Fatalf("got %q", out)
	}
	b.delete(2, set)
	select {
	case err := <-result:
		if err != nil {
			b.Errorf("the follower ended with %v", err)
		}
	case <-time.After(patience):
		b.Error("the follower goes on although the task is stopped")
	}
}

func unknownLogs(b *bench) {
	err := b.Runtime.Logs(b.Context(), b.name("1", "1"), runtime.LogOptions{Tail: -1}, &bytes.Buffer{})
	if !errors.Is(err, problem.NotFound) {
		b.Errorf("got %v, want NOT_FOUND", err)
	}
}

func tasksOutliveTheDriver(b *bench) {
	set := b.set(Workload{Ports: []runtime.Port{{ContainerPort: 80}}}, "1", "1", "2")
	b.ensure(1, set)
	before := []runtime.Task{b.reaches(set.Tasks[0], runtime.Running), b.reaches(set.Tasks[1], runtime.Running)}
	b.restart()
	b.ensure(1, set)
	for _, want := range before {
		if got := b.reaches(want.Name, runtime.Running); !reflect.DeepEqual(got, want) {
			b.Errorf("got %+v, want %+v", got, want)
		}
	}
	b.delete(2, set)
	b.removed(set.Tasks[0])
	b.removed(set.Tasks[1])
}

func recordsOutliveTheDriver(b *bench) {
	set := b.set(Workload{Exits: true, ExitCode: 4}, "1", "1")
	b.ensure(5, set)
	want := b.reaches(set.Tasks[0], runtime.Stopped)
	b.restart()
	if got := b.reaches(want.Name, runtime.Stopped); !reflect.DeepEqual(got, want) {
		b.Errorf("got %+v, want %+v", got, want)
	}
	b.refused(b.Runtime.EnsureTaskSet(b.Context(), 4, set))
	b.ensure(5, set)
	other := b.set(Workload{}, "2", "1")
	b.ensure(5, other)
	b.reaches(other.Tasks[0], runtime.Running)
	if states := b.states(want.Name); len(states) != 1 {
		b.Errorf("the stopped task went through %q", states)
	}
}

func stoppingOutlivesTheDriver(b *bench) {
	const timeout = 2 * time.Second
	set := b.set(Workload{IgnoresTerm: true, StopTimeout: timeout, Output: "ready\n"}, "1", "1")
	b.ensure(1, set)
	name := set.Tasks[0]
	b.reaches(name, runtime.Running)
	b.untilLogged(name, "ready\n")
	ordered := time.Now()
	b.delete(2, set)
	b.reaches(name, runtime.Stopping)
	b.restart()
	b.removed(name)
	if lasted := time.Since(ordered); lasted < timeout || lasted > timeout+time.Second {
		b.Errorf("it was killed after %s, want its stop timeout of %s from the first order", lasted, timeout)
	}
}
