package feed_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"testing/synctest"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	"github.com/slipway-deploy/slipway/drivers/runtime/internal/feed"
)

// watch records updates as short lines; while held is locked by the test, the watcher is slow.
func watch(ctx context.Context, f *feed.Feed, gate <-chan struct{}) (lines *[]string, result chan error) {
	lines, result = new([]string), make(chan error, 1)
	go func() {
		result <- f.Watch(ctx, func(u runtime.Update) {
			line := ""
			if u.Snapshot {
				line = "snapshot "
			}
			for _, task := range u.Tasks {
				line += fmt.Sprintf("%s=%s ", task.Name, task.State)
			}
			for _, name := range u.Removed {
				line += "-" + name + " "
			}
			*lines = append(*lines, line)
			if gate != nil {
				<-gate
			}
		})
	}()
	return lines, result
}

func expect(t *testing.T, got *[]string, want ...string) {
	t.Helper()
	synctest.Wait()
	if !reflect.DeepEqual(*got, want) {
		t.Errorf("got  %q\nwant %q", *got, want)
	}
}

func task(name string, state runtime.TaskState) runtime.Task {
	return runtime.Task{Name: name, State: state}
}

func TestAWatchBeginsWithASnapshotAndGoesOnWithChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		f := feed.New()
		f.Set(task("b", runtime.Running))
		f.Set(task("a", runtime.Pending))
		lines, result := watch(ctx, f, nil)
		expect(t, lines, "snapshot a=PENDING b=RUNNING ")
		f.Set(task("a", runtime.Running))
		expect(t, lines, "snapshot a=PENDING b=RUNNING ", "a=RUNNING ")
		f.Remove("unknown")
		f.Remove("b")
		expect(t, lines, "snapshot a=PENDING b=RUNNING ", "a=RUNNING ", "-b ")
		cancel()
		if err := <-result; err != nil {
			t.Errorf("ended by ctx: got %v, want nil", err)
		}
	})
}

func TestASlowWatcherSeesTheLatestAndAlwaysTheLastStateBeforeTheRemoval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		f, gate := feed.New(), make(chan struct{})
		lines, result := watch(ctx, f, gate)
		synctest.Wait()
		f.Set(task("a", runtime.Running))
		f.Set(task("a", runtime.Stopping))
		f.Set(task("a", runtime.Stopped))
		f.Remove("a")
		f.Set(task("a", runtime.Pending))
		f.Set(task("c", runtime.Pending))
		f.Set(task("c", runtime.Running))
		close(gate)
		expect(t, lines, "snapshot ", "a=STOPPED c=RUNNING ", "-a ", "a=PENDING ")
		cancel()
		<-result
	})
}

func TestABrokenWatchReturnsTheError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, broken := feed.New(), errors.New("broken")
		_, result := watch(t.Context(), f, nil)
		synctest.Wait()
		f.Break(broken)
		if err := <-result; !errors.Is(err, broken) {
			t.Errorf("got %v, want %v", err, broken)
		}
		lines, result := watch(t.Context(), f, nil)
		expect(t, lines, "snapshot ")
		f.Close(broken)
		if err := <-result; !errors.Is(err, broken) {
			t.Errorf("got %v, want %v", err, broken)
		}
		if err := f.Watch(t.Context(), nil); !errors.Is(err, broken) {
			t.Errorf("a watch of a closed feed: got %v, want %v", err, broken)
		}
	})
}
