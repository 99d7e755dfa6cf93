package handler

import (
	"context"
	"math"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	"github.com/slipway-deploy/slipway/services/hooks/internal/invocation"
)

type handlerFunc func(context.Context, *hookspb.HandleHookRequest) (*hookspb.HandleHookResponse, error)

type grpcHandler struct {
	hookspb.UnimplementedHookHandlerServiceServer
	handle handlerFunc
}

func (h grpcHandler) HandleHook(ctx context.Context, r *hookspb.HandleHookRequest) (*hookspb.HandleHookResponse, error) {
	return h.handle(ctx, r)
}

func grpcThat(t *testing.T, f handlerFunc) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	hookspb.RegisterHookHandlerServiceServer(server, grpcHandler{handle: f})
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	return l.Addr().String()
}

func handle(t *testing.T, address string, timeout time.Duration) Reply {
	t.Helper()
	request, err := Names{}.Request(begun(t))
	if err != nil {
		t.Fatal(err)
	}
	return NewCaller(Config{}, quiet()).Call(t.Context(), Call{
		Target: invocation.Target{Kind: invocation.GRPC, Address: address}, Invocation: begun(t).ID, Attempt: 3, Request: request, Timeout: timeout,
	})
}

func TestAGRPCHandlerReceivesWhatAWebhookDoes(t *testing.T) {
	got := make(chan *hookspb.HandleHookRequest, 1)
	address := grpcThat(t, func(_ context.Context, r *hookspb.HandleHookRequest) (*hookspb.HandleHookResponse, error) {
		got <- r
		details, err := structpb.NewStruct(map[string]any{"run": 17})
		return &hookspb.HandleHookResponse{
			HookStatus: hookspb.HookStatus_HOOK_STATUS_IN_PROGRESS, CallBackDelay: durationpb.New(250 * time.Millisecond), HookDetails: details, Reason: "at work",
		}, err
	})
	r := handle(t, address, 5*time.Second)
	want := answered(invocation.Answer{Status: "IN_PROGRESS", Delay: seconds(0.25), Details: invocation.Details{"run": 17.0}, Reason: "at work"})
	if !reflect.DeepEqual(r.Event, want) || !strings.Contains(r.Response, "at work") || r.HookStatus != "IN_PROGRESS" {
		t.Errorf("%+v, want %+v", r, want)
	}
	req, i := <-got, begun(t)
	if req.GetExecutionId() != i.ID || req.GetAttempt() != 3 || req.GetLifecycleStage() != i.Stage || req.GetResourceArn() != "default/web/d-1" {
		t.Errorf("%v", req)
	}
	if w := req.GetExecutionDetails().GetProductionTrafficWeights(); w["default/web/1"] != 66.6 || len(w) != 2 || req.GetHookDetails().AsMap()["suite"] != "<smoke>" {
		t.Errorf("%v", req)
	}
}

func TestWhatAGRPCHandlerAnswers(t *testing.T) {
	tests := map[string]struct {
		resp *hookspb.HandleHookResponse
		want invocation.Answer
	}{
		"succeeded":   {&hookspb.HandleHookResponse{HookStatus: hookspb.HookStatus_HOOK_STATUS_SUCCEEDED}, invocation.Answer{Status: "SUCCEEDED"}},
		"failed":      {&hookspb.HandleHookResponse{HookStatus: hookspb.HookStatus_HOOK_STATUS_FAILED, Reason: "no"}, invocation.Answer{Status: "FAILED", Reason: "no"}},
		"unspecified": {&hookspb.HandleHookResponse{}, invocation.Answer{}},
		"unknown":     {&hookspb.HandleHookResponse{HookStatus: 9}, invocation.Answer{Status: "9"}},
		"too long": {
			&hookspb.HandleHookResponse{HookStatus: hookspb.HookStatus_HOOK_STATUS_SUCCEEDED, Reason: strings.Repeat("x", MaxAnswer)},
			invocation.Answer{Broken: "answered 65542 bytes, more than 65536"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			address := grpcThat(t, func(context.Context, *hookspb.HandleHookRequest) (*hookspb.HandleHookResponse, error) {
				return tt.resp, nil
			})
			if r := handle(t, address, 5*time.Second); !reflect.DeepEqual(r.Event, answered(tt.want)) {
				t.Errorf("got  %+v\nwant %+v", r.Event, answered(tt.want))
			}
		})
	}
}

