package runtime

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"

	"github.com/slipway-deploy/slipway/platform/problem"
)

// Limits of an order. They are wide: the meaning of a task definition is checked before it comes here.
const (
	maxContainers = 10
	maxTasks      = 10_000
)

// name is what sets, tasks and containers may be called: safe in a path, an environment and a label.
var name = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,254}$`)

// Validate returns nil or a problem.Invalid that names every broken field. It checks shape only, so that a driver
// can rely on it; a command that does not exist is no invalid set but a task that fails to start.
func (s TaskSet) Validate() error {
	var v violations
	v.name("id", s.ID)
	if s.Service == "" || len(s.Service) > 512 {
		v.add("service", "must be set and at most 512 bytes long")
	}
	if n := len(s.Containers); n < 1 || n > maxContainers {
		v.add("containers", "must be 1 to %d", maxContainers)
	}
	if len(s.Tasks) > maxTasks {
		v.add("tasks", "must be at most %d", maxTasks)
	}
	seen := make(map[string]bool, len(s.Tasks))
	for i, task := range s.Tasks {
		field := fmt.Sprintf("tasks[%d]", i)
		v.name(field, task)
		if seen[task] {
			v.add(field, "is listed twice: %s", task)
		}
		seen[task] = true
	}
	essential := false
	names := make(map[string]bool, len(s.Containers))
	for i, c := range s.Containers {
		field := fmt.Sprintf("containers[%d]", i)
		v.container(field, c)
		if names[c.Name] {
			v.add(field+".name", "is used twice: %s", c.Name)
		}
		names[c.Name] = true
		essential = essential || c.Essential
	}
	if !essential {
		v.add("containers", "at least one must be essential")
	}
	return v.problem()
}

// CheckGeneration is the fence: it returns nil, or problem.Aborted with the reason STALE_GENERATION when
// generation is lower than highest, the highest one seen for the service.
func CheckGeneration(service string, generation, highest int64) error {
	if generation >= highest {
		return nil
	}
	return problem.New(problem.Aborted, "STALE_GENERATION",
		"service %s: generation %d is older than %d, which the runtime has seen", service, generation, highest).
		With("service", service).
		With("generation", strconv.FormatInt(generation, 10)).
		With("highest", strconv.FormatInt(highest, 10))
}

type violations []problem.Violation

func (v *violations) add(field, format string, args ...any) {
	*v = append(*v, problem.Violation{Field: field, Rule: fmt.Sprintf(format, args...)})
}

func (v *violations) name(field, value string) {
	if !name.MatchString(value) {
		v.add(field, "must be 1 to 255 letters, digits, _, . or -, beginning with a letter or digit")
	}
}

func (v *violations) container(field string, c Container) {
	v.name(field+".name", c.Name)
	if c.StopTimeout < 0 {
		v.add(field+".stop_timeout", "must not be negative")
	}
	for i, p := range c.Ports {
		if p.ContainerPort < 0 || p.ContainerPort > 65535 {
			v.add(fmt.Sprintf("%s.ports[%d].container_port", field, i), "must be 0 to 65535")
		}
		if p.HostPort < 0 || p.HostPort > 65535 {
			v.add(fmt.Sprintf("%s.ports[%d].host_port", field, i), "must be 0 to 65535")
		}
	}
	h := c.HealthCheck
	if h == nil {
		return
	}
	if len(h.Command) < 2 || h.Command[0] != "CMD" && h.Command[0] != "CMD-SHELL" {
		v.add(field+".health_check.command", "must be CMD or CMD-SHELL and then the command")
	}
	if h.Interval < 0 || h.Timeout < 0 || h.StartPeriod < 0 || h.Retries < 0 {
		v.add(field+".health_check", "its times and retries must not be negative")
	}
}

func (v violations) problem() error {
	if len(v) == 0 {
		return nil
	}
	return problem.Violated(v...)
}

// Clone returns a copy that shares nothing with s, for drivers that keep an order.
func (s TaskSet) Clone() TaskSet {
	s.Tasks = slices.Clone(s.Tasks)
	s.Containers = slices.Clone(s.Containers)
	for i := range s.Containers {
		c := &s.Containers[i]
		c.Command = slices.Clone(c.Command)
		c.Environment = maps.Clone(c.Environment)
		c.Ports = slices.Clone(c.Ports)
		if c.HealthCheck != nil {
			check := *c.HealthCheck
			check.Command = slices.Clone(check.Command)
			c.HealthCheck = &check
		}
	}
	return s
}
