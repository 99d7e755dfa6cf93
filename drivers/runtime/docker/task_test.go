package docker

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	"github.com/slipway-deploy/slipway/drivers/runtime/internal/state"
	"github.com/slipway-deploy/slipway/platform/problem"
)

func TestATaskIsReachedAtItsEndpointAndKnowsWhoItIs(t *testing.T) {
	t.Parallel()
	cli := engineOrSkip(t)
	for name, publish := range map[string]bool{"published": true, "on the network": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config(t, cli)
			cfg.Publish = publish
			d := open(t, cfg)
			set := oneTask(image(t, cli), "-listen", ":$PORT")
			set.Containers[0].Ports = []runtime.Port{{Name: "http", ContainerPort: 8080}}
			set.Containers[0].Environment = map[string]string{"SECRET": "hunter2", "URL": "http://127.0.0.1:${PORT_HTTP}"}
			ensure(t, d, 1, set)
			task := reaches(t, d, set.Tasks[0], runtime.Running)
			text := dial(t, task.Endpoints[0].Address)
			for _, want := range []string{"PORT=8080", "SLIPWAY_TASK=" + task.Name, "SLIPWAY_SERVICE=" + set.Service, "SECRET=hunter2", "URL=http://127.0.0.1:8080"} {
				if !strings.Contains(text, want+"\n") {
					t.Errorf("%s is not in its environment:\n%s", want, text)
				}
			}
			there, err := cli.ContainerInspect(t.Context(), cfg.Owner+"."+task.Name+".app", client.ContainerInspectOptions{})
			if err != nil {
				t.Fatal(err)
			}
			for key, value := range there.Container.Config.Labels {
				if strings.Contains(value, "hunter2") {
					t.Errorf("label %s tells a secret", key)
				}
			}
		})
	}
}

// dial reads what a container answers; it may not listen yet.
func dial(t *testing.T, address string) (answer string) {
	t.Helper()
	eventually(t, "a container answers at "+address, func() bool {
		conn, err := net.DialTimeout("tcp", address, patience)
		if err != nil {
			return false
		}
		defer conn.Close()
		text, err := io.ReadAll(conn)
		answer = string(text)
		return err == nil && len(text) > 0
	})
	return answer
}

func TestContainersOfATaskShareItsNetworkAndItsEnd(t *testing.T) {
	t.Parallel()
	cli := engineOrSkip(t)
	d := open(t, config(t, cli))
	set := oneTask(image(t, cli), "-output", "main\n", "-listen", ":8080")
	set.Containers[0].Ports = []runtime.Port{{ContainerPort: 8080}}
	set.Containers = append(set.Containers, runtime.Container{
		Name: "side", Image: image(t, cli), Command: []string{"/workload", "run", "-output", "side\n", "-listen", ":9090"}, Ports: []runtime.Port{{ContainerPort: 9090}},
	})
	ensure(t, d, 1, set)
	task := reaches(t, d, set.Tasks[0], runtime.Running)
	if len(task.Endpoints) != 2 || !strings.Contains(dial(t, task.Endpoints[1].Address), "SLIPWAY_CONTAINER=side\n") {
		t.Errorf("endpoints %+v", task.Endpoints)
	}
	var out bytes.Buffer
	if err := d.Logs(t.Context(), task.Name, runtime.LogOptions{Tail: -1}, &out); err != nil {
		t.Fatal(err)
	}
	if text := out.String(); !strings.Contains(text, "app | main\n") || !strings.Contains(text, "side | side\n") {
		t.Errorf("logs: %q", text)
	}
	if err := d.Logs(t.Context(), task.Name, runtime.LogOptions{Container: "nobody"}, io.Discard); !errors.Is(err, problem.InvalidArgument) {
		t.Errorf("an unknown container: %v", err)
	}
	if _, err := cli.ContainerKill(t.Context(), d.cfg.Owner+"."+task.Name+".app", client.ContainerKillOptions{Signal: "SIGKILL"}); err != nil {
		t.Fatal(err)
	}
	task = reaches(t, d, task.Name, runtime.Stopped)
	if task.StopReason != "essential container app exited with code 137" {
		t.Errorf("got %q", task.StopReason)
	}
}

func TestATaskIsReachedAfterAContainerThatIsNotEssentialExited(t *testing.T) {
	t.Parallel()
	cli := engineOrSkip(t)
	d := open(t, config(t, cli))
	set := oneTask(image(t, cli), "-listen", ":8080")
	set.Containers[0].Ports = []runtime.Port{{ContainerPort: 8080}}
	set.Containers = append([]runtime.Container{{Name: "init", Image: image(t, cli), Command: []string{"/workload", "run", "-exit", "0"}}}, set.Containers...)
	ensure(t, d, 1, set)
	task := reaches(t, d, set.Tasks[0], runtime.Running)
	eventually(t, "init has exited", func() bool {
		there, err := cli.ContainerInspect(t.Context(), d.cfg.Owner+"."+task.Name+".init", client.ContainerInspectOptions{})
		return err == nil && there.Container.State.Status == container.StateExited
	})
	if text := dial(t, task.Endpoints[0].Address); !strings.Contains(text, "SLIPWAY_CONTAINER=app\n") {
		t.Errorf("got %q", text)
	}
}

