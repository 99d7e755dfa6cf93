package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/slipway-deploy/slipway/drivers/runtime"
)

// patience is how long a test waits for what should come soon.
const patience = 30 * time.Second

var workload struct {
	once  sync.Once
	image string
	err   error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if workload.image != "" {
		if cli, err := client.New(client.FromEnv); err == nil {
			_, _ = cli.ImageRemove(context.Background(), workload.image, client.ImageRemoveOptions{Force: true})
		}
	}
	os.Exit(code)
}

// engineOrSkip returns a client of the engine of this machine. Without one the test is skipped, or fails where one must be.
func engineOrSkip(t *testing.T) *client.Client {
	t.Helper()
	cli, err := client.New(client.FromEnv)
	if err == nil {
		_, err = cli.Ping(t.Context(), client.PingOptions{})
	}
	if err != nil {
		if os.Getenv("SLIPWAY_REQUIRE_DOCKER") != "" {
			t.Fatalf("SLIPWAY_REQUIRE_DOCKER is set, and no Docker engine answers: %v", err)
		}
		t.Skipf("no Docker engine answers: %v", err)
	}
	t.Cleanup(func() { _ = cli.Close() })
	return cli
}

// image is the image of testdata/workload, made without any base image.
func image(t *testing.T, cli *client.Client) string {
	t.Helper()
	workload.once.Do(func() { workload.image, workload.err = importImage(t, cli) })
	if workload.err != nil {
		t.Fatal(workload.err)
	}
	return workload.image
}

func importImage(t *testing.T, cli *client.Client) (string, error) {
	program := filepath.Join(t.TempDir(), "workload")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", program, "./testdata/workload")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	body, err := os.ReadFile(program)
	if err != nil {
		return "", err
	}
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	if err := w.WriteHeader(&tar.Header{Name: "workload", Mode: 0o755, Size: int64(len(body))}); err != nil {
		return "", err
	}
	if _, err := w.Write(body); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	ref := "slipway-test/workload:" + strings.ToLower(rand.Text()[:8])
	answer, err := cli.ImageImport(t.Context(), client.ImageImportSource{Source: &archive, SourceName: "-"}, ref, client.ImageImportOptions{})
	if err != nil {
		return "", err
	}
	defer answer.Close()
	_, err = bytes.NewBuffer(nil).ReadFrom(answer)
	return ref, err
}

// open opens a driver and closes it at the end of the test. Whatever of its containers is left then is removed.
func open(t *testing.T, cfg Config) *Driver {
	t.Helper()
	d, err := New(cfg, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// config is that of a driver of its own, whose containers are removed at the end.
func config(t *testing.T, cli *client.Client) Config {
	t.Helper()
	cfg := Config{Dir: t.TempDir(), Owner: "slipway-test-" + strings.ToLower(rand.Text()[:8]), Publish: true}
	t.Cleanup(func() {
		ctx := context.Background()
		list, err := cli.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: client.Filters{}.Add("label", ownerLabel+"="+cfg.Owner)})
		if err != nil {
			t.Error(err)
		}
		for _, c := range list.Items {
			_, _ = cli.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true})
		}
	})
	return cfg
}

func oneTask(image string, command ...string) runtime.TaskSet {
	id := "web-" + strings.ToLower(rand.Text()[:8])
	return runtime.TaskSet{
		ID: id, Service: "prod/" + id, TaskDefinition: "web:1", Tasks: []string{id + "-1"},
		Containers: []runtime.Container{{Name: "app", Image: image, Essential: true, Command: append([]string{"/workload", "run"}, command...), StopTimeout: 5 * time.Second}},
	}
}

func ensure(t *testing.T, d *Driver, generation int64, set runtime.TaskSet) {
	t.Helper()
	if err := d.EnsureTaskSet(t.Context(), generation, set); err != nil {
		t.Fatal(err)
	}
}

// until watches the driver until the task is as asked and returns it.
func until(t *testing.T, d *Driver, name string, condition func(runtime.Task) bool) runtime.Task {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var got runtime.Task
	found := false
	for ctx.Err() == nil && !found {
		_ = d.Watch(ctx, func(u runtime.Update) {
			for _, task := range u.Tasks {
				if task.Name == name && !found {
					got = task
					if found = condition(task); found {
						cancel()
					}
				}
			}
		})
	}
	if !found {
		t.Fatalf("task %s: not in time; it is %+v", name, got)
	}
	return got
}

func reaches(t *testing.T, d *Driver, name string, state runtime.TaskState) runtime.Task {
	t.Helper()
	return until(t, d, name, func(task runtime.Task) bool { return task.State == state })
}

// removed waits until the driver has forgotten the task.
func removed(t *testing.T, d *Driver, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	there := true
	err := d.Watch(ctx, func(u runtime.Update) {
		if u.Snapshot {
			there = slices.ContainsFunc(u.Tasks, func(task runtime.Task) bool { return task.Name == name })
		}
		if there = there && !slices.Contains(u.Removed, name); !there {
			cancel()
		}
	})
	if err != nil || there {
		t.Fatalf("task %s is still there (%v)", name, err)
	}
}

// eventually waits until the condition holds, which nothing tells.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not in time: %s", what)
		}
	}
}
