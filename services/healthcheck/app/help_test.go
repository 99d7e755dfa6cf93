package app_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/durationpb"

	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	"github.com/slipway-deploy/slipway/platform/grpcclient"
	"github.com/slipway-deploy/slipway/platform/postgres/postgrestest"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/healthcheck/app"
)

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

const minInterval = 50 * time.Millisecond

// service is a healthcheck service over real gRPC and real Postgres.
type service struct {
	healthcheckpb.TargetGroupServiceClient
	app  *app.App
	url  string
	stop func()
}

func logger() *slog.Logger {
	if os.Getenv("SLIPWAY_TEST_LOG") != "" {
		return slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return slog.New(slog.DiscardHandler)
}

func configOf(url string) app.Config {
	cfg := app.Default()
	cfg.Listen.Addr, cfg.DatabaseURL = "127.0.0.1:0", url
	return cfg
}

func startNew(t *testing.T) *service {
	t.Helper()
	t.Parallel()
	return start(t, postgrestest.URL(t))
}

func start(t *testing.T, url string) *service {
	t.Helper()
	a, err := app.New(t.Context(), configOf(url), logger())
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := dialed(t, a)
	s.url = url
	return s
}

// dialed is a running service; it is stopped with the test.
func dialed(t *testing.T, a *app.App) *service {
	t.Helper()
	conn, err := grpcclient.Dial(grpcclient.Config{Target: a.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	s := &service{TargetGroupServiceClient: healthcheckpb.NewTargetGroupServiceClient(conn), app: a, stop: sync.OnceFunc(func() {
		_ = conn.Close()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		a.Stop(ctx)
	})}
	t.Cleanup(s.stop)
	return s
}

// exec changes the database under the service.
func (s *service) exec(t *testing.T, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

// restart stops the service in an orderly way and starts another on the same database.
func (s *service) restart(t *testing.T) *service {
	t.Helper()
	s.stop()
	return start(t, s.url)
}

func httpCheck(interval time.Duration) *healthcheckpb.HealthCheck {
	return &healthcheckpb.HealthCheck{
		Interval: durationpb.New(interval), Timeout: durationpb.New(min(interval, 5*time.Second)), HealthyThreshold: 2, UnhealthyThreshold: 2,
	}
}

func (s *service) group(t *testing.T, name string, check *healthcheckpb.HealthCheck, delay time.Duration) {
	t.Helper()
	_, err := s.CreateTargetGroup(t.Context(), &healthcheckpb.CreateTargetGroupRequest{TargetGroup: &healthcheckpb.TargetGroup{
		Name: name, HealthCheck: check, DeregistrationDelay: durationpb.New(delay),
	}})
	if err != nil {
		t.Fatal(err)
	}
}

func registration(group, service string, idsAndAddresses ...string) *healthcheckpb.RegisterTargetsRequest {
	req := &healthcheckpb.RegisterTargetsRequest{TargetGroup: group, Service: service, Generation: 1}
	for i := 0; i < len(idsAndAddresses); i += 2 {
		req.Targets = append(req.Targets, &healthcheckpb.Target{Id: idsAndAddresses[i], Address: idsAndAddresses[i+1]})
	}
	return req
}

func (s *service) register(t *testing.T, group, service string, idsAndAddresses ...string) {
	t.Helper()
	if _, err := s.RegisterTargets(t.Context(), registration(group, service, idsAndAddresses...)); err != nil {
		t.Fatal(err)
	}
}

func (s *service) deregister(t *testing.T, group, service string, ids ...string) {
	t.Helper()
	_, err := s.DeregisterTargets(t.Context(), &healthcheckpb.DeregisterTargetsRequest{TargetGroup: group, Service: service, Generation: 1, TargetIds: ids})
	if err != nil {
		t.Fatal(err)
	}
}

func (s *service) report(t *testing.T, group, id string, status healthcheckpb.SetCustomHealthRequest_Status, description string) {
	t.Helper()
	_, err := s.SetCustomHealth(t.Context(), &healthcheckpb.SetCustomHealthRequest{TargetGroup: group, TargetId: id, Status: status, Description: description})
	if err != nil {
		t.Fatal(err)
	}
}

// health is what the service says now of one target.
func (s *service) health(t *testing.T, group, id string) *healthcheckpb.TargetHealth {
	t.Helper()
	resp, err := s.DescribeTargetHealth(t.Context(), &healthcheckpb.DescribeTargetHealthRequest{TargetGroup: group, TargetIds: []string{id}})
	if err != nil {
		t.Fatal(err)
	}
	return resp.GetTargets()[0]
}

func (s *service) wantState(t *testing.T, group, id string, state healthcheckpb.TargetHealth_State) *healthcheckpb.TargetHealth {
	t.Helper()
	h := s.health(t, group, id)
	if h.GetState() != state {
		t.Errorf("%s is %s, want %s", id, h.GetState(), state)
	}
	return h
}

// await returns the target as soon as the watch shows it as wanted; nil stands for one that is not there.
func (s *service) await(t *testing.T, group, id string, wanted func(*healthcheckpb.TargetHealth) bool) *healthcheckpb.TargetHealth {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stream, err := s.WatchTargetHealth(ctx, &healthcheckpb.WatchTargetHealthRequest{TargetGroups: []string{group}})
	if err != nil {
		t.Fatal(err)
	}
	var last *healthcheckpb.TargetHealth
	for {
		resp, err := stream.Recv()
		if err != nil {
			t.Fatalf("waiting for %s, last seen as %v: %v", id, last, err)
		}
		for _, h := range resp.GetTargets() {
			if h.GetTarget().GetId() == id {
				if last = h; wanted(h) {
					return h
				}
			}
		}
		if resp.GetSnapshot() && last == nil && wanted(nil) {
			return nil
		}
		for _, ref := range resp.GetRemovedTargets() {
			if ref.GetTargetId() == id && wanted(nil) {
				return nil
			}
		}
	}
}

func (s *service) awaitState(t *testing.T, group, id string, state healthcheckpb.TargetHealth_State) *healthcheckpb.TargetHealth {
	t.Helper()
	return s.await(t, group, id, func(h *healthcheckpb.TargetHealth) bool { return h.GetState() == state })
}

// eventually polls a condition, for what no watch shows.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(patience)
	for !f() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("%s: did not come", what)
		}
	}
}

// server answers every request with f and returns its host:port.
func server(t *testing.T, f http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// wantProblem checks an error as it came over the network.
func wantProblem(t *testing.T, err error, kind problem.Kind, reason string) {
	t.Helper()
	if p := problem.As(err); p == nil || p.Kind != kind || p.Reason != reason {
		t.Fatalf("%v (%+v), want %s %s", err, p, kind, reason)
	}
}

// wantInvalid is wantProblem for bad input; it returns what is wrong.
func wantInvalid(t *testing.T, err error) []problem.Violation {
	t.Helper()
	wantProblem(t, err, problem.InvalidArgument, "INVALID_FIELD")
	return problem.As(err).Violations
}
