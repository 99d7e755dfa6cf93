package docker

import (
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	"github.com/slipway-deploy/slipway/platform/problem"
)

// link forwards connections to the engine until it is cut, or passes nothing on while it hangs.
type link struct {
	path   string
	target string

	mu    sync.Mutex
	l     net.Listener
	conns []net.Conn
	hung  chan struct{} // set while the link hangs; closed when it goes on
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
				_, _ = io.Copy(slow{pair[0], k}, pair[1])
				_ = pair[0].Close()
			}()
		}
	}
}

// hang stops the link as a machine that is frozen does: connections stay, and nothing comes.
func (k *link) hang() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.hung = make(chan struct{})
}

func (k *link) goOn() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.hung != nil {
		close(k.hung)
		k.hung = nil
	}
}

// slow waits while the link hangs.
type slow struct {
	io.Writer
	link *link
}

func (s slow) Write(p []byte) (int, error) {
	s.link.mu.Lock()
	hung := s.link.hung
	s.link.mu.Unlock()
	if hung != nil {
		<-hung
	}
	return s.Writer.Write(p)
}

func (k *link) cut() {
	k.goOn()
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
	set := oneTask(image(t, cli), "-output", "hello\n")
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
	tail := make(chan error, 1)
	following := make(chan struct{})
	go func() {
		begun := sync.OnceFunc(func() { close(following) })
		tail <- d.Logs(context.WithoutCancel(t.Context()), first, runtime.LogOptions{Tail: -1, Follow: true}, writer(func() { begun() }))
	}()
	<-following
	k.cut()
	if err := <-tail; !errors.Is(err, problem.Unavailable) {
		t.Errorf("following the log ended with %v", err)
	}
	if err := <-broken; !errors.Is(err, problem.Unavailable) || !strings.Contains(err.Error(), "no Docker engine answers") {
		t.Errorf("the watch ended with %v", err)
	}
	if err := d.Watch(t.Context(), func(runtime.Update) {}); !errors.Is(err, problem.Unavailable) {
		t.Errorf("a watch while no engine answers: %v", err)
	}
	second := first[:len(first)-1] + "2"
	set.Tasks = []string{second} // an order that comes meanwhile is kept
	ensure(t, d, 2, set)
	late := newRecord(set, 1, first+"0", now()) // and a container that no order lists is not taken up
	late.Engine = "local"
	unlisted := foreign(t, cli, late.container(cfg.Owner, 0), late.labels(cfg.Owner, 0))
	k.join(t)
	reaches(t, d, second, runtime.Running)
	removed(t, d, first)
	eventually(t, "the container that no order lists is stopped", func() bool {
		there, err := cli.ContainerInspect(t.Context(), unlisted, client.ContainerInspectOptions{})
		return errdefs.IsNotFound(err) || err == nil && !there.Container.State.Running
	})
}

// writer calls itself at each write.
type writer func()

func (w writer) Write(p []byte) (int, error) {
	w()
	return len(p), nil
}

func TestAnEngineThatHangsIsAwayAndNewTasksGoToAnother(t *testing.T) {
	t.Parallel()
	cli := engineOrSkip(t)
	cfg := config(t, cli)
	k := newLink(t)
	cfg.Engines = []Engine{{Name: "a", Host: "unix://" + k.path}, {Name: "b"}}
	cfg.pingInterval, cfg.pingTimeout = 50*time.Millisecond, 2*time.Second
	d := open(t, cfg)
	set := oneTask(image(t, cli))
	first, second, third := set.ID+"-1", set.ID+"-2", set.ID+"-3"
	ensure(t, d, 1, set)
	reaches(t, d, first, runtime.Running)
	k.hang()
	eventually(t, "engine a is away", func() bool { return !d.engine("a").answers.Load() })
	set.Tasks = []string{first, second, third}
	ensure(t, d, 2, set)
	for _, name := range []string{second, third} {
		reaches(t, d, name, runtime.Running)
		if on, _ := d.placeOf(name); on != "b" {
			t.Errorf("%s is placed on %s, which does not answer", name, on)
		}
	}
	reaches(t, d, first, runtime.Running) // as it was last
	if _, err := cli.ContainerKill(t.Context(), cfg.Owner+"."+first+".app", client.ContainerKillOptions{Signal: "SIGKILL"}); err != nil {
		t.Fatal(err)
	}
	k.goOn()
	if task := reaches(t, d, first, runtime.Stopped); task.ExitCode == nil || *task.ExitCode != 137 {
		t.Errorf("what happened meanwhile: %+v", task)
	}
}
