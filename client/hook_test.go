package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthgrpc "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/slipway-deploy/slipway/client"
	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
)

func TestAHandlerSeesItsInvocation(t *testing.T) {
	t.Parallel()
	var got client.Invocation
	server := client.NewHookServer(func(_ context.Context, i client.Invocation) (client.Result, error) {
		got = i
		return client.Succeeded(), nil
	})
	r, err := server.HandleHook(t.Context(), &hookspb.HandleHookRequest{
		ExecutionId: "d-1/POST_SCALE_UP/0/smoke", Attempt: 2, LifecycleStage: "POST_SCALE_UP", ResourceArn: "default/web/d-1",
		ExecutionDetails: &hookspb.ExecutionDetails{
			ServiceArn: "default/web", TargetServiceRevisionArn: "default/web/2",
			TestTrafficWeights:       map[string]float64{"default/web/2": 100},
			ProductionTrafficWeights: map[string]float64{"default/web/1": 90, "default/web/2": 10},
		},
		HookDetails: structOf(t, map[string]any{"suite": "smoke"}),
	})
	if err != nil || r.GetHookStatus() != hookspb.HookStatus_HOOK_STATUS_SUCCEEDED {
		t.Errorf("answered %v, %v", r, err)
	}
	want := client.Invocation{
		ID: "d-1/POST_SCALE_UP/0/smoke", Attempt: 2, Stage: "POST_SCALE_UP", Deployment: "d-1", Service: "default/web",
		ServiceRevision: "default/web/2", TestTrafficWeights: map[string]float64{"default/web/2": 100},
		ProductionTrafficWeights: map[string]float64{"default/web/1": 90, "default/web/2": 10}, Details: map[string]any{"suite": "smoke"},
	}
	if !reflect.DeepEqual(got, want) || got.Key() != "d-1/POST_SCALE_UP/0/smoke/2" {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestAHandlerSeesThatItIsToReportBack(t *testing.T) {
	t.Parallel()
	var got client.Invocation
	server := client.NewHookServer(func(_ context.Context, i client.Invocation) (client.Result, error) {
		got = i
		return client.Succeeded(), nil
	})
	_, err := server.HandleHook(t.Context(), &hookspb.HandleHookRequest{
		ExecutionId: "d-1/POST_SCALE_UP/0/smoke", Attempt: 1, LifecycleStage: "POST_SCALE_UP", DeploymentId: "d-1",
		Contract: hookspb.Contract_CONTRACT_CODEDEPLOY,
	})
	want := client.Invocation{ID: "d-1/POST_SCALE_UP/0/smoke", Attempt: 1, Stage: "POST_SCALE_UP", Deployment: "d-1", ReportBack: true}
	if err != nil || got.ID != want.ID || got.Deployment != want.Deployment || !got.ReportBack {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func TestWhatAHandlerAnswers(t *testing.T) {
	t.Parallel()
	ended, end := context.WithCancel(t.Context())
	end()
	type answer struct {
		status hookspb.HookStatus
		reason string
		delay  time.Duration
		code   codes.Code
	}
	const failed = hookspb.HookStatus_HOOK_STATUS_FAILED
	for name, tt := range map[string]struct {
		ctx    context.Context
		result client.Result
		err    error
		panics any
		want   answer
	}{
		"succeeded":       {result: client.Succeeded(), want: answer{status: hookspb.HookStatus_HOOK_STATUS_SUCCEEDED}},
		"failed":          {result: client.Failed("%d errors", 3), want: answer{status: failed, reason: "3 errors"}},
		"in progress":     {result: client.InProgress(time.Minute, nil), want: answer{status: hookspb.HookStatus_HOOK_STATUS_IN_PROGRESS, delay: time.Minute}},
		"nothing":         {want: answer{}},
		"an error":        {err: errors.New("100% wrong"), want: answer{status: failed, reason: "100% wrong"}},
		"a panic":         {panics: "boom", want: answer{status: failed, reason: "the handler panicked: boom"}},
		"unavailable":     {err: fmt.Errorf("no host: %w", client.Unavailable), want: answer{code: codes.Unavailable}},
		"its own timeout": {err: context.DeadlineExceeded, want: answer{status: failed, reason: "context deadline exceeded"}},
		"too late":        {ctx: ended, err: errors.New("interrupted"), want: answer{code: codes.Canceled}},
		"no JSON":         {result: client.InProgress(0, map[string]any{"f": t.Fail}), want: answer{status: failed, reason: "the details of a hook's result: json"}},
		"a long reason":   {result: client.Failed("%s", strings.Repeat("ä", 2000)), want: answer{status: failed, reason: strings.Repeat("ä", 1023) + "…"}},
		"no UTF-8":        {result: client.Failed("%s", "a\xff"), want: answer{status: failed, reason: "a\uFFFD"}},
	} {
		server := client.NewHookServer(func(context.Context, client.Invocation) (client.Result, error) {
			if tt.panics != nil {
				panic(tt.panics)
			}
			return tt.result, tt.err
		})
		if tt.ctx == nil {
			tt.ctx = t.Context()
		}
		r, err := server.HandleHook(tt.ctx, &hookspb.HandleHookRequest{})
		got := answer{r.GetHookStatus(), r.GetReason(), r.GetCallBackDelay().AsDuration(), status.Code(err)}
		if name == "no JSON" {
			got.reason, _, _ = strings.Cut(got.reason, ": unsupported")
		}
		if got != tt.want || !utf8.ValidString(got.reason) {
			t.Errorf("%s: answered %+v (%v), want %+v", name, got, err, tt.want)
		}
	}
}

func TestDetailsAreWhatJSONTakes(t *testing.T) {
	t.Parallel()
	type run struct {
		Number int      `json:"number"`
		Hosts  []string `json:"hosts"`
	}
	server := client.NewHookServer(func(context.Context, client.Invocation) (client.Result, error) {
		return client.InProgress(0, map[string]any{"run": run{17, []string{"a", "b"}}}), nil
	})
	r, err := server.HandleHook(t.Context(), &hookspb.HandleHookRequest{})
	want := map[string]any{"run": map[string]any{"number": 17.0, "hosts": []any{"a", "b"}}}
	if got := r.GetHookDetails().AsMap(); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("answered %v, %v; want %v", got, err, want)
	}
	if r.GetCallBackDelay() != nil {
		t.Errorf("the delay is %s, want none", r.GetCallBackDelay().AsDuration())
	}
}

func TestServeHooksEndsWithItsContextAndItsCalls(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	called, finish := make(chan struct{}), make(chan struct{})
	served := make(chan error, 1)
	go func() {
		served <- client.ServeHooks(ctx, l, func(context.Context, client.Invocation) (client.Result, error) {
			close(called)
			<-finish
			return client.Succeeded(), nil
		})
	}()
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if r, err := healthgrpc.NewHealthClient(conn).Check(t.Context(), &healthgrpc.HealthCheckRequest{}); err != nil ||
		r.GetStatus() != healthgrpc.HealthCheckResponse_SERVING {
		t.Errorf("health is %v, %v", r, err)
	}
	answered := make(chan error, 1)
	go func() {
		r, err := hookspb.NewHookHandlerServiceClient(conn).HandleHook(t.Context(), &hookspb.HandleHookRequest{})
		if err == nil && r.GetHookStatus() != hookspb.HookStatus_HOOK_STATUS_SUCCEEDED {
			err = fmt.Errorf("answered %v", r)
		}
		answered <- err
	}()
	<-called
	stop()
	select {
	case err := <-served:
		t.Fatalf("ended with a call under way: %v", err)
	case <-time.After(50 * time.Millisecond): // nothing tells that it goes on
	}
	close(finish)
	if err := <-answered; err != nil {
		t.Errorf("the call under way: %v", err)
	}
	if err := <-served; err != nil {
		t.Errorf("ended with %v", err)
	}
	if l, err = net.Listen("tcp", l.Addr().String()); err != nil {
		t.Errorf("the address is still taken: %v", err)
	} else {
		_ = l.Close()
	}
}

func TestServeHooksCutsOffAHandlerThatDoesNotEnd(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	finish, interrupted := make(chan struct{}), make(chan struct{})
	defer close(finish)
	served := make(chan error, 1)
	go func() {
		served <- client.ServeHooksFor(ctx, 50*time.Millisecond, l, func(ctx context.Context, _ client.Invocation) (client.Result, error) {
			stop()
			<-ctx.Done()
			close(interrupted)
			<-finish
			return client.Succeeded(), nil
		})
	}()
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = hookspb.NewHookHandlerServiceClient(conn).HandleHook(t.Context(), &hookspb.HandleHookRequest{})
	if status.Code(err) != codes.Unavailable { // the hooks service calls again after that
		t.Errorf("the call that was cut off: %v", err)
	}
	<-interrupted
	if err := <-served; err != nil {
		t.Errorf("ended with %v", err)
	}
}

func TestServeHooksTellsWhyItCannotServe(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	if err := client.ServeHooks(t.Context(), l, nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("on a closed listener: %v", err)
	}
}

// fakeHooks loses the first answers.
type fakeHooks struct {
	hookspb.HookServiceClient
	reports []*hookspb.ReportHookResultRequest
}

func (f *fakeHooks) ReportHookResult(
	_ context.Context, in *hookspb.ReportHookResultRequest, _ ...grpc.CallOption,
) (*hookspb.ReportHookResultResponse, error) {
	f.reports = append(f.reports, in)
	if len(f.reports) < 3 {
		return nil, down
	}
	return &hookspb.ReportHookResultResponse{}, nil
}

// fakeLifecycle has the report already when it is made again.
type fakeLifecycle struct {
	hookspb.LifecycleEventServiceClient
	reports []*hookspb.PutLifecycleEventHookExecutionStatusRequest
}

func (f *fakeLifecycle) PutLifecycleEventHookExecutionStatus(
	_ context.Context, in *hookspb.PutLifecycleEventHookExecutionStatusRequest, _ ...grpc.CallOption,
) (*hookspb.PutLifecycleEventHookExecutionStatusResponse, error) {
	f.reports = append(f.reports, in)
	if len(f.reports) < 2 {
		return nil, down
	}
	return &hookspb.PutLifecycleEventHookExecutionStatusResponse{}, nil
}

func TestALifecycleEventIsReported(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakeLifecycle{}
		c := &client.Client{LifecycleEvents: f}
		if err := c.ReportLifecycleEvent(t.Context(), "d-1", "d-1/x", true); err != nil || len(f.reports) != 2 {
			t.Fatalf("%v after %d reports", err, len(f.reports))
		}
		r := f.reports[1]
		if r.GetDeploymentId() != "d-1" || r.GetLifecycleEventHookExecutionId() != "d-1/x" ||
			r.GetStatus() != hookspb.LifecycleEventStatus_LIFECYCLE_EVENT_STATUS_SUCCEEDED {
			t.Errorf("reported %v", r)
		}
		if err := c.ReportLifecycleEvent(t.Context(), "d-1", "d-1/x", false); err != nil ||
			f.reports[2].GetStatus() != hookspb.LifecycleEventStatus_LIFECYCLE_EVENT_STATUS_FAILED {
			t.Errorf("%v, %v", err, f.reports[2])
		}
	})
}

func TestAReportIsMadeAgainWithTheSameRequestID(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakeHooks{}
		c := &client.Client{Hooks: f}
		if err := c.ReportResult(t.Context(), "i-1", 4, client.InProgress(time.Minute, map[string]any{"run": 17})); err != nil || len(f.reports) != 3 {
			t.Fatalf("%v after %d attempts", err, len(f.reports))
		}
		for _, r := range f.reports {
			if r.GetRequestId() == "" || r.GetRequestId() != f.reports[0].GetRequestId() || r.GetId() != "i-1" || r.GetAttempt() != 4 ||
				r.GetHookStatus() != hookspb.HookStatus_HOOK_STATUS_IN_PROGRESS || r.GetCallBackDelay().AsDuration() != time.Minute ||
				r.GetHookDetails().AsMap()["run"] != 17.0 {
				t.Errorf("reported %v", r)
			}
		}
	})
}
