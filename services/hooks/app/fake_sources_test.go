package app_test

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/postgres"
)

// orchestrator is what the hooks service reads from, over real gRPC: its events, which it keeps, and its deployments.
type orchestrator struct {
	orchestratorpb.UnimplementedEventServiceServer
	orchestratorpb.UnimplementedDeploymentServiceServer
	address string

	mu          sync.Mutex
	events      []*orchestratorpb.Event
	deployments map[string]*orchestratorpb.Deployment
	changed     chan struct{} // closed with each event
	cut         chan struct{} // closed to break the streams
	opened      []string      // the resume tokens that streams were opened with
}

func listen(t *testing.T, register func(*grpc.Server)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Second, PermitWithoutStream: true}))
	register(server)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	return l.Addr().String()
}

func newOrchestrator(t *testing.T) *orchestrator {
	t.Helper()
	o := &orchestrator{deployments: map[string]*orchestratorpb.Deployment{}, changed: make(chan struct{}), cut: make(chan struct{})}
	o.address = listen(t, func(s *grpc.Server) {
		orchestratorpb.RegisterEventServiceServer(s, o)
		orchestratorpb.RegisterDeploymentServiceServer(s, o)
	})
	return o
}

// say adds an event of a deployment of default/web; its sequence is its number, from 1.
func (o *orchestrator) say(deployment, name, reason string, detail map[string]string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	kind := orchestratorpb.Event_TYPE_INFO
	if name == "SERVICE_DEPLOYMENT_FAILED" {
		kind = orchestratorpb.Event_TYPE_ERROR
	}
	o.events = append(o.events, &orchestratorpb.Event{
		Cluster: "default", Service: "web", Deployment: deployment, Sequence: int64(len(o.events) + 1), Type: kind, Name: name,
		Reason: reason, Detail: detail, Time: timestamppb.New(time.Now()),
	})
	close(o.changed)
	o.changed = make(chan struct{})
}

// breakStreams ends every stream that is open.
func (o *orchestrator) breakStreams() {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.cut)
	o.cut = make(chan struct{})
}

func (o *orchestrator) put(d *orchestratorpb.Deployment) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.deployments[d.GetId()] = d
}

// streams returns the tokens that streams were opened with.
func (o *orchestrator) streams() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]string(nil), o.opened...)
}

func (o *orchestrator) after(n int) (rest []*orchestratorpb.Event, changed, cut chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.events[n:], o.changed, o.cut
}