func TestAllTasksOfASetRunTheImageOfTheFirst(t *testing.T) {
	t.Parallel()
	cli := engineOrSkip(t)
	cfg := config(t, cli)
	d := open(t, cfg)
	tag := "slipway-test/pinned:" + cfg.Owner
	move := func(source string) {
		if _, err := cli.ImageTag(t.Context(), client.ImageTagOptions{Source: source, Target: tag}); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _, _ = cli.ImageRemove(context.Background(), tag, client.ImageRemoveOptions{Force: true}) })
	move(image(t, cli))
	set := oneTask(tag)
	ensure(t, d, 1, set)
	reaches(t, d, set.Tasks[0], runtime.Running)
	other, err := importImage(t, cli) // the tag is moved to another image
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = cli.ImageRemove(context.Background(), other, client.ImageRemoveOptions{Force: true}) })
	move(other)
	second := set.Tasks[0] + "2"
	set.Tasks = append(set.Tasks, second)
	ensure(t, d, 2, set)
	reaches(t, d, second, runtime.Running)
	var images [2]string
	for i, name := range set.Tasks {
		there, err := cli.ContainerInspect(t.Context(), cfg.Owner+"."+name+".app", client.ContainerInspectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		images[i] = there.Container.Image
	}
	if images[0] != images[1] {
		t.Errorf("the tasks run %q", images)
	}
}

func TestTasksAreAdoptedByTheirLabelsWhenTheStateIsLost(t *testing.T) {
	t.Parallel()
	cli := engineOrSkip(t)
	cfg := config(t, cli)
	d := open(t, cfg)
	set := oneTask(image(t, cli))
	set.Containers[0].Ports = []runtime.Port{{ContainerPort: 80}}
	ensure(t, d, 3, set)
	before := reaches(t, d, set.Tasks[0], runtime.Running)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	cfg.Dir = t.TempDir()
	d = open(t, cfg)
	after := reaches(t, d, set.Tasks[0], runtime.Running)
	if after.TaskSet != before.TaskSet || after.Service != before.Service || !after.StartTime.Equal(before.StartTime) || after.Endpoints[0] != before.Endpoints[0] {
		t.Errorf("got %+v, want %+v", after, before)
	}
	if err := d.EnsureTaskSet(t.Context(), 2, set); !errors.Is(err, problem.Aborted) {
		t.Errorf("an order that is older than the containers: %v", err)
	}
	ensure(t, d, 4, set)
	set.Tasks = nil
	ensure(t, d, 5, set)
	until(t, d, before.Name, func(task runtime.Task) bool { return task.State == runtime.Stopped })
}

func TestATaskThatExitedIsNotStartedAgainWhenTheStateIsLost(t *testing.T) {
	t.Parallel()
	cli := engineOrSkip(t)
	cfg := config(t, cli)
	d := open(t, cfg)
	set := oneTask(image(t, cli), "-exit", "3")
	ensure(t, d, 1, set)
	task := reaches(t, d, set.Tasks[0], runtime.Stopped)
	started := func() string {
		there, err := cli.ContainerInspect(t.Context(), cfg.Owner+"."+task.Name+".app", client.ContainerInspectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return there.Container.State.StartedAt
	}
	before := started()
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	cfg.Dir = t.TempDir()
	d = open(t, cfg)
	ensure(t, d, 1, set)
	again := reaches(t, d, task.Name, runtime.Stopped)
	if again.ExitCode == nil || *again.ExitCode != 3 || started() != before {
		t.Errorf("started at %s and then at %s: %+v", before, started(), again)
	}
}

func TestANewTaskGoesWhereItsSetHasFewest(t *testing.T) {
	t.Parallel()
	web, api := state.Key{Service: "s", ID: "web-1"}, state.Key{Service: "s", ID: "api-1"}
	for name, c := range map[string]struct {
		loads []load
		want  string
	}{
		"fewest of the set": {[]load{{"a", true, 5, map[state.Key]int{web: 2}}, {"b", true, 9, map[state.Key]int{web: 1}}}, "b"},
		"then of all":       {[]load{{"a", true, 5, map[state.Key]int{api: 5}}, {"b", true, 4, map[state.Key]int{api: 4}}}, "b"},
		"then by name":      {[]load{{"b", true, 1, nil}, {"a", true, 1, nil}}, "a"},
		"not one away":      {[]load{{"a", false, 0, nil}, {"b", true, 9, nil}}, "b"},
		"all away":          {[]load{{"a", false, 1, nil}, {"b", false, 0, nil}}, "b"},
	} {
		if got := place(c.loads, web); got != c.want {
			t.Errorf("%s: got %s", name, got)
		}
	}
}

func TestTasksAreSpreadOverEngines(t *testing.T) {
	t.Parallel()
	cli := engineOrSkip(t)
	cfg := config(t, cli)
	cfg.Engines = []Engine{{Name: "a"}, {Name: "b"}} // one engine by two names; labels tell the containers apart
	d := open(t, cfg)
	set := oneTask(image(t, cli))
	set.Tasks = []string{set.ID + "-1", set.ID + "-2", set.ID + "-3", set.ID + "-4"}
	ensure(t, d, 1, set)
	on := map[string]int{}
	for _, name := range set.Tasks {
		reaches(t, d, name, runtime.Running)
		there, err := cli.ContainerInspect(t.Context(), cfg.Owner+"."+name+".app", client.ContainerInspectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		on[there.Container.Config.Labels[engineLabel]]++
	}
	if on["a"] != 2 || on["b"] != 2 {
		t.Errorf("tasks by engine: %v", on)
	}
}

func TestCredentialsComeFromDockersOwnFile(t *testing.T) {
	t.Parallel()
	config := []byte(`{"auths":{"https://index.docker.io/v1/":{"auth":"dTpw"},"registry.example:5000":{"auth":"bad"}}}`)
	if got, err := authFrom(config, "docker.io"); err != nil || got == "" {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := authFrom(config, "ghcr.io"); err != nil || got != "" {
		t.Errorf("another registry: %q, %v", got, err)
	}
	if _, err := authFrom(config, "registry.example:5000"); err == nil || strings.Contains(err.Error(), "bad") {
		t.Errorf("a broken entry: %v", err)
	}
}
