package docker

import (
	"fmt"
	"reflect"
	"time"

	"github.com/moby/moby/api/types/container"

	"github.com/slipway-deploy/slipway/drivers/runtime"
)

// unlisted is the reason of a task that is stopped by an order.
const unlisted = "its name is no longer listed"

// judgement is what a task's containers mean for it.
type judgement struct {
	rec     record
	changed bool
}

// judge is the state of a running or stopping task by what its containers are now. It touches nothing but its copy.
func judge(r record, found []seen, wanted bool, at time.Time) judgement {
	before := r
	r.StopDeadlines = append([]time.Time(nil), r.StopDeadlines...)
	r.Task.Health = health(r.Containers, found)
	if r.Task.State == runtime.Running {
		if i := firstEnded(r.Containers, found); i >= 0 {
			r.stopping(runtime.EssentialContainerExited, ended(r.Containers[i].Name, found[i]), at)
			r.Task.ExitCode = exitCode(found[i])
		} else if !wanted {
			r.stopping(runtime.ServiceSchedulerInitiated, unlisted, at)
		}
	}
	if r.Task.State == runtime.Stopping && !anyRuns(found) {
		r.end("", "", exitOfTask(r.Containers, found), lastEnd(found, later(r.Task.StartTime, r.Task.RunningTime), at))
	}
	if len(r.StopDeadlines) == 0 {
		r.StopDeadlines = nil
	}
	return judgement{r, !reflect.DeepEqual(before, r)}
}

// firstEnded is the essential container that ended first, -1 when all run.
func firstEnded(containers []runtime.Container, found []seen) int {
	first := -1
	for i, s := range found {
		if !containers[i].Essential || s.runs() {
			continue
		}
		if first < 0 || endOf(s).Before(endOf(found[first])) {
			first = i
		}
	}
	return first
}

func ended(name string, s seen) string {
	switch {
	case s.gone:
		return fmt.Sprintf("essential container %s was removed from outside", name)
	case s.inspect.State.OOMKilled:
		return fmt.Sprintf("essential container %s was killed: out of memory (OutOfMemoryError)", name)
	default:
		return fmt.Sprintf("essential container %s exited with code %d", name, s.inspect.State.ExitCode)
	}
}

func exitCode(s seen) *int {
	if s.gone {
		return nil
	}
	code := s.inspect.State.ExitCode
	return &code
}

// exitOfTask is the exit code of the first essential container, for a task that was told to stop.
func exitOfTask(containers []runtime.Container, found []seen) *int {
	for i, c := range containers {
		if c.Essential {
			return exitCode(found[i])
		}
	}
	return nil
}

func anyRuns(found []seen) bool {
	for _, s := range found {
		if s.runs() {
			return true
		}
	}
	return false
}

// lastEnd is when the last container ended, by the engine's clock, but not before the task began nor after at.
func lastEnd(found []seen, began, at time.Time) time.Time {
	last := began
	for _, s := range found {
		if end := endOf(s); end.After(last) {
			last = end
		}
	}
	if last.Equal(began) || last.After(at) {
		return at
	}
	return last
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// endOf is when a container ended; zero when the engine does not say.
func endOf(s seen) time.Time {
	if s.gone {
		return time.Time{}
	}
	return engineTime(s.inspect.State.FinishedAt)
}

// engineTime reads a time of the engine; zero when there is none.
func engineTime(text string) time.Time {
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || at.Year() < 2 { // the engine's zero
		return time.Time{}
	}
	return at.UTC()
}

// health is the task's by its containers' own checks.
func health(containers []runtime.Container, found []seen) runtime.Health {
	checked := make([]runtime.CheckedContainer, len(found))
	for i, s := range found {
		checked[i] = runtime.CheckedContainer{Essential: containers[i].Essential, HasCheck: containers[i].HealthCheck != nil, Health: runtime.Unknown}
		switch statusOf(s) {
		case container.Unhealthy:
			checked[i].Health = runtime.Unhealthy
		case container.Healthy:
			checked[i].Health = runtime.Healthy
		}
	}
	return runtime.TaskHealth(checked)
}

func statusOf(s seen) container.HealthStatus {
	if !s.runs() || s.inspect.State.Health == nil {
		return container.NoHealthcheck
	}
	return s.inspect.State.Health.Status
}
