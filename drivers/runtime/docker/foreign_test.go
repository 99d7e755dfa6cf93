package docker

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	"github.com/slipway-deploy/slipway/platform/problem"
)

// foreign makes a container that is not of the driver's making, and starts it.
func foreign(t *testing.T, cli *client.Client, name string, labels map[string]string) string {
	t.Helper()
	id := made(t, cli, name, labels)
	if _, err := cli.ContainerStart(t.Context(), id, client.ContainerStartOptions{}); err != nil {
		t.Fatal(err)
	}
	return id
}

func made(t *testing.T, cli *client.Client, name string, labels map[string]string) string {
	t.Helper()
	answer, err := cli.ContainerCreate(t.Context(), client.ContainerCreateOptions{
		Name: name, Config: &container.Config{Image: image(t, cli), Cmd: []string{"/workload", "run"}, Labels: labels},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = cli.ContainerRemove(context.Background(), answer.ID, client.ContainerRemoveOptions{Force: true})
	})
	return answer.ID
}

func TestAContainerOfSomeoneElseIsLeftAlone(t *testing.T) {
	t.Parallel()
	cli := engineOrSkip(t)
	cfg := config(t, cli)
	set := oneTask(image(t, cli))
	stranger := foreign(t, cli, cfg.Owner+"."+set.Tasks[0]+".app", nil)
	neighbour := foreign(t, cli, "", map[string]string{ownerLabel: cfg.Owner + "-2", taskLabel: "web-1-1"})
	d := open(t, cfg)
	ensure(t, d, 1, set)
	task := reaches(t, d, set.Tasks[0], runtime.Stopped)
	if task.StopCode != runtime.TaskFailedToStart || !strings.Contains(task.StopReason, "has another container named") {
		t.Errorf("%s: %s", task.StopCode, task.StopReason)
	}
	set.Tasks = nil
	ensure(t, d, 2, set)
	removed(t, d, task.Name)
	for _, id := range []string{stranger, neighbour} {
		there, err := cli.ContainerInspect(t.Context(), id, client.ContainerInspectOptions{})
		if err != nil || !there.Container.State.Running {
			t.Errorf("the container of someone else was touched: %+v, %v", there.Container.State, err)
		}
	}
}

func TestWhatACrashLeftIsCleanedUp(t *testing.T) {
	t.Parallel()
	cli := engineOrSkip(t)
	cfg := config(t, cli)
	d := open(t, cfg)
	set := oneTask(image(t, cli))
	ensure(t, d, 3, set)
	reaches(t, d, set.Tasks[0], runtime.Running)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	// Containers of names that no order lists, such as one whose making was asked for and answered too late.
	left := func(task, service string) map[string]string {
		order := runtime.TaskSet{ID: set.ID, Service: service, TaskDefinition: "web:1", Containers: set.Containers}
		r := newRecord(order, 2, set.ID+task, now())
		r.Engine = "local"
		return r.labels(cfg.Owner, 0)
	}
	name := func(task string) string { return cfg.Owner + "." + set.ID + task + ".app" }
	never := made(t, cli, name("-7"), left("-7", set.Service))
	unknown := made(t, cli, name("-8"), left("-8", "prod/unknown"))
	running := foreign(t, cli, name("-9"), left("-9", set.Service))

	d = open(t, cfg)
	for what, id := range map[string]string{"never started": never, "of an unknown service": unknown, "running": running} {
		eventually(t, "the container that was left is gone: "+what, func() bool {
			_, err := cli.ContainerInspect(t.Context(), id, client.ContainerInspectOptions{})
			return errdefs.IsNotFound(err)
		})
	}
	reaches(t, d, set.Tasks[0], runtime.Running)
	if order, _ := d.orders.Set(d.keeperOf(set.Tasks[0]).key); len(order.Tasks) != 1 {
		t.Errorf("the order lists %q", order.Tasks)
	}
}

func TestATaskOnAnotherEngineThanItsRecordSaysIsRemoved(t *testing.T) {
	t.Parallel()
	cli := engineOrSkip(t)
	cfg := config(t, cli)
	d := open(t, cfg)
	set := oneTask(image(t, cli))
	ensure(t, d, 1, set)
	reaches(t, d, set.Tasks[0], runtime.Running)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	r := newRecord(set, 1, set.Tasks[0], now())
	r.Engine = "b"
	second := foreign(t, cli, "", r.labels(cfg.Owner, 0))
	cfg.Engines = []Engine{{Name: "local"}, {Name: "b"}}
	open(t, cfg)
	first, err := cli.ContainerInspect(t.Context(), cfg.Owner+"."+set.Tasks[0]+".app", client.ContainerInspectOptions{})
	if err != nil || !first.Container.State.Running {
		t.Errorf("the task's own container: %+v, %v", first.Container.State, err)
	}
	if _, err := cli.ContainerInspect(t.Context(), second, client.ContainerInspectOptions{}); !errdefs.IsNotFound(err) {
		t.Errorf("the second container of the name is there: %v", err)
	}
}

func TestOneDriverAtATimeUsesTheStateFolder(t *testing.T) {
	t.Parallel()
	cli := engineOrSkip(t)
	cfg := config(t, cli)
	d := open(t, cfg)
	if _, err := New(cfg, d.log); !errors.Is(err, problem.FailedPrecondition) {
		t.Errorf("got %v", err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, cfg)
}
