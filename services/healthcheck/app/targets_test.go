package app_test

import (
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
)

const (
	initial   = healthcheckpb.TargetHealth_STATE_INITIAL
	healthy   = healthcheckpb.TargetHealth_STATE_HEALTHY
	unhealthy = healthcheckpb.TargetHealth_STATE_UNHEALTHY
	unused    = healthcheckpb.TargetHealth_STATE_UNUSED
	draining  = healthcheckpb.TargetHealth_STATE_DRAINING

	reportHealthy   = healthcheckpb.SetCustomHealthRequest_STATUS_HEALTHY
	reportUnhealthy = healthcheckpb.SetCustomHealthRequest_STATUS_UNHEALTHY
)

// custom is custom health that a report changes at once.
var custom = &healthcheckpb.HealthCheck{Type: healthcheckpb.HealthCheck_TYPE_CUSTOM, CustomHealthDelay: durationpb.New(0)}

func TestATargetGoesFromInitialToHealthyToUnhealthyAndBack(t *testing.T) {
	s := startNew(t)
	var code atomic.Int32
	code.Store(http.StatusOK)
	address := server(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(code.Load())) })
	s.group(t, "web", httpCheck(50*time.Millisecond), 0)
	s.register(t, "web", "default/web", "t1", address)
	s.awaitState(t, "web", "t1", healthy)
	code.Store(http.StatusServiceUnavailable)
	bad := s.awaitState(t, "web", "t1", unhealthy)
	if bad.GetReason() != "Target.ResponseCodeMismatch" || bad.GetDescription() != "Health checks failed with these codes: [503]" {
		t.Errorf("%v", bad)
	}
	code.Store(http.StatusOK)
	if good := s.awaitState(t, "web", "t1", healthy); good.GetReason() != "" || good.GetService() != "default/web" {
		t.Errorf("%v", good)
	}
	s.deregister(t, "web", "default/web", "t1", "unknown")
	s.wantState(t, "web", "t1", unused)
}

func TestARestartKeepsStatesAndCounts(t *testing.T) {
	s := startNew(t)
	address := server(t, func(http.ResponseWriter, *http.Request) {})
	s.group(t, "web", httpCheck(50*time.Millisecond), 0)
	s.register(t, "web", "default/web", "t1", address)
	eventually(t, "five checks", func() bool { return s.health(t, "web", "t1").GetConsecutiveSuccesses() >= 5 })
	before := s.health(t, "web", "t1")
	s = s.restart(t)
	after := s.health(t, "web", "t1")
	if after.GetState() != healthy || after.GetConsecutiveSuccesses() < before.GetConsecutiveSuccesses() ||
		!after.GetStateTime().AsTime().Equal(before.GetStateTime().AsTime()) {
		t.Errorf("before: %v\nafter: %v", before, after)
	}
	eventually(t, "checks after the restart", func() bool {
		return s.health(t, "web", "t1").GetConsecutiveSuccesses() > after.GetConsecutiveSuccesses()
	})
}

func TestAServiceCannotTouchTheTargetsOfAnother(t *testing.T) {
	s := startNew(t)
	s.group(t, "jobs", custom, 0)
	s.register(t, "jobs", "default/a", "a1", "127.0.0.1:9000")
	s.register(t, "jobs", "", "hand", "127.0.0.1:9001")
	for _, other := range []string{"default/b", ""} {
		s.deregister(t, "jobs", other, "a1")
		s.wantState(t, "jobs", "a1", initial)
		_, err := s.RegisterTargets(t.Context(), registration("jobs", other, "new", "127.0.0.1:9002", "a1", "127.0.0.1:9003"))
		wantProblem(t, err, problem.FailedPrecondition, "IN_USE")
	}
	s.wantState(t, "jobs", "new", unused) // refused as a whole
	s.deregister(t, "jobs", "default/a", "hand")
	s.wantState(t, "jobs", "hand", initial)
	_, err := s.RegisterTargets(t.Context(), registration("jobs", "default/a", "hand", "127.0.0.1:9001"))
	wantProblem(t, err, problem.FailedPrecondition, "IN_USE")
	s.deregister(t, "jobs", "default/a", "a1")
	s.deregister(t, "jobs", "", "hand")
	s.wantState(t, "jobs", "a1", unused)
	s.wantState(t, "jobs", "hand", unused)
	s = s.restart(t)
	s.wantState(t, "jobs", "a1", unused)
}

