package docker

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/slipway-deploy/slipway/drivers/runtime"
)

// The registry's images hold no program: their tasks fail to start, but only after the pull.
func imageOf(t *testing.T, cli *client.Client, ref string) string {
	t.Helper()
	found, err := cli.ImageInspect(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	return found.ID
}

func TestTheFirstTaskResolvesTheDigestAndTheOthersUseIt(t *testing.T) {
	t.Parallel()
	cli := engineOrSkip(t)
	r := newHub(t, cli)
	first := r.push(t, "one")
	d := open(t, config(t, cli))
	set := oneTask(r.host + "/web:1")
	ensure(t, d, 1, set)
	task := reaches(t, d, set.Tasks[0], runtime.Stopped)
	if strings.Contains(task.StopReason, "CannotPull") {
		t.Fatal(task.StopReason)
	}
	order, _ := d.orders.Set(d.keeperOf(task.Name).key)
	if got, want := order.Images[r.host+"/web:1"], r.host+"/web@"+first; got != want {
		t.Errorf("pinned as %s, want %s", got, want)
	}
	pinned := imageOf(t, cli, r.host+"/web@"+first)

	resolved := r.tagPulls()

	// The tag moves, the engine loses the image, and the task set still runs the first one, by its digest.
	r.push(t, "two")
	if _, err := cli.ImageRemove(t.Context(), pinned, client.ImageRemoveOptions{Force: true}); err != nil {
		t.Fatal(err)
	}
	second := set.Tasks[0] + "2"
	set.Tasks = append(set.Tasks, second)
	ensure(t, d, 2, set)
	reaches(t, d, second, runtime.Stopped)
	if got := imageOf(t, cli, r.host+"/web@"+first); got != pinned {
		t.Errorf("the second task runs %s, want %s", got, pinned)
	}
	if n := r.tagPulls(); n != resolved {
		t.Errorf("the tag was asked for again: %d times, and %d for the first task", n, resolved)
	}
}

func TestATaskIsNotStartedWhenItIsUnlistedDuringItsPull(t *testing.T) {
	t.Parallel()
	cli := engineOrSkip(t)
	r := newHub(t, cli)
	r.push(t, "slow")
	r.hold()
	d := open(t, config(t, cli))
	set := oneTask(r.host + "/web:slow")
	ensure(t, d, 1, set)
	asked(t, r)
	if err := d.DeleteTaskSet(t.Context(), 2, set.Service, set.ID); err != nil {
		t.Fatal(err)
	}
	removed(t, d, set.Tasks[0]) // it does not wait for the registry
	r.let()
}

func TestAPullThatTheDriversEndInterruptsIsDoneAgain(t *testing.T) {
	t.Parallel()
	cli := engineOrSkip(t)
	r := newHub(t, cli)
	r.hold()
	cfg := config(t, cli)
	d := open(t, cfg)
	set := oneTask(r.host + "/web:none")
	ensure(t, d, 1, set)
	asked(t, r)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d = open(t, cfg)
	asked(t, r) // had the end counted as a failure, nothing would be pulled
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-r.asked
		cancel()
	}()
	if err := d.engine("local").pull(ctx, r.host+"/web:other"); !away(err) {
		t.Errorf("the pull that was interrupted ended with %v", err)
	}
	r.let()
	task := reaches(t, d, set.Tasks[0], runtime.Stopped)
	if task.StopCode != runtime.TaskFailedToStart || !strings.HasPrefix(task.StopReason, "CannotPullContainerError: image "+r.host+"/web:none: ") || !strings.Contains(task.StopReason, "manifest unknown") {
		t.Errorf("%s: %s", task.StopCode, task.StopReason)
	}
}

func TestAPullThatTakesTooLongFailsTheTask(t *testing.T) {
	t.Parallel()
	cli := engineOrSkip(t)
	r := newHub(t, cli)
	r.hold()
	cfg := config(t, cli)
	cfg.PullTimeout = 300 * time.Millisecond
	d := open(t, cfg)
	set := oneTask(r.host + "/web:slow")
	ensure(t, d, 1, set)
	task := reaches(t, d, set.Tasks[0], runtime.Stopped)
	if want := "CannotPullContainerError: pulling image " + set.Containers[0].Image + " on engine local took longer than 300ms"; task.StopReason != want {
		t.Errorf("got %q, want %q", task.StopReason, want)
	}
}

// asked waits until the registry is asked for a tag.
func asked(t *testing.T, r *hub) {
	t.Helper()
	select {
	case <-r.asked:
	case <-time.After(patience):
		t.Fatal("the registry was not asked")
	}
}