func TestDetailsThatAreNotJSONAreNotUnderstood(t *testing.T) {
	address := grpcThat(t, func(context.Context, *hookspb.HandleHookRequest) (*hookspb.HandleHookResponse, error) {
		return &hookspb.HandleHookResponse{
			HookStatus:  hookspb.HookStatus_HOOK_STATUS_IN_PROGRESS,
			HookDetails: &structpb.Struct{Fields: map[string]*structpb.Value{"x": structpb.NewNumberValue(math.NaN())}},
		}, nil
	})
	a, ok := handle(t, address, 5*time.Second).Event.(invocation.Answered)
	if !ok || !strings.Contains(a.Answer.Broken, "not JSON") {
		t.Errorf("%+v", a)
	}
}

func TestGRPCCodesThatAreTriedAgain(t *testing.T) {
	final := map[codes.Code]bool{
		codes.InvalidArgument: true, codes.NotFound: true, codes.AlreadyExists: true, codes.PermissionDenied: true, codes.FailedPrecondition: true,
		codes.OutOfRange: true, codes.Unimplemented: true, codes.Unauthenticated: true,
		codes.Unavailable: false, codes.ResourceExhausted: false, codes.Aborted: false, codes.Canceled: false, codes.Internal: false,
		codes.Unknown: false, codes.DataLoss: false, codes.DeadlineExceeded: false,
	}
	for code, want := range final {
		address := grpcThat(t, func(context.Context, *hookspb.HandleHookRequest) (*hookspb.HandleHookResponse, error) {
			return nil, status.Error(code, "because")
		})
		u, ok := handle(t, address, 5*time.Second).Event.(invocation.Unanswered)
		if !ok || u.Final != want || u.Begun {
			t.Errorf("%s: %+v", code, u)
		}
		if code != codes.DeadlineExceeded && u.Error != code.String()+": because" {
			t.Errorf("%s: %s", code, u.Error)
		}
	}
}

func TestAGRPCHandlerThatIsNotThereIsTriedAgain(t *testing.T) {
	u, ok := handle(t, closedPort(t), 5*time.Second).Event.(invocation.Unanswered)
	if !ok || u.Final || u.Begun || !strings.Contains(u.Error, "refused") {
		t.Errorf("%+v", u)
	}
}

func TestASilentGRPCHandlerIsGivenUpAfterItsTimeout(t *testing.T) {
	address := grpcThat(t, func(ctx context.Context, _ *hookspb.HandleHookRequest) (*hookspb.HandleHookResponse, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	if r := handle(t, address, 50*time.Millisecond); !reflect.DeepEqual(r.Event, begunThen(unanswered("no answer within 50ms", false))) {
		t.Errorf("%+v", r.Event)
	}
}

// StatusName knows every status of the contract.
func TestStatusNames(t *testing.T) {
	for number, name := range hookspb.HookStatus_name {
		want := strings.TrimPrefix(name, "HOOK_STATUS_")
		if number == 0 {
			want = ""
		}
		if got := StatusName(hookspb.HookStatus(number)); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// CodeDeploy's contract has other names; a gRPC handler sees which it is and whom to report.
func TestAGRPCHandlerSeesCodeDeploysContract(t *testing.T) {
	got := make(chan *hookspb.HandleHookRequest, 1)
	address := grpcThat(t, func(_ context.Context, r *hookspb.HandleHookRequest) (*hookspb.HandleHookResponse, error) {
		got <- r
		return &hookspb.HandleHookResponse{}, nil
	})
	i := begun(t)
	i.Contract = invocation.CodeDeploy
	request, err := Names{}.Request(i)
	if err != nil {
		t.Fatal(err)
	}
	NewCaller(Config{}, quiet()).Call(t.Context(), Call{
		Target: invocation.Target{Kind: invocation.GRPC, Address: address}, Invocation: i.ID, Deployment: "d-1", Stage: i.Stage,
		Contract: i.Contract, Attempt: 1, Request: request, Timeout: 5 * time.Second,
	})
	want := &hookspb.HandleHookRequest{
		ExecutionId: i.ID, Attempt: 1, LifecycleStage: i.Stage, Contract: hookspb.Contract_CONTRACT_CODEDEPLOY, DeploymentId: "d-1",
	}
	if r := <-got; !proto.Equal(r, want) {
		t.Errorf("called with %v, want %v", r, want)
	}
}
