package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slipway-deploy/slipway/drivers/traffic"
	"github.com/slipway-deploy/slipway/platform/problem"
)

const patience = 10 * time.Second

func open(t *testing.T, config Config) *Engine {
	t.Helper()
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	e, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func stop(t *testing.T, e *Engine) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	e.Stop(ctx)
}

func opened(t *testing.T, config Config) *Engine {
	t.Helper()
	e := open(t, config)
	t.Cleanup(func() { stop(t, e) })
	return e
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func saying(t *testing.T, word string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, word) }))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func routes(service, listen, target string) traffic.Routes {
	return traffic.Routes{
		Service:      service,
		Listeners:    []traffic.Listener{{Name: "production", Address: listen, Forward: []traffic.WeightedTargetGroup{{TargetGroup: "web", Weight: 1000}}}},
		TargetGroups: []traffic.TargetGroup{{Name: "web", Targets: []traffic.Target{{ID: "task-1", Address: target}}}},
	}
}

func apply(t *testing.T, e *Engine, generation int64, r traffic.Routes) {
	t.Helper()
	if err := e.Apply(t.Context(), generation, r); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, address string) string {
	t.Helper()
	res, err := http.Get("http://" + address)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// files returns the names in dir that end like this.
func files(t *testing.T, dir, suffix string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestARestartFallsBackToTheRoutesBeforeWhenTheFileIsCorrupt(t *testing.T) {
	dir, listen := t.TempDir(), freeAddress(t)
	blue, green := saying(t, "blue"), saying(t, "green")
	e := open(t, Config{Dir: dir})
	apply(t, e, 1, routes("shop/web", listen, blue))
	apply(t, e, 2, routes("shop/web", listen, green))
	stop(t, e)
	current := files(t, dir, ".routes.previous") // the two are written in turn
	if len(current) != 1 {
		t.Fatalf("files %v", current)
	}
	if err := os.Truncate(current[0], 100); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	e = opened(t, Config{Dir: dir, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if got := get(t, listen); got != "blue" {
		t.Errorf("got %q, want the target of the generation before", got)
	}
	if applied, _ := e.Applied("shop/web"); applied.Generation != 1 {
		t.Errorf("reported %+v", applied)
	}
	if strings.Count(log.String(), "\n") != 1 || !strings.Contains(log.String(), "cannot be read") {
		t.Errorf("logged %q", log.String())
	}
	apply(t, e, 2, routes("shop/web", listen, green))
	if got := get(t, listen); got != "green" {
		t.Errorf("got %q after the control plane spoke", got)
	}
}

func TestAFullDiskRefusesAnApplyAndNothingChanges(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /dev/full")
	}
	dir, listen, other := t.TempDir(), freeAddress(t), freeAddress(t)
	blue, green := saying(t, "blue"), saying(t, "green")
	e := opened(t, Config{Dir: dir})
	apply(t, e, 1, routes("shop/web", listen, blue))
	full := strings.TrimSuffix(files(t, dir, ".routes")[0], ".routes") + ".routes.new"
	if err := os.Symlink("/dev/full", full); err != nil {
		t.Fatal(err)
	}
	next := routes("shop/web", listen, green)
	next.Listeners = append(next.Listeners, traffic.Listener{Name: "test", Address: other, Forward: next.Listeners[0].Forward})
	err := e.Apply(t.Context(), 2, next)
	if !errors.Is(err, problem.ResourceExhausted) || !strings.Contains(err.Error(), "disk is full") {
		t.Errorf("error %v", err)
	}
	if got := get(t, listen); got != "blue" {
		t.Errorf("got %q", got)
	}
	if l, err := net.Listen("tcp", other); err != nil {
		t.Errorf("the new listener's address was kept: %v", err)
	} else {
		_ = l.Close()
	}
	if applied, _ := e.Applied("shop/web"); applied.Generation != 1 {
		t.Errorf("reported %+v", applied)
	}
	apply(t, e, 2, next) // there is room again
	if got := get(t, other); got != "green" {
		t.Errorf("got %q", got)
	}
}

func TestApplyingTheSameAgainWritesNothing(t *testing.T) {
	dir := t.TempDir()
	e := opened(t, Config{Dir: dir})
	r := routes("shop/web", freeAddress(t), saying(t, "blue"))
	apply(t, e, 1, r)
	apply(t, e, 1, r)
	if n := len(files(t, dir, ".previous")); n != 0 {
		t.Error("the same routes were written twice")
	}
	apply(t, e, 2, r)
	if n := len(files(t, dir, ".previous")); n != 1 {
		t.Error("a new generation was not written")
	}
}

func TestListenersForOtherMachinesNeedLeave(t *testing.T) {
	_, port, _ := net.SplitHostPort(freeAddress(t))
	for address, open := range map[string]bool{"0.0.0.0:" + port: true, ":" + port: true, "example.com:80": true, "127.0.0.1:" + port: false, "[::1]:" + port: false, "localhost:" + port: false} {
		if loopback(address) == open {
			t.Errorf("%s: loopback is %v", address, !open)
		}
	}
	r := routes("shop/web", "0.0.0.0:"+port, saying(t, "blue"))
	err := opened(t, Config{Dir: t.TempDir()}).Apply(t.Context(), 1, r)
	if p := problem.As(err); p == nil || p.Kind != problem.InvalidArgument || p.Violations[0].Field != "listeners[0].address" || !strings.Contains(p.Message, "-insecure-listeners") {
		t.Errorf("error %v", err)
	}
	apply(t, opened(t, Config{Dir: t.TempDir(), InsecureListeners: true}), 1, r)
	if got := get(t, "127.0.0.1:"+port); got != "blue" {
		t.Errorf("got %q", got)
	}
}

func TestAnEndedCallChangesNothing(t *testing.T) {
	e := opened(t, Config{Dir: t.TempDir()})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.Apply(ctx, 1, routes("shop/web", freeAddress(t), "127.0.0.1:1")); !errors.Is(err, problem.Canceled) {
		t.Errorf("error %v", err)
	}
	if _, ok := e.Applied("shop/web"); ok {
		t.Error("it is in force")
	}
}

func TestARestoredListenerWhoseAddressIsTakenIsReportedUntilItIsFree(t *testing.T) {
	dir, listen, target := t.TempDir(), freeAddress(t), saying(t, "blue")
	e := open(t, Config{Dir: dir})
	apply(t, e, 1, routes("shop/web", listen, target))
	stop(t, e)
	taken, err := net.Listen("tcp", listen)
	if err != nil {
		t.Fatal(err)
	}
	e = opened(t, Config{Dir: dir})
	reports := make(chan traffic.Applied, 16)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		_ = e.Watch(ctx, func(u traffic.Update) {
			for _, s := range u.Services {
				reports <- s
			}
		})
	}()
	if r := receive(t, reports); !strings.Contains(r.Problem, listen) {
		t.Errorf("reported %+v", r)
	}
	_ = taken.Close()
	if r := receive(t, reports); r.Problem != "" {
		t.Errorf("reported %+v", r)
	}
	if got := get(t, listen); got != "blue" {
		t.Errorf("got %q", got)
	}
}

func TestDeletedServicesAreForgottenInTheEnd(t *testing.T) {
	dir := t.TempDir()
	e := opened(t, Config{Dir: dir})
	e.mu.Lock()
	for n := range maxDeleted - 1 { // as if they had been deleted
		e.deleted = append(e.deleted, fmt.Sprintf("shop/old-%d", n))
	}
	e.mu.Unlock()
	if err := e.Delete(t.Context(), 5, "shop/first"); err != nil {
		t.Fatal(err)
	}
	e.mu.Lock()
	e.deleted = append([]string{"shop/first"}, e.deleted[:maxDeleted-1]...)
	e.mu.Unlock()
	if err := e.Delete(t.Context(), 5, "shop/last"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the service that was deleted first is forgotten", func() bool { return len(files(t, dir, ".routes")) == 1 })
	apply(t, e, 1, routes("shop/first", freeAddress(t), "127.0.0.1:1"))
	if err := e.Apply(t.Context(), 4, routes("shop/last", freeAddress(t), "127.0.0.1:1")); !errors.Is(err, problem.Aborted) {
		t.Errorf("the last one's generation was forgotten: %v", err)
	}
}

func TestWritersOfOneServiceEndAtTheHighestGeneration(t *testing.T) {
	dir, listen, target := t.TempDir(), freeAddress(t), saying(t, "blue")
	e := open(t, Config{Dir: dir})
	var writers sync.WaitGroup
	for w := range int64(4) {
		writers.Go(func() {
			for g := range int64(10) {
				err := e.Apply(context.Background(), 1+w+4*g, routes("shop/web", listen, target))
				if err != nil && !errors.Is(err, problem.Aborted) {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	if applied, _ := e.Applied("shop/web"); applied.Generation != 40 {
		t.Errorf("generation %d is in force", applied.Generation)
	}
	stop(t, e)
	e = opened(t, Config{Dir: dir})
	if applied, _ := e.Applied("shop/web"); applied.Generation != 40 {
		t.Errorf("generation %d is in force after a restart", applied.Generation)
	}
}

func receive[T any](t *testing.T, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}
