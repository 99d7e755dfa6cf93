package process

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/slipway-deploy/slipway/drivers/runtime/internal/variables"
)

// inherited are the variables of the driver's own environment that containers get.
var inherited = [...]string{"PATH", "HOME", "LANG", "TMPDIR", "TZ"}

// tokenVariable holds the task's token in the environment of its containers.
const tokenVariable = "SLIPWAY_TASK_TOKEN" //nolint:gosec // the name of a variable, no credential

// own are the variables that the runtime sets for a container: who it is and where it should listen.
func (r *taskRecord) own(container int) map[string]string {
	containers := make([]variables.Container, len(r.Containers))
	for i, c := range r.Containers {
		containers[i] = variables.Container{Spec: c.Spec, Ports: c.Ports}
	}
	return variables.Of(r.Name, r.TaskSet, r.Service, r.TaskDefinition, containers, container)
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
		env[key] = variables.Expand(value, vars)
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
		l.args = append(l.args, variables.Expand(arg, vars))
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
