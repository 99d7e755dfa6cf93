package test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/internal/stack"
	"github.com/slipway-deploy/slipway/platform/postgres/postgrestest"
	orchestrator "github.com/slipway-deploy/slipway/services/orchestrator/app"
)

// failOverLimit is far above the 3 s that are promised: what is measured is logged, on a machine that may be busy with other tests.
const failOverLimit = 10 * time.Second

// Two orchestrators share the services. One that is killed, stopped for longer than its lease, or told to stop, loses and doubles
// nothing, and the other goes on within the limit.
func TestOrchestratorsThatFailAreReplacedByTheOthers(t *testing.T) {
	f := newFleet(t, 2)
	one, two := f.replicas[0], f.replicas[1]
	f.shared(one.name, two.name)
	end := f.begin()
	eventually(t, func() bool { return len(f.heldBy(one.name)) > 0 && len(f.heldBy(two.name)) > 0 })
	within := func(what string, r *replica, fail func()) {
		t.Helper()
		first, last := f.failsOver(r, fail)
		t.Logf("%s: the first service went on after %s, the last after %s", what, first.Round(time.Millisecond), last.Round(time.Millisecond))
		if last > failOverLimit {
			t.Errorf("%s: the last service went on after %s, want %s at most", what, last, failOverLimit)
		}
	}
	signal := func(r *replica, s syscall.Signal) {
		t.Helper()
		if err := r.cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		within("killed", one, one.kill)
		f.shared(two.name)
		one.start()
		f.setAway(one, false)
		f.shared(one.name, two.name)

		within("stopped for longer than its lease", two, func() { signal(two, syscall.SIGSTOP) })
		f.shared(one.name)
		signal(two, syscall.SIGCONT)
		f.setAway(two, false)
		f.shared(one.name, two.name)

		within("told to stop", one, func() { signal(one, syscall.SIGTERM) })
		_ = one.cmd.Wait()
		one.start()
		f.setAway(one, false)
		f.shared(one.name, two.name)
	}
	end()
	f.check()
}

// The only orchestrator is killed and started again at once, under another name, as programs without a name of their own have it.
func TestTheOnlyOrchestratorIsKilled(t *testing.T) {
	f := newFleet(t, 1)
	only := f.replicas[0]
	f.shared(only.name)
	end := f.begin()
	for i := range 4 {
		first, last := f.failsOver(only, func() {
			only.kill()
			only.args[len(only.args)-1] = fmt.Sprintf("again-%d", i)
			only.start()
			f.setAway(only, false)
		})
		only.name = only.args[len(only.args)-1]
		t.Logf("killed and started again: the first service went on after %s, the last after %s", first.Round(time.Millisecond), last.Round(time.Millisecond))
		if last > failOverLimit {
			t.Errorf("the last service went on after %s, want %s at most", last, failOverLimit)
		}
		f.shared(only.name)
	}
	end()
	f.check()
}

// An orchestrator that is cut off from Postgres, but not from the runtime, does nothing any more.
func TestAnOrchestratorThatIsCutOffFromPostgresIsReplaced(t *testing.T) {
	f := noFleet(t)
	way := postgrestest.NewRelay(t, f.s.DatabaseURL)
	far, near := f.add("far", way.URL()), f.add("near", "")
	f.shared(far.name, near.name)
	end := f.begin()
	for range 2 {
		first, last := f.failsOver(far, way.Cut)
		t.Logf("cut off: the first service went on after %s, the last after %s", first.Round(time.Millisecond), last.Round(time.Millisecond))
		if last > failOverLimit {
			t.Errorf("the last service went on after %s, want %s at most", last, failOverLimit)
		}
		f.shared(near.name)
		way.Mend()
		f.setAway(far, false)
		f.shared(far.name, near.name)
	}
	end()
	f.check()
}

