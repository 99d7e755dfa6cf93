package process

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// inherited are the variables of the driver's own environment that containers get.
var inherited = [...]string{"PATH", "HOME", "LANG", "TMPDIR", "TZ"}

// tokenVariable holds the task's token in the environment of its containers.
const tokenVariable = "SLIPWAY_TASK_TOKEN" //nolint:gosec // the name of a variable, no credential

// own are the variables that the runtime sets for a container: who it is and where it should listen.
func (r *taskRecord) own(container int) map[string]string {
	c := r.Containers[container]
	vars := map[string]string{
		"SLIPWAY_TASK":            r.Name,
		"SLIPWAY_TASK_SET":        r.TaskSet,
		"SLIPWAY_SERVICE":         r.Service,
		"SLIPWAY_TASK_DEFINITION": r.TaskDefinition,
		"SLIPWAY_CONTAINER":       c.Spec.Name,
	}
	// The ports of the other containers first: the container's own win where names are the same.
	for i := range r.Containers {
		if i != container {
			r.Containers[i].portVariables(vars)
		}
	}
	c.portVariables(vars)
	if len(c.Ports) > 0 {
		vars["PORT"] = strconv.Itoa(c.Ports[0])
	}
	return vars
}

// portVariables adds PORT_<NAME> or, for a port without a name, PORT_<CONTAINERPORT>.
func (c *containerRecord) portVariables(vars map[string]string) {
	for i, port := range c.Ports {
		mapping := c.Spec.Ports[i]
		suffix := variableName(mapping.Name)
		if mapping.Name == "" {
			if mapping.ContainerPort == 0 {
				continue
			}
			suffix = strconv.Itoa(mapping.ContainerPort)
		}
		vars["PORT_"+suffix] = strconv.Itoa(port)
	}
}

func variableName(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, strings.ToUpper(s))
}

// environment is what a container's process gets: what is inherited, then what its definition says, then what the
// runtime sets.
func (r *taskRecord) environment(container int) map[string]string {
	env := make(map[string]string)
	for _, key := range inherited {
		if value, ok := os.LookupEnv(key); ok {
			env[key] = value
		}
	}
	vars := r.own(container)
	for key, value := range r.Containers[container].Spec.Environment {
		env[key] = expand(value, vars)
	}
	maps.Copy(env, vars)
	return env
}

func assignments(env map[string]string) []string {
	list := make([]string, 0, len(env))
	for _, key := range slices.Sorted(maps.Keys(env)) {
		list = append(list, key+"="+env[key])
	}
	return list
}

var variable = regexp.MustCompile(`\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))`)

// expand replaces $NAME and ${NAME} for the names in vars and leaves all else, which a shell may be meant to see.
func expand(s string, vars map[string]string) string {
	return variable.ReplaceAllStringFunc(s, func(match string) string {
		if value, ok := vars[strings.Trim(match, "${}")]; ok {
			return value
		}
		return match
	})
}

// launch is a command that can be started.
type launch struct {
	path string
	args []string
	dir  string
	env  map[string]string
}

// launch resolves the container's command. The error is a sentence for the task's stop reason.
func (r *taskRecord) launch(container int, workingDirectory string) (launch, error) {
	spec := r.Containers[container].Spec
	if len(spec.Command) == 0 || spec.Command[0] == "" {
		return launch{}, fmt.Errorf("container %s has no command, and the process runtime starts no images", spec.Name)
	}
	l := launch{dir: workingDirectory, env: r.environment(container)}
	if spec.WorkingDirectory != "" {
		l.dir = spec.WorkingDirectory
		if !filepath.IsAbs(l.dir) {
			l.dir = filepath.Join(workingDirectory, l.dir)
		}
	}
	vars := r.own(container)
	for _, arg := range spec.Command {
		l.args = append(l.args, expand(arg, vars))
	}
	if info, err := os.Stat(l.dir); err != nil || !info.IsDir() {
		return launch{}, fmt.Errorf("container %s: command %q cannot start: the working directory %s %s",
			spec.Name, l.args[0], l.dir, whyNot(err, "is not a directory"))
	}
	path, err := lookPath(l.args[0], l.env["PATH"], l.dir)
	if err != nil {
		return launch{}, fmt.Errorf("container %s: command %q %w", spec.Name, l.args[0], err)
	}
	l.path = path
	return l, nil
}

// lookPath finds the program in the container's own PATH, not the driver's.
func lookPath(file, path, dir string) (string, error) {
	if strings.Contains(file, "/") {
		if !filepath.IsAbs(file) {
			file = filepath.Join(dir, file)
		}
		info, err := os.Stat(file)
		if err != nil || info.IsDir() || info.Mode()&0o111 == 0 {
			return "", errors.New(whyNot(err, "is not an executable file"))
		}
		return file, nil
	}
	for _, folder := range filepath.SplitList(path) {
		if !filepath.IsAbs(folder) {
			continue
		}
		candidate := filepath.Join(folder, file)
		if info, err := os.Stat(candidate); err == nil && !info.IsDir() && info.Mode()&0o111 != 0 {
			return candidate, nil
		}
	}
	return "", errors.New("was not found in PATH")
}

func whyNot(err error, otherwise string) string {
	switch {
	case err == nil:
		return otherwise
	case errors.Is(err, fs.ErrNotExist):
		return "does not exist"
	case errors.Is(err, fs.ErrPermission):
		return "may not be read"
	}
	return "cannot be used: " + err.Error()
}
