// Package variables is what a runtime tells a container by its environment: who it is and where it should listen. It is the
// same for every runtime, so that a task definition moves from one to another.
package variables

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/slipway-deploy/slipway/drivers/runtime"
)

// Container is a container and the ports that it listens on, in the order of its port mappings.
type Container struct {
	Spec  runtime.Container
	Ports []int
}

// Of returns the variables of the i-th container of a task: SLIPWAY_*, PORT for its first port, and PORT_<NAME> or, for a
// mapping without a name, PORT_<CONTAINERPORT> for the ports of all containers; its own win where names are the same.
func Of(task, taskSet, service, taskDefinition string, containers []Container, i int) map[string]string {
	vars := map[string]string{
		"SLIPWAY_TASK":            task,
		"SLIPWAY_TASK_SET":        taskSet,
		"SLIPWAY_SERVICE":         service,
		"SLIPWAY_TASK_DEFINITION": taskDefinition,
		"SLIPWAY_CONTAINER":       containers[i].Spec.Name,
	}
	for j := range containers {
		if j != i {
			containers[j].ports(vars)
		}
	}
	containers[i].ports(vars)
	if own := containers[i].Ports; len(own) > 0 {
		vars["PORT"] = strconv.Itoa(own[0])
	}
	return vars
}

func (c Container) ports(vars map[string]string) {
	for i, port := range c.Ports {
		mapping := c.Spec.Ports[i]
		suffix := name(mapping.Name)
		if mapping.Name == "" {
			if mapping.ContainerPort == 0 {
				continue
			}
			suffix = strconv.Itoa(mapping.ContainerPort)
		}
		vars["PORT_"+suffix] = strconv.Itoa(port)
	}
}

func name(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, strings.ToUpper(s))
}

var variable = regexp.MustCompile(`\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))`)

// Expand replaces $NAME and ${NAME} for the names in vars and leaves all else, which a shell may be meant to see.
func Expand(s string, vars map[string]string) string {
	return variable.ReplaceAllStringFunc(s, func(match string) string {
		if value, ok := vars[strings.Trim(match, "${}")]; ok {
			return value
		}
		return match
	})
}
