package docker

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/moby/moby/client"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	"github.com/slipway-deploy/slipway/platform/problem"
)

func TestAnImageThatCannotBeHadFailsTheTaskWithASentence(t *testing.T) {
	t.Parallel()
	cli := engineOrSkip(t)
	d := open(t, config(t, cli))
	set := oneTask("127.0.0.1:1/nobody/nothing:1")
	ensure(t, d, 1, set)
	task := reaches(t, d, set.Tasks[0], runtime.Stopped)
	if task.StopCode != runtime.TaskFailedToStart || !strings.HasPrefix(task.StopReason, "CannotPullContainerError: image 127.0.0.1:1/nobody/nothing:1: ") {
		t.Errorf("%s: %s", task.StopCode, task.StopReason)
	}
}

func TestNothingRunsOfATaskOfWhichAContainerCannotStart(t *testing.T) {
	t.Parallel()
	cli := engineOrSkip(t)
	d := open(t, config(t, cli))
	set := oneTask(image(t, cli))
	set.Containers = append(set.Containers, runtime.Container{Name: "side", Image: image(t, cli), Command: []string{"/nothing"}})
	ensure(t, d, 1, set)
	task := reaches(t, d, set.Tasks[0], runtime.Stopped)
	if task.StopCode != runtime.TaskFailedToStart || !strings.HasPrefix(task.StopReason, "container side cannot start: ") || !strings.Contains(task.StopReason, "no such file or directory") {
		t.Errorf("%s: %s", task.StopCode, task.StopReason)
	}
	list, err := cli.ContainerList(t.Context(), client.ContainerListOptions{All: true, Filters: client.Filters{}.Add("label", taskLabel+"="+task.Name)})
	if err != nil || len(list.Items) > 0 {
		t.Errorf("these are left of it: %+v, %v", list.Items, err)
	}
}

func TestATakenHostPortFailsTheTaskWithASentence(t *testing.T) {
	t.Parallel()
	cli := engineOrSkip(t)
	d := open(t, config(t, cli))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	set := oneTask(image(t, cli))
	set.Containers[0].Ports = []runtime.Port{{ContainerPort: 80, HostPort: l.Addr().(*net.TCPAddr).Port}}
	ensure(t, d, 1, set)
	task := reaches(t, d, set.Tasks[0], runtime.Stopped)
	if want := "container app cannot start: " + l.Addr().String() + " of engine local is in use"; task.StopReason != want {
		t.Errorf("got %q, want %q", task.StopReason, want)
	}
}

func TestATaskThatTakesTooMuchMemorySaysSo(t *testing.T) {
	t.Parallel()
	cli := engineOrSkip(t)
	d := open(t, config(t, cli))
	set := oneTask(image(t, cli), "-eat", "256")
	set.Containers[0].MemoryMiB = 16
	ensure(t, d, 1, set)
	task := reaches(t, d, set.Tasks[0], runtime.Stopped)
	// The engine hears of the kill on another way than of the end, and may not know of it yet.
	reasons := []string{"essential container app was killed: out of memory (OutOfMemoryError)", "essential container app exited with code 137"}
	if !slices.Contains(reasons, task.StopReason) || task.ExitCode == nil || *task.ExitCode != 137 {
		t.Errorf("%s (%v)", task.StopReason, task.ExitCode)
	}
}

func TestAContainerThatIsRemovedFromOutsideEndsItsTask(t *testing.T) {
	t.Parallel()
	cli := engineOrSkip(t)
	cfg := config(t, cli)
	d := open(t, cfg)
	set := oneTask(image(t, cli))
	ensure(t, d, 1, set)
	reaches(t, d, set.Tasks[0], runtime.Running)
	if _, err := cli.ContainerRemove(t.Context(), cfg.Owner+"."+set.Tasks[0]+".app", client.ContainerRemoveOptions{Force: true}); err != nil {
		t.Fatal(err)
	}
	reaches(t, d, set.Tasks[0], runtime.Stopped)
}

func TestAnEngineThatIsTooOldIsRefused(t *testing.T) {
	t.Parallel()
	old := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Api-Version", "1.24")
		_, _ = io.WriteString(w, "OK")
	}))
	defer old.Close()
	_, err := New(Config{Dir: t.TempDir(), Engines: []Engine{{Name: "old", Host: "tcp://" + old.Listener.Addr().String()}}}, slog.New(slog.DiscardHandler))
	if !errors.Is(err, problem.FailedPrecondition) || !strings.Contains(err.Error(), "the Docker engine old speaks API version 1.24") {
		t.Errorf("got %v", err)
	}
}
