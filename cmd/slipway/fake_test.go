package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/grpcserver"
)

// fake is an installation in memory: it keeps what it is told, and its deployments go as their tests drive them.
type fake struct {
	orchestratorpb.UnimplementedClusterServiceServer
	orchestratorpb.UnimplementedTaskDefinitionServiceServer
	orchestratorpb.UnimplementedDeploymentConfigServiceServer
	orchestratorpb.UnimplementedServiceServiceServer
	orchestratorpb.UnimplementedDeploymentServiceServer
	orchestratorpb.UnimplementedAppSpecServiceServer
	orchestratorpb.UnimplementedTaskServiceServer
	orchestratorpb.UnimplementedEventServiceServer
	hookspb.UnimplementedHookServiceServer
	healthcheckpb.UnimplementedTargetGroupServiceServer
	alarmspb.UnimplementedAlarmServiceServer

	mu          sync.Mutex
	changed     chan struct{} // closed, and made anew, at each change
	calls       []string      // the methods that change something, in order
	etags       int
	clusters    []string
	definitions []*orchestratorpb.TaskDefinition
	configs     []*orchestratorpb.DeploymentConfig
	services    []*orchestratorpb.Service
	deployments []*orchestratorpb.Deployment // oldest first
	events      []*orchestratorpb.Event
	tasks       []*orchestratorpb.Task
	logs        map[string]string
	requests    map[string]proto.Message
	hooks       map[string]*hookspb.Hook
	groups      map[string]*healthcheckpb.TargetGroup
	alarms      map[string]*alarmspb.MetricAlarm

	// drive is called with each new deployment, in a goroutine of its own; it advances it. nil leaves it as it is.
	drive func(f *fake, id string)
	// breakAfter lists after how many answers the next streams break; an empty list breaks none.
	breakAfter []int
	// hidden is how many of the last events a listing does not show yet.
	hidden int

	updates []*orchestratorpb.UpdateServiceRequest
	creates []*orchestratorpb.CreateDeploymentRequest
	specs   []*orchestratorpb.CreateAppSpecDeploymentRequest
	stops   []*orchestratorpb.StopDeploymentRequest
	watched []int64 // after_sequence of each WatchDeployment

	plan        *orchestratorpb.PlanDeploymentResponse // instead of a short one
	plans       []*orchestratorpb.PlanDeploymentRequest
	explanation *orchestratorpb.ExplainDeploymentResponse
}

// epoch is when everything in the fake happened first.
var epoch = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

func at(seconds float64) *timestamppb.Timestamp {
	return timestamppb.New(epoch.Add(time.Duration(seconds * float64(time.Second))))
}

// start serves a new fake on a port of its own.
func start(t *testing.T) (*fake, string) {
	t.Helper()
	return startWith(t, grpcserver.Config{Addr: "127.0.0.1:0"})
}

func startWith(t *testing.T, cfg grpcserver.Config) (*fake, string) {
	t.Helper()
	f := &fake{
		changed: make(chan struct{}), clusters: []string{"default"}, logs: map[string]string{}, requests: map[string]proto.Message{},
		hooks: map[string]*hookspb.Hook{}, groups: map[string]*healthcheckpb.TargetGroup{}, alarms: map[string]*alarmspb.MetricAlarm{},
	}
	server, err := grpcserver.New(nil, cfg)
	if err != nil {
		t.Fatal(err)
	}
	orchestratorpb.RegisterClusterServiceServer(server, f)
	orchestratorpb.RegisterTaskDefinitionServiceServer(server, f)
	orchestratorpb.RegisterDeploymentConfigServiceServer(server, f)
	orchestratorpb.RegisterServiceServiceServer(server, f)
	orchestratorpb.RegisterDeploymentServiceServer(server, f)
	orchestratorpb.RegisterAppSpecServiceServer(server, f)
	orchestratorpb.RegisterTaskServiceServer(server, f)
	orchestratorpb.RegisterEventServiceServer(server, f)
	hookspb.RegisterHookServiceServer(server, f)
	healthcheckpb.RegisterTargetGroupServiceServer(server, f)
	alarmspb.RegisterAlarmServiceServer(server, f)
	server.Start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		server.Stop(ctx)
	})
	return f, server.Addr()
}

// lock locks the fake and returns what unlocks it and tells that something changed.
func (f *fake) lock(call string) func() {
	f.mu.Lock()
	if call != "" {
		f.calls = append(f.calls, call)
	}
	return func() {
		if call != "" {
			close(f.changed)
			f.changed = make(chan struct{})
		}
		f.mu.Unlock()
	}
}

func (f *fake) etag() string {
	f.etags++
	return fmt.Sprint("e", f.etags)
}

// until waits for a condition on the fake.
func (f *fake) until(ctx context.Context, ok func() bool) error {
	for {
		f.mu.Lock()
		done, changed := ok(), f.changed
		f.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

// eventually waits for a condition on the fake, and fails the test when it does not come.
func (f *fake) eventually(t *testing.T, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := f.until(ctx, ok); err != nil {
		t.Fatalf("what was waited for did not come: %v", err)
	}
}

// session is one command line that was run.
type session struct {
	out, err string
	code     int
}

// terminal describes the cli that a test runs with. The zero value is no terminal and an empty environment.
type terminal struct {
	stdin         string
	env           map[string]string
	width, height int
	out           io.Writer // besides what the session keeps
}

// slipway runs one command line against the address.
func slipway(t *testing.T, address string, args ...string) session {
	t.Helper()
	return terminal{}.slipway(t.Context(), address, args...)
}

func (tt terminal) slipway(ctx context.Context, address string, args ...string) session {
	var out, errs syncBuffer
	c := &cli{
		in: strings.NewReader(tt.stdin), out: &out, err: &errs,
		env:  func(name string) string { return tt.env[name] },
		now:  func() time.Time { return time.Now().UTC() },
		size: func() (int, int, bool) { return tt.width, tt.height, tt.width > 0 },
	}
	if tt.out != nil {
		c.out = io.MultiWriter(&out, tt.out)
	}
	if address != "" {
		args = append(args, "--orchestrator", address, "--hooks", address, "--healthcheck", address, "--alarms", address)
	}
	code := run(ctx, c, args)
	return session{out.String(), errs.String(), code}
}

// syncBuffer is a buffer that may be read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// want checks a session's exit code and what is in its outputs.
func (s session) want(t *testing.T, code int, parts ...string) {
	t.Helper()
	if s.code != code {
		t.Errorf("exit code %d, want %d", s.code, code)
	}
	for _, part := range parts {
		if !strings.Contains(s.out+s.err, part) {
			t.Errorf("%q is missing", part)
		}
	}
	if t.Failed() {
		t.Fatalf("stdout:\n%s\nstderr:\n%s", s.out, s.err)
	}
}
