//go:build linux || darwin

package process

import (
	"context"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	"github.com/slipway-deploy/slipway/drivers/runtime/process/internal/proc"
)

// healthEvent: a container's health has changed.
type healthEvent struct {
	container int
	health    runtime.Health
}

// checker runs the health check of one container.
type checker struct {
	check   runtime.HealthCheck
	command launch
	begin   time.Time // of the container
	state   checkState
	report  func(runtime.Health)
}

// startChecks begins to check the essential containers that define a check; the others' health is asked by nobody.
func (s *supervisor) startChecks() {
	ctx, cancel := context.WithCancel(context.Background())
	s.stopChecks = cancel
	for i, c := range s.rec.Containers {
		if !c.Spec.Essential || c.Spec.HealthCheck == nil || c.Phase != running {
			continue
		}
		k := &checker{
			check:   withCheckDefaults(*c.Spec.HealthCheck),
			command: s.checkCommand(i),
			begin:   c.StartTime,
			state:   checkState{Health: c.Health},
			report: func(health runtime.Health) {
				select {
				case s.health <- healthEvent{container: i, health: health}:
				case <-ctx.Done():
				}
			},
		}
		s.d.spawn(func(driver context.Context) {
			defer context.AfterFunc(driver, cancel)()
			k.run(ctx)
		})
	}
}

// onHealth notes a container's health.
func (s *supervisor) onHealth(e healthEvent) {
	if s.rec.State != runtime.Running {
		return
	}
	before := s.rec.health()
	s.rec.Containers[e.container].Health = e.health
	s.save()
	if s.rec.health() != before {
		s.publish()
	}
}

// checkCommand is what the check runs, in the container's surroundings. An empty path: it cannot be run, which is a
// failed check.
func (s *supervisor) checkCommand(container int) launch {
	r := s.rec
	r.Containers = slices.Clone(s.rec.Containers)
	c := &r.Containers[container]
	check := c.Spec.HealthCheck.Command
	if check[0] == "CMD-SHELL" {
		c.Spec.Command = []string{"/bin/sh", "-c", strings.Join(check[1:], " ")}
	} else {
		c.Spec.Command = check[1:]
	}
	command, err := r.launch(container, s.d.cfg.WorkingDirectory)
	if err != nil {
		s.d.log.Warn("A health check cannot be run.", "task", r.Name, "container", c.Spec.Name, "error", err)
	}
	return command
}

// run checks the container until ctx ends. The first check comes one interval after the start, each further one an
// interval after the end of the last (as in Docker, which ECS uses).
func (k *checker) run(ctx context.Context) {
	timer := time.NewTimer(k.check.Interval)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		began := now().Sub(k.begin)
		passed := k.command.path != "" && k.once(ctx)
		if ctx.Err() != nil {
			return
		}
		next := k.state.after(k.check, began, passed)
		if next.Health != k.state.Health {
			k.report(next.Health)
		}
		k.state = next
		timer.Reset(k.check.Interval)
	}
}

// once runs the check and says whether it passed. At the timeout its whole group is killed.
func (k *checker) once(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, k.check.Timeout)
	defer cancel()
	handle, err := proc.Start(proc.Command{
		Path: k.command.path, Args: k.command.args, Env: assignments(k.command.env), Dir: k.command.dir,
		Dependent: true,
	})
	if err != nil {
		return false
	}
	defer handle.Close()
	waitErr := handle.Wait(ctx)
	if err := handle.SignalGroup(syscall.SIGKILL); err != nil {
		return false
	}
	if waitErr != nil {
		// After SIGKILL the end is near; its collection must not be skipped.
		_ = handle.Wait(context.WithoutCancel(ctx))
	}
	exit := handle.Reap()
	return waitErr == nil && exit.Known && exit.Code == 0
}
