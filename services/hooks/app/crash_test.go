package app_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	"github.com/slipway-deploy/slipway/platform/postgres"
	"github.com/slipway-deploy/slipway/platform/postgres/postgresdev"
	"github.com/slipway-deploy/slipway/platform/postgres/postgrestest"
	"github.com/slipway-deploy/slipway/services/hooks/app"
)

// asProgram names the database with which this test program runs as a hooks service instead of running tests.
const asProgram = "SLIPWAY_TEST_HOOKS_DATABASE"

func TestMain(m *testing.M) {
	if url := os.Getenv(asProgram); url != "" {
		runAsProgram(url)
	}
	os.Exit(m.Run())
}

func shortLease(c *app.Config) { c.Lease = time.Second }

// runAsProgram serves until it is killed, and says where.
func runAsProgram(url string) {
	cfg := testConfig(url)
	shortLease(&cfg)
	a, err := app.New(context.Background(), cfg, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err == nil {
		err = a.Start(context.Background())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(a.Addr())
	select {}
}

// holdsFirst holds the first call until release is closed or its caller is gone, and answers the others.
func holdsFirst(began chan<- struct{}, release <-chan struct{}, answer func(int, http.ResponseWriter, *http.Request)) func(int, http.ResponseWriter, *http.Request) {
	return func(n int, w http.ResponseWriter, r *http.Request) {
		if n == 1 {
			close(began)
			select {
			case <-release:
			case <-r.Context().Done():
				return
			}
		}
		answer(n, w, r)
	}
}

func wantSameTwice(t *testing.T, calls []seen) {
	t.Helper()
	if len(calls) != 2 || calls[0] != calls[1] || calls[0].attempt != "1" {
		t.Errorf("sent %+v, want the same attempt 1 twice", calls)
	}
}

func TestAStopInMidCallSendsTheSameAttemptAgain(t *testing.T) {
	s := startNew(t, func(c *app.Config) { c.Lease = time.Hour }) // which Stop gives up
	began := make(chan struct{})
	h := newWebhook(t, holdsFirst(began, t.Context().Done(), says(`{"hookStatus":"SUCCEEDED"}`)))
	s.register(t, webhookHook(h.url))
	s.invoke(t, invocation(id))
	wait(t, "the first call", began)
	s.stop()
	s = start(t, s.url)
	s.wantSucceeded(t, id)
	wantSameTwice(t, h.calls())
	if attempts := s.attempts(t, id); len(attempts) != 1 || attempts[0].GetRequest() != h.calls()[0].body {
		t.Errorf("recorded %v", attempts)
	}
}

func TestAKillInMidCallSendsTheSameAttemptAgain(t *testing.T) {
	t.Parallel()
	url := postgrestest.URL(t)
	program, address := startProgram(t, url)
	s := &service{HookServiceClient: dial(t, address)}
	began := make(chan struct{})
	h := newWebhook(t, holdsFirst(began, t.Context().Done(), says(`{"hookStatus":"SUCCEEDED"}`)))
	s.register(t, webhookHook(h.url))
	s.invoke(t, invocation(id))
	wait(t, "the first call", began)
	if err := program.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = program.Wait() // it was killed
	s = start(t, url, shortLease)
	s.wantSucceeded(t, id)
	wantSameTwice(t, h.calls())
}

func startProgram(t *testing.T, url string) (*exec.Cmd, string) {
	t.Helper()
	program := exec.CommandContext(t.Context(), os.Args[0])
	program.Env = append(os.Environ(), asProgram+"="+url)
	program.Stderr = os.Stderr
	if os.Getenv("SLIPWAY_TEST_LOG") == "" {
		program.Stderr = nil
	}
	out, err := program.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the program did not start: %v", err)
	}
	return program, strings.TrimSpace(address)
}

// A call may last longer than a lease: the lease is renewed, so no other replica takes the call for abandoned.
func TestTheLeaseOfACallUnderWayIsRenewed(t *testing.T) {
	s := startNew(t, shortLease)
	start(t, s.url, shortLease)
	began, release := make(chan struct{}), make(chan struct{})
	h := newWebhook(t, holdsFirst(began, release, says(`{"hookStatus":"SUCCEEDED"}`)))
	s.register(t, webhookHook(h.url))
	s.invoke(t, invocation(id))
	wait(t, "the call", began)
	db, err := postgres.Open(t.Context(), s.url, "hooks", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	eventually(t, "the third renewal", func() *bool {
		var renewed bool
		err := db.Pool.QueryRow(t.Context(), `SELECT lease_expire_time > attempt_time + interval '1.9 seconds' FROM invocations`).Scan(&renewed)
		if err != nil || !renewed {
			return nil
		}
		return &renewed
	})
	close(release)
	s.wantSucceeded(t, id)
	if n := len(h.calls()); n != 1 {
		t.Errorf("called %d times", n)
	}
}

// A call that ends within the grace is recorded before the service is gone.
func TestAStopLetsCallsFinishWithinTheGrace(t *testing.T) {
	s := startNew(t, func(c *app.Config) { c.Grace = patience })
	began, release := make(chan struct{}), make(chan struct{})
	h := newWebhook(t, holdsFirst(began, release, says(`{"hookStatus":"SUCCEEDED"}`)))
	s.register(t, webhookHook(h.url))
	s.invoke(t, invocation(id))
	wait(t, "the call", began)
	stopped := make(chan struct{})
	go func() {
		s.stop()
		close(stopped)
	}()
	close(release)
	wait(t, "the end of the service", stopped)
	s = start(t, s.url)
	s.wantSucceeded(t, id)
	if n := len(h.calls()); n != 1 {
		t.Errorf("called %d times", n)
	}
}

// Timers are absolute: what was due during an absence is done at once, and nothing begins anew.
func TestADeadlineThatPassesDuringAnAbsenceHolds(t *testing.T) {
	s := startNew(t)
	h := newWebhook(t, says(`{"hookStatus":"IN_PROGRESS"}`))
	s.register(t, webhookHook(h.url))
	i := invocation(id)
	i.Timeout = durationOf(time.Second)
	begun := s.invoke(t, i)
	s.await(t, id, func(i *hookspb.Invocation) bool { return i.GetNextAttemptTime() != nil && i.GetAttempt() == 1 })
	s.stop()
	s = start(t, s.url)
	ended := s.wantEnd(t, id, hookspb.Invocation_STATE_TIMED_OUT, hookspb.Invocation_OUTCOME_ROLLBACK)
	if !ended.GetDeadlineTime().AsTime().Equal(begun.GetDeadlineTime().AsTime()) || len(h.calls()) != 1 {
		t.Errorf("ended as %v after %d calls", ended, len(h.calls()))
	}
}

// Without Postgres invocations wait; the result of a call under way is kept; then all goes on.
func TestInvocationsWaitForPostgres(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pg := startPostgres(t, dir)
	s := start(t, pg.URL())
	began, release := make(chan struct{}), make(chan struct{})
	h := newWebhook(t, holdsFirst(began, release, says(
		`{"hookStatus":"IN_PROGRESS","callBackDelay":0.1}`, `{"hookStatus":"IN_PROGRESS","callBackDelay":0.1}`, `{"hookStatus":"SUCCEEDED"}`)))
	s.register(t, webhookHook(h.url))
	s.invoke(t, invocation(id))
	wait(t, "the first call", began)
	stopPostgres(t, pg)
	close(release) // its answer has nowhere to go
	if _, err := s.InvokeHook(t.Context(), &hookspb.InvokeHookRequest{Generation: 1, Invocation: invocation("d-1/other")}); err == nil {
		t.Error("an invocation was begun without a database")
	}
	if n := len(h.calls()); n != 1 {
		t.Errorf("called %d times without a database", n)
	}
	pg = startPostgres(t, dir)
	t.Cleanup(func() { stopPostgres(t, pg) })
	s.wantSucceeded(t, id)
	attempts := s.attempts(t, id)
	if len(attempts) != 3 || len(h.calls()) != 3 {
		t.Fatalf("%d attempts recorded, %d calls, want 3", len(attempts), len(h.calls()))
	}
	for n, call := range h.calls() {
		if attempts[n].GetRequest() != call.body || call.attempt != fmt.Sprint(n+1) {
			t.Errorf("attempt %d: recorded %v, sent %+v", n+1, attempts[n], call)
		}
	}
}

func startPostgres(t *testing.T, dir string) *postgresdev.Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	pg, err := postgresdev.Start(ctx, dir, slog.New(slog.DiscardHandler), postgresdev.ForTests())
	if err != nil {
		t.Fatal(err)
	}
	return pg
}

func stopPostgres(t *testing.T, pg *postgresdev.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := pg.Stop(ctx); err != nil {
		t.Error(err)
	}
}