func TestAnOvertakenGenerationIsRefused(t *testing.T) {
	s := startNew(t)
	s.group(t, "jobs", custom, 0)
	req := registration("jobs", "default/a", "a1", "127.0.0.1:9000")
	req.Generation = 5
	if _, err := s.RegisterTargets(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	_, err := s.DeregisterTargets(t.Context(), &healthcheckpb.DeregisterTargetsRequest{
		TargetGroup: "jobs", Service: "default/a", Generation: 4, TargetIds: []string{"a1"},
	})
	wantProblem(t, err, problem.Aborted, "STALE_GENERATION")
	s.wantState(t, "jobs", "a1", initial)
}

func TestBadTargetsNameTheFieldAndTheRule(t *testing.T) {
	s := startNew(t)
	s.group(t, "jobs", custom, 0)
	for field, targets := range map[string][]string{
		"targets[1].id":      {"a", "127.0.0.1:1", "a", "127.0.0.1:2"},
		"targets[0].id":      {"a\x00", "127.0.0.1:1"},
		"targets[0].address": {"a", "127.0.0.1:0"},
		"targets[2].address": {"a", "127.0.0.1:65535", "b", "[::1]:80", "c", "example.com:65536"},
		"targets[1].address": {"a", "web-1.example.com:80", "b", "a b:80"},
	} {
		_, err := s.RegisterTargets(t.Context(), registration("jobs", "", targets...))
		if v := wantInvalid(t, err); len(v) != 1 || v[0].Field != field {
			t.Errorf("%q: %v, want %s", targets, v, field)
		}
	}
	for _, address := range []string{"nohost", ":80", "h:", "h:http", "h:-1", "h:080", "h:80:80"} {
		if _, err := s.RegisterTargets(t.Context(), registration("jobs", "", "a", address)); problem.KindOf(err) != problem.InvalidArgument {
			t.Errorf("%q: %v", address, err)
		}
	}
	s.wantState(t, "jobs", "a", unused)
}

func TestANULIsRefusedAndHarmsNobody(t *testing.T) {
	s := startNew(t)
	s.group(t, "jobs", custom, 0)
	s.register(t, "jobs", "", "a", "127.0.0.1:1", "b", "127.0.0.1:2")
	_, err := s.SetCustomHealth(t.Context(), &healthcheckpb.SetCustomHealthRequest{
		TargetGroup: "jobs", TargetId: "a", Status: reportUnhealthy, Description: "b\x00d",
	})
	if v := wantInvalid(t, err); len(v) != 1 || v[0].Field != "description" {
		t.Errorf("%v", v)
	}
	s.report(t, "jobs", "b", reportHealthy, "fine")
	s = s.restart(t)
	s.wantState(t, "jobs", "a", initial)
	s.wantState(t, "jobs", "b", healthy)
}

func TestAReplayedAnswerChangesNothing(t *testing.T) {
	s := startNew(t)
	s.group(t, "jobs", custom, 0)
	register := registration("jobs", "default/a", "a1", "127.0.0.1:9000")
	register.RequestId = "r-1"
	deregister := &healthcheckpb.DeregisterTargetsRequest{
		RequestId: "r-2", TargetGroup: "jobs", Service: "default/a", Generation: 1, TargetIds: []string{"a1"},
	}
	for range 2 { // the second round is answered with what the first was
		if _, err := s.RegisterTargets(t.Context(), register); err != nil {
			t.Fatal(err)
		}
		if _, err := s.DeregisterTargets(t.Context(), deregister); err != nil {
			t.Fatal(err)
		}
		s.wantState(t, "jobs", "a1", unused)
	}
	if _, err := s.RegisterTargets(t.Context(), register); err != nil {
		t.Fatal(err)
	}
	s.wantState(t, "jobs", "a1", unused) // the database has no such target

	s.register(t, "jobs", "default/a", "a2", "127.0.0.1:9000")
	report := &healthcheckpb.SetCustomHealthRequest{RequestId: "r-3", TargetGroup: "jobs", TargetId: "a2", Status: reportHealthy, Description: "one"}
	if _, err := s.SetCustomHealth(t.Context(), report); err != nil {
		t.Fatal(err)
	}
	s.report(t, "jobs", "a2", reportUnhealthy, "two")
	resp, err := s.SetCustomHealth(t.Context(), report)
	if err != nil || resp.GetTarget().GetDescription() != "one" {
		t.Errorf("%v, %v", resp, err)
	}
	s.wantState(t, "jobs", "a2", unhealthy)
}

func TestACustomHealthIsThereAfterARestart(t *testing.T) {
	s := startNew(t)
	s.group(t, "jobs", custom, 0)
	s.register(t, "jobs", "", "a", "127.0.0.1:1")
	s.report(t, "jobs", "a", reportUnhealthy, "no disk")
	h := s.restart(t).wantState(t, "jobs", "a", unhealthy)
	if h.GetDescription() != "no disk" || h.GetReason() != "Target.FailedHealthChecks" || h.GetConsecutiveFailures() != 1 {
		t.Errorf("%v", h)
	}
}

// As in AWS Cloud Map: a report that changes the health does so later, over a restart too, unless one reverses it before.
func TestCustomHealthChangesAfterItsDelay(t *testing.T) {
	s := startNew(t)
	group := func(name string, delay time.Duration) {
		s.group(t, name, &healthcheckpb.HealthCheck{Type: healthcheckpb.HealthCheck_TYPE_CUSTOM, CustomHealthDelay: durationpb.New(delay)}, 0)
		s.register(t, name, "", "a", "127.0.0.1:1")
		s.report(t, name, "a", reportHealthy, "first")
		s.wantState(t, name, "a", healthy)
	}
	group("soon", 300*time.Millisecond)
	began := time.Now()
	s.report(t, "soon", "a", reportUnhealthy, "down")
	if h := s.wantState(t, "soon", "a", healthy); h.GetReportedState() != unhealthy || h.GetReportedStateTime().AsTime().Before(began) {
		t.Errorf("%v", h)
	}
	s.await(t, "soon", "a", func(h *healthcheckpb.TargetHealth) bool { return h.GetState() == unhealthy })
	if took := time.Since(began); took < 300*time.Millisecond || took > 10*time.Second {
		t.Errorf("changed after %s", took)
	}
	if h := s.wantState(t, "soon", "a", unhealthy); h.GetDescription() != "down" || h.GetReportedStateTime() != nil {
		t.Errorf("%v", h)
	}

	group("late", 5*time.Minute)
	s.report(t, "late", "a", reportUnhealthy, "down")
	s = s.restart(t)
	if h := s.wantState(t, "late", "a", healthy); h.GetReportedState() != unhealthy {
		t.Errorf("after a restart: %v", h)
	}
	s.report(t, "late", "a", reportHealthy, "up")
	if h := s.wantState(t, "late", "a", healthy); h.GetReportedStateTime() != nil || h.GetDescription() != "up" {
		t.Errorf("reversed: %v", h)
	}
	s.report(t, "late", "a", reportUnhealthy, "down")
	s.stop()
	s.exec(t, `UPDATE healthcheck.targets SET flip_time = now() WHERE target_group = 'late'`) // it was due while the service was down
	s = start(t, s.url)
	s.await(t, "late", "a", func(h *healthcheckpb.TargetHealth) bool { return h.GetState() == unhealthy })
}

func TestCustomHealthDelayIsOfCustomHealthAlone(t *testing.T) {
	s := startNew(t)
	s.group(t, "default", &healthcheckpb.HealthCheck{Type: healthcheckpb.HealthCheck_TYPE_CUSTOM}, 0)
	got, err := s.GetTargetGroup(t.Context(), &healthcheckpb.GetTargetGroupRequest{Name: "default"})
	if delay := got.GetTargetGroup().GetHealthCheck().GetCustomHealthDelay().AsDuration(); err != nil || delay != 30*time.Second {
		t.Errorf("default %s, %v", delay, err)
	}
	for kind, delay := range map[healthcheckpb.HealthCheck_Type]time.Duration{
		healthcheckpb.HealthCheck_TYPE_HTTP: time.Second, healthcheckpb.HealthCheck_TYPE_CONTAINER: time.Second,
		healthcheckpb.HealthCheck_TYPE_CUSTOM: 301 * time.Second,
	} {
		_, err := s.CreateTargetGroup(t.Context(), &healthcheckpb.CreateTargetGroupRequest{TargetGroup: &healthcheckpb.TargetGroup{
			Name: "x", HealthCheck: &healthcheckpb.HealthCheck{Type: kind, CustomHealthDelay: durationpb.New(delay)},
		}})
		if v := wantInvalid(t, err); len(v) != 1 || v[0].Field != "target_group.health_check.custom_health_delay" {
			t.Errorf("%s: %v", kind, v)
		}
	}
}

// The filters of AWS Cloud Map's DiscoverInstances.
func TestTargetsAreFilteredByHealth(t *testing.T) {
	s := startNew(t)
	s.group(t, "jobs", custom, 0)
	s.register(t, "jobs", "", "a", "127.0.0.1:1", "b", "127.0.0.1:2", "c", "127.0.0.1:3")
	s.report(t, "jobs", "b", reportUnhealthy, "")
	want := func(wanted map[healthcheckpb.HealthStatusFilter]string) {
		t.Helper()
		for filter, ids := range wanted {
			resp, err := s.DescribeTargetHealth(t.Context(), &healthcheckpb.DescribeTargetHealthRequest{TargetGroup: "jobs", HealthStatus: filter})
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, h := range resp.GetTargets() {
				got += h.GetTarget().GetId()
			}
			if got != ids {
				t.Errorf("%s: %q, want %q", filter, got, ids)
			}
		}
	}
	const (
		all          = healthcheckpb.HealthStatusFilter_HEALTH_STATUS_FILTER_ALL
		up           = healthcheckpb.HealthStatusFilter_HEALTH_STATUS_FILTER_HEALTHY
		down         = healthcheckpb.HealthStatusFilter_HEALTH_STATUS_FILTER_UNHEALTHY
		upOrElseAll  = healthcheckpb.HealthStatusFilter_HEALTH_STATUS_FILTER_HEALTHY_OR_ELSE_ALL
		notSpecified = healthcheckpb.HealthStatusFilter_HEALTH_STATUS_FILTER_UNSPECIFIED
	)
	want(map[healthcheckpb.HealthStatusFilter]string{notSpecified: "abc", all: "abc", up: "", down: "b", upOrElseAll: "abc"})
	s.report(t, "jobs", "c", reportHealthy, "")
	want(map[healthcheckpb.HealthStatusFilter]string{all: "abc", up: "c", down: "b", upOrElseAll: "c"})
}

func TestADeregisteredTargetDrainsForTheDelay(t *testing.T) {
	s := startNew(t)
	s.group(t, "long", custom, time.Hour)
	s.group(t, "short", custom, 300*time.Millisecond)
	s.register(t, "long", "default/a", "a", "127.0.0.1:1")
	s.register(t, "short", "default/a", "a", "127.0.0.1:1", "b", "127.0.0.1:2")
	s.deregister(t, "long", "default/a", "a")
	began := time.Now()
	s.deregister(t, "short", "default/a", "a")
	if h := s.wantState(t, "short", "a", draining); h.GetReason() != "Target.DeregistrationInProgress" {
		t.Errorf("%v", h)
	}
	s.deregister(t, "short", "default/a", "a") // the time is not put off
	s.await(t, "short", "a", func(h *healthcheckpb.TargetHealth) bool { return h == nil })
	if took := time.Since(began); took < 300*time.Millisecond || took > 10*time.Second {
		t.Errorf("drained for %s", took)
	}
	s.wantState(t, "short", "a", unused)
	s.deregister(t, "short", "default/a", "b")
	s.stop()
	s.exec(t, `UPDATE healthcheck.targets SET drain_end = now() WHERE target_group = 'short'`) // it ended while the service was down
	s = start(t, s.url)
	s.wantState(t, "short", "b", unused)
	s.wantState(t, "long", "a", draining)
	s.stop()
	s.exec(t, `UPDATE healthcheck.targets SET drain_end = now() + '300 ms' WHERE target_group = 'long'`)
	s = start(t, s.url)
	s.await(t, "long", "a", func(h *healthcheckpb.TargetHealth) bool { return h == nil })
}

func TestADrainingTargetCanBeRegisteredAgainAndGoesWithItsGroup(t *testing.T) {
	s := startNew(t)
	s.group(t, "long", custom, time.Hour)
	s.register(t, "long", "default/a", "a", "127.0.0.1:1")
	s.deregister(t, "long", "default/a", "a")
	s.wantState(t, "long", "a", draining)
	s.register(t, "long", "default/a", "a", "127.0.0.1:1")
	s.wantState(t, "long", "a", initial)
	s.deregister(t, "long", "default/a", "a")
	if _, err := s.DeleteTargetGroup(t.Context(), &healthcheckpb.DeleteTargetGroupRequest{Name: "long"}); err != nil {
		t.Errorf("a group whose targets only drain: %v", err)
	}
}

func TestAModifiedGroupIsCheckedTheNewWayAtOnce(t *testing.T) {
	s := startNew(t)
	address := server(t, func(http.ResponseWriter, *http.Request) {})
	modify := func(check *healthcheckpb.HealthCheck) {
		t.Helper()
		_, err := s.ModifyTargetGroup(t.Context(), &healthcheckpb.ModifyTargetGroupRequest{
			TargetGroup: &healthcheckpb.TargetGroup{Name: "web", HealthCheck: check},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	s.group(t, "web", custom, 0)
	s.register(t, "web", "", "a", address)
	modify(httpCheck(5 * time.Minute))
	s.awaitState(t, "web", "a", healthy)
	count := s.health(t, "web", "a").GetConsecutiveSuccesses()
	modify(httpCheck(50 * time.Millisecond)) // the next check would come in five minutes
	eventually(t, "checks at the new interval", func() bool { return s.health(t, "web", "a").GetConsecutiveSuccesses() > count+3 })
	modify(custom)
	s.report(t, "web", "a", reportUnhealthy, "by hand")
	s.wantState(t, "web", "a", unhealthy)
}

func TestGroupsAreCreatedListedModifiedAndDeleted(t *testing.T) {
	s := startNew(t)
	for _, name := range []string{"c", "a", "b"} {
		s.group(t, name, nil, 0)
	}
	s.group(t, "a", nil, 0) // the same again
	_, err := s.CreateTargetGroup(t.Context(), &healthcheckpb.CreateTargetGroupRequest{TargetGroup: &healthcheckpb.TargetGroup{Name: "a", HealthCheck: custom}})
	wantProblem(t, err, problem.AlreadyExists, "ALREADY_EXISTS")
	var names []string
	for token := ""; ; {
		page, err := s.ListTargetGroups(t.Context(), &healthcheckpb.ListTargetGroupsRequest{PageSize: 2, PageToken: token})
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range page.GetTargetGroups() {
			names = append(names, g.GetName())
		}
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	if !slices.Equal(names, []string{"a", "b", "c"}) {
		t.Errorf("listed %v", names)
	}
	got, err := s.GetTargetGroup(t.Context(), &healthcheckpb.GetTargetGroupRequest{Name: "b"})
	check := got.GetTargetGroup().GetHealthCheck()
	if err != nil || check.GetInterval().AsDuration() != 30*time.Second || check.GetMatcher() != "200" || check.GetHealthyThreshold() != 5 {
		t.Errorf("%v, %v", got, err)
	}
	changed := &healthcheckpb.TargetGroup{Name: "b", HealthCheck: custom, Etag: got.GetTargetGroup().GetEtag()}
	if _, err := s.ModifyTargetGroup(t.Context(), &healthcheckpb.ModifyTargetGroupRequest{TargetGroup: changed}); err != nil {
		t.Error(err)
	}
	_, err = s.ModifyTargetGroup(t.Context(), &healthcheckpb.ModifyTargetGroupRequest{TargetGroup: changed})
	wantProblem(t, err, problem.Aborted, "STALE_ETAG")
	s.register(t, "b", "", "t", "127.0.0.1:1")
	_, err = s.DeleteTargetGroup(t.Context(), &healthcheckpb.DeleteTargetGroupRequest{Name: "b"})
	wantProblem(t, err, problem.FailedPrecondition, "IN_USE")
	if _, err := s.DeleteTargetGroup(t.Context(), &healthcheckpb.DeleteTargetGroupRequest{Name: "a"}); err != nil {
		t.Error(err)
	}
	_, err = s.RegisterTargets(t.Context(), registration("a", "", "t", "127.0.0.1:1"))
	wantProblem(t, err, problem.NotFound, "TARGET_GROUP_NOT_FOUND")
	long := &healthcheckpb.TargetGroup{Name: "d", DeregistrationDelay: durationpb.New(2 * time.Hour), HealthCheck: &healthcheckpb.HealthCheck{HealthyThreshold: 1}}
	_, err = s.CreateTargetGroup(t.Context(), &healthcheckpb.CreateTargetGroupRequest{TargetGroup: long})
	if v := wantInvalid(t, err); len(v) != 2 {
		t.Errorf("%v", v)
	}
}

func TestAReportOfAnOwnerThatWasOvertakenIsRefused(t *testing.T) {
	s := startNew(t)
	s.group(t, "jobs", custom, 0)
	s.register(t, "jobs", "default/web", "a", "127.0.0.1:1")
	report := func(generation int64, status healthcheckpb.SetCustomHealthRequest_Status) error {
		_, err := s.SetCustomHealth(t.Context(), &healthcheckpb.SetCustomHealthRequest{
			TargetGroup: "jobs", TargetId: "a", Status: status, Service: "default/web", Generation: generation,
		})
		return err
	}
	if err := report(7, reportHealthy); err != nil {
		t.Fatal(err)
	}
	wantProblem(t, report(6, reportUnhealthy), problem.Aborted, "STALE_GENERATION")
	if h := s.wantState(t, "jobs", "a", healthy); h.GetType() != healthcheckpb.HealthCheck_TYPE_CUSTOM {
		t.Errorf("type %s", h.GetType())
	}
}
