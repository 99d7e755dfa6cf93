package docker

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
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
	if want := "container app cannot start: a host port of it is in use on engine local"; task.StopReason != want {
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
	if !strings.Contains(task.StopReason, "out of memory") || task.ExitCode == nil || *task.ExitCode != 137 {
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

// link forwards connections to the engine until it is cut.
type link struct {
	path   string
	target string

	mu    sync.Mutex
	l     net.Listener
	conns []net.Conn
}

func newLink(t *testing.T) *link {
	t.Helper()
	cli, err := client.New(client.FromEnv)
	if err != nil {
		t.Fatal(err)
	}
	defer cli.Close()
	target, ok := strings.CutPrefix(cli.DaemonHost(), "unix://")
	if !ok {
		t.Skip("the engine is not reached by a socket of this machine")
	}
	k := &link{path: filepath.Join(t.TempDir(), "docker.sock"), target: target}
	k.join(t)
	t.Cleanup(k.cut)
	return k
}

func (k *link) join(t *testing.T) {
	t.Helper()
	l, err := net.Listen("unix", k.path)
	if err != nil {
		t.Fatal(err)
	}
	k.mu.Lock()
	k.l = l
	k.mu.Unlock()
	go k.accept(l)
}

func (k *link) accept(l net.Listener) {
	for {
		in, err := l.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("unix", k.target)
		if err != nil {
			_ = in.Close()
			continue
		}
		k.mu.Lock()
		k.conns = append(k.conns, in, out)
		k.mu.Unlock()
		for _, pair := range [][2]net.Conn{{in, out}, {out, in}} {
			go func() {
				_, _ = io.Copy(pair[0], pair[1])
				_ = pair[0].Close()
			}()
		}
	}
}

func (k *link) cut() {
	k.mu.Lock()
	defer k.mu.Unlock()
	_ = k.l.Close()
	for _, c := range k.conns {
		_ = c.Close()
	}
	k.conns = nil
}

func TestAnEngineThatGoesAwayAndComesBack(t *testing.T) {
	t.Parallel()
	cli := engineOrSkip(t)
	cfg := config(t, cli)
	k := newLink(t)
	cfg.Engines = []Engine{{Name: "local", Host: "unix://" + k.path}}
	d := open(t, cfg)
	set := oneTask(image(t, cli))
	first := set.Tasks[0]
	ensure(t, d, 1, set)
	reaches(t, d, first, runtime.Running)

	broken := make(chan error, 1)
	watching := make(chan struct{})
	go func() {
		begun := sync.OnceFunc(func() { close(watching) })
		broken <- d.Watch(context.WithoutCancel(t.Context()), func(runtime.Update) { begun() })
	}()
	<-watching
	k.cut()
	if err := <-broken; !errors.Is(err, problem.Unavailable) || !strings.Contains(err.Error(), "no Docker engine answers") {
		t.Errorf("the watch ended with %v", err)
	}
	if err := d.Watch(t.Context(), func(runtime.Update) {}); !errors.Is(err, problem.Unavailable) {
		t.Errorf("a watch while no engine answers: %v", err)
	}
	second := first[:len(first)-1] + "2"
	set.Tasks = []string{second} // an order that comes meanwhile is kept
	ensure(t, d, 2, set)
	k.join(t)
	reaches(t, d, second, runtime.Running)
	removed(t, d, first)
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