func (o *orchestrator) WatchEvents(req *orchestratorpb.WatchEventsRequest, stream grpc.ServerStreamingServer[orchestratorpb.WatchEventsResponse]) error {
	o.mu.Lock()
	n := len(o.events)
	o.opened = append(o.opened, req.GetResumeToken())
	cut := o.cut
	o.mu.Unlock()
	if req.GetResumeToken() != "" {
		var err error
		if n, err = strconv.Atoi(req.GetResumeToken()); err != nil {
			return status.Error(codes.InvalidArgument, "resume_token")
		}
	}
	if err := stream.SendHeader(metadata.Pairs("slipway-resume-token", strconv.Itoa(n))); err != nil {
		return err
	}
	for {
		rest, changed, _ := o.after(n)
		for _, e := range rest {
			n++
			if err := stream.Send(&orchestratorpb.WatchEventsResponse{Event: e, ResumeToken: strconv.Itoa(n)}); err != nil {
				return err
			}
		}
		select {
		case <-changed:
		case <-cut:
			return status.Error(codes.Unavailable, "the stream is cut")
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}

func (o *orchestrator) ListEvents(_ context.Context, req *orchestratorpb.ListEventsRequest) (*orchestratorpb.ListEventsResponse, error) {
	n, _ := strconv.Atoi(req.GetPageToken())
	rest, _, _ := o.after(n)
	resp := &orchestratorpb.ListEventsResponse{}
	for _, e := range rest {
		if len(resp.GetEvents()) == 2 { // pages are small
			resp.NextPageToken = strconv.Itoa(n + 2)
			break
		}
		resp.Events = append(resp.Events, e)
	}
	return resp, nil
}

func (o *orchestrator) GetDeployment(_ context.Context, req *orchestratorpb.GetDeploymentRequest) (*orchestratorpb.GetDeploymentResponse, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	d := o.deployments[req.GetDeployment()]
	if d == nil {
		return nil, status.Error(codes.NotFound, "no deployment")
	}
	return &orchestratorpb.GetDeploymentResponse{Deployment: d}, nil
}

// alarms is an alarms service with a history, newest first, and a watch.
type alarms struct {
	alarmspb.UnimplementedAlarmServiceServer
	address string

	mu      sync.Mutex
	history []*alarmspb.AlarmHistoryItem // oldest first
	alarm   *alarmspb.MetricAlarm
	changed chan struct{}
}

func newAlarms(t *testing.T, alarm *alarmspb.MetricAlarm) *alarms {
	t.Helper()
	a := &alarms{alarm: alarm, changed: make(chan struct{})}
	a.address = listen(t, func(s *grpc.Server) { alarmspb.RegisterAlarmServiceServer(s, a) })
	return a
}

// change brings the alarm into a state.
func (a *alarms) change(was, is alarmspb.MetricAlarm_State, reason, data string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	at := timestamppb.New(time.Now().Truncate(time.Microsecond))
	name := func(s alarmspb.MetricAlarm_State) string { return s.String()[len("STATE_"):] }
	a.history = append(a.history, &alarmspb.AlarmHistoryItem{
		AlarmName: a.alarm.GetName(), Time: at, Type: alarmspb.AlarmHistoryItem_TYPE_STATE_UPDATE, Data: data,
		Summary: fmt.Sprintf("Alarm updated from %s to %s", name(was), name(is)),
	})
	a.alarm.State, a.alarm.StateReason, a.alarm.StateReasonData, a.alarm.StateUpdateTime = is, reason, data, at
	close(a.changed)
	a.changed = make(chan struct{})
}

func (a *alarms) WatchAlarms(_ *alarmspb.WatchAlarmsRequest, stream grpc.ServerStreamingServer[alarmspb.WatchAlarmsResponse]) error {
	for snapshot := true; ; snapshot = false {
		a.mu.Lock()
		changed, resp := a.changed, &alarmspb.WatchAlarmsResponse{Snapshot: snapshot, Alarms: []*alarmspb.MetricAlarm{{
			Name: a.alarm.GetName(), Description: a.alarm.GetDescription(), Namespace: a.alarm.GetNamespace(), MetricName: a.alarm.GetMetricName(),
			Dimensions: a.alarm.GetDimensions(), Period: a.alarm.GetPeriod(), Statistic: a.alarm.GetStatistic(), State: a.alarm.GetState(),
			StateReason: a.alarm.GetStateReason(), StateReasonData: a.alarm.GetStateReasonData(), StateUpdateTime: a.alarm.GetStateUpdateTime(),
		}}}
		a.mu.Unlock()
		if err := stream.Send(resp); err != nil {
			return err
		}
		select {
		case <-changed:
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}

func (a *alarms) DescribeAlarmHistory(_ context.Context, req *alarmspb.DescribeAlarmHistoryRequest) (*alarmspb.DescribeAlarmHistoryResponse, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	skip, _ := strconv.Atoi(req.GetPageToken())
	resp := &alarmspb.DescribeAlarmHistoryResponse{}
	for n := len(a.history) - 1 - skip; n >= 0; n-- {
		if len(resp.GetItems()) == 1 { // pages are small
			resp.NextPageToken = strconv.Itoa(skip + 1)
			break
		}
		resp.Items = append(resp.Items, a.history[n])
	}
	return resp, nil
}

// until waits for a condition.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	eventually(t, what, func() *struct{} {
		if holds() {
			return &struct{}{}
		}
		return nil
	})
}

// openDB opens the database of a service beside it.
func openDB(t *testing.T, url string) *postgres.DB {
	t.Helper()
	db, err := postgres.Open(t.Context(), url, "hooks", logger())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}
