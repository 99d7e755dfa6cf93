package process

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slipway-deploy/slipway/drivers/runtime"
)

func record(containers ...runtime.Container) *taskRecord {
	r := newTask(runtime.TaskSet{
		ID: "web-3", Service: "prod/web", TaskDefinition: "web:3", Containers: containers,
	}, "web-3-7", time.Now())
	return &r
}

func TestAContainersEnvironment(t *testing.T) {
	t.Setenv("SECRET_OF_THE_DRIVER", "1")
	t.Setenv("HOME", "/home/driver")
	t.Setenv("PATH", "/bin")
	r := record(
		runtime.Container{
			Name: "app", Essential: true, Ports: []runtime.Port{{Name: "http-main", ContainerPort: 80}, {ContainerPort: 9090}},
			Environment: map[string]string{"PORT": "1", "SLIPWAY_TASK": "x", "HOME": "/app", "URL": "http://localhost:${PORT}/"},
		},
		runtime.Container{Name: "sidecar", Ports: []runtime.Port{{Name: "admin"}, {ContainerPort: 0}}},
	)
	r.Containers[0].Ports, r.Containers[1].Ports = []int{20001, 20002}, []int{20003, 20004}
	got := r.environment(0)
	want := map[string]string{
		"PATH": "/bin", "HOME": "/app",
		"PORT": "20001", "PORT_HTTP_MAIN": "20001", "PORT_9090": "20002", "PORT_ADMIN": "20003",
		"URL":          "http://localhost:20001/",
		"SLIPWAY_TASK": "web-3-7", "SLIPWAY_TASK_SET": "web-3", "SLIPWAY_SERVICE": "prod/web",
		"SLIPWAY_TASK_DEFINITION": "web:3", "SLIPWAY_CONTAINER": "app",
	}
	for key, value := range want {
		if got[key] != value {
			t.Errorf("%s: got %q, want %q", key, got[key], value)
		}
	}
	for key := range got {
		if _, ok := want[key]; !ok && key != "LANG" && key != "TMPDIR" && key != "TZ" {
			t.Errorf("%s=%s should not be there", key, got[key])
		}
	}
	if port := r.environment(1)["PORT"]; port != "20003" {
		t.Errorf("the sidecar's PORT is %q, want its own first port", port)
	}
}

func TestACommandThatCannotStartIsNamedInTheReason(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, []byte("#!/bin/sh\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, c := range map[string]runtime.Container{
		`container app: command "slipway-nothing" was not found in PATH`:                                   {Command: []string{"slipway-nothing"}},
		`container app: command "./nothing" does not exist`:                                                {Command: []string{"./nothing"}},
		`container app: command "` + plain + `" is not an executable file`:                                 {Command: []string{plain}},
		`container app: command "/" is not an executable file`:                                             {Command: []string{"/"}},
		`container app: command "sh" cannot start: the working directory /nowhere does not exist`:          {Command: []string{"sh"}, WorkingDirectory: "/nowhere"},
		`container app: command "sh" cannot start: the working directory ` + plain + ` is not a directory`: {Command: []string{"sh"}, WorkingDirectory: plain},
		`container app has no command, and the process runtime starts no images`:                           {Image: "web:1"},
	} {
		c.Name = "app"
		_, err := record(c).launch(0, dir)
		if err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

func TestACommandIsLookedUpInTheContainersOwnPath(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "web"), []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	c := runtime.Container{
		Name: "app", Command: []string{"web", "$PORT"}, Environment: map[string]string{"PATH": "relative:" + dir},
		Ports: []runtime.Port{{}},
	}
	r := record(c)
	r.Containers[0].Ports = []int{20001}
	l, err := r.launch(0, "/")
	if err != nil {
		t.Fatal(err)
	}
	if l.path != filepath.Join(dir, "web") || strings.Join(l.args, " ") != "web 20001" || l.dir != "/" {
		t.Errorf("got %+v", l)
	}
	r.Containers[0].Spec.Command = []string{"./web"}
	if l, err = r.launch(0, dir); err != nil || l.path != filepath.Join(dir, "web") {
		t.Errorf("relative to the working directory: got %+v, %v", l, err)
	}
}