// Watchers see every event, in order and soon, wherever they watch.
func TestWatchersAtEveryOrchestratorSeeEveryEvent(t *testing.T) {
	f := newFleet(t, 2)
	f.shared("replica-1", "replica-2")
	type seen struct {
		event *orchestratorpb.Event
		after time.Duration
	}
	const enough = 150
	all := make([]chan seen, len(f.replicas))
	for i, r := range f.replicas {
		stream, err := r.watch.WatchEvents(t.Context(), &orchestratorpb.WatchEventsRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Header(); err != nil { // it has begun
			t.Fatal(err)
		}
		all[i] = make(chan seen, 10*enough)
		go func() {
			for {
				m, err := stream.Recv()
				if err != nil {
					return
				}
				select {
				case all[i] <- seen{m.GetEvent(), time.Since(m.GetEvent().GetTime().AsTime())}:
				default: // enough was seen
				}
			}
		}()
	}
	end := f.begin()
	for i, r := range f.replicas {
		last, slowest := map[string]int64{}, time.Duration(0)
		for range enough {
			select {
			case got := <-all[i]:
				of := got.event.GetService() + got.event.GetDeployment()
				if got.event.GetSequence() != last[of]+1 {
					t.Errorf("%s: event %d of %s came after %d", r.name, got.event.GetSequence(), of, last[of])
				}
				last[of], slowest = got.event.GetSequence(), max(slowest, got.after)
			case <-time.After(30 * time.Second):
				t.Fatalf("%s: events stay away", r.name)
			}
		}
		t.Logf("%s: the slowest of %d events came after %s", r.name, enough, slowest.Round(time.Millisecond))
		if slowest > 2*time.Second {
			t.Errorf("%s: an event came after %s", r.name, slowest)
		}
	}
	end()
	f.check()
}

// A replica whose clock is wrong goes by the database's: no wait is shortened or prolonged.
func TestAnOrchestratorWithAWrongClockDoesNoHarm(t *testing.T) {
	f := newFleet(t, 1)
	cfg := orchestrator.Default()
	cfg.Listen.Addr, cfg.DatabaseURL, cfg.Runtime, cfg.Remote.Target = freeAddress(t), f.s.DatabaseURL, "remote", f.runtime.Addr()
	cfg.Hooks.Target, cfg.Healthcheck.Target, cfg.Alarms.Target, cfg.Traffic.Target = f.s.Addresses.Hooks, f.s.Addresses.Healthcheck, f.s.Addresses.Alarms, f.s.Addresses.Proxy
	cfg.Replica, cfg.Clock = "wrong", func() time.Time { return time.Now().Add(10 * time.Minute) }
	wrong, err := orchestrator.New(t.Context(), cfg, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	if err := wrong.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { wrong.Stop(context.Background()) })
	f.shared("replica-1", "wrong")
	end := f.begin()
	eventually(t, func() bool {
		return one[int64](f, `SELECT count(*) FROM orchestrator.deployments WHERE finish_time IS NOT NULL`) > 5*fleetServices
	})
	if len(f.heldBy("wrong")) == 0 {
		t.Fatal("the replica with the wrong clock had nothing to do")
	}
	end()
	f.check()
	off := one[float64](f, `SELECT max(abs(extract(epoch FROM finish_time - create_time)))::float8 FROM orchestrator.deployments`)
	ahead := one[float64](f, `SELECT max(extract(epoch FROM time - now()))::float8 FROM orchestrator.events`)
	if off > 60 || ahead > 1 {
		t.Errorf("a deployment took %.1f s, an event is %.1f s ahead", off, ahead)
	}
}

// Runtimes that only one orchestrator can see refuse a second one.
func TestASecondOrchestratorWithARuntimeOfItsOwnIsRefused(t *testing.T) {
	s := startStack(t, stack.Config{})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for _, args := range [][]string{{"-runtime-dir", t.TempDir()}, {"-runtime", "remote"}} {
		cmd := exec.CommandContext(ctx, program(t, "orchestrator"), append([]string{"-listen", freeAddress(t)}, args...)...)
		cmd.Env = append(os.Environ(), "DATABASE_URL="+s.DatabaseURL)
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "-runtime remote") {
			t.Errorf("%v: %v: %s", args, err, out)
		}
	}
}

// One that slept while another took its place ends when it wakes: it cannot share its runtime.
func TestAnOrchestratorWithARuntimeOfItsOwnEndsWhenItWasReplaced(t *testing.T) {
	f := noFleet(t)
	start := func(name string) *process {
		p := &process{t: t, s: f.s, address: freeAddress(t), args: []string{"-runtime-dir", folder(t)}}
		log, err := os.Create(folder(t) + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		p.log = log
		p.start()
		t.Cleanup(func() {
			_ = p.cmd.Process.Signal(syscall.SIGCONT)
			_ = p.cmd.Process.Kill()
			_ = p.cmd.Wait()
		})
		return p
	}
	holder := func() string {
		return one[string](f, `SELECT coalesce(max(holder), '') FROM orchestrator.shard_leases WHERE expire_time > now()`)
	}
	first := start("first")
	eventually(t, func() bool { return holder() != "" })
	before := holder()
	if err := first.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	start("second") // waits for the first one's lease to end
	eventually(t, func() bool { return holder() != "" && holder() != before })
	if err := first.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- first.cmd.Wait() }()
	select {
	case err := <-ended:
		text, _ := os.ReadFile(first.log.Name())
		if err == nil || !strings.Contains(string(text), "another orchestrator has gone on") {
			t.Errorf("it ended with %v: %s", err, text)
		}
	case <-time.After(15 * time.Second):
		t.Error("it goes on")
	}
	if holder() == before {
		t.Error("it took the services back")
	}
}
