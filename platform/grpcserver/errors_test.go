package grpcserver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	trafficpb "github.com/slipway-deploy/slipway/gen/go/slipway/traffic/v1"
	"github.com/slipway-deploy/slipway/platform/grpcserver"
	"github.com/slipway-deploy/slipway/platform/problem"
)

func detail[T any](t *testing.T, err error) T {
	t.Helper()
	for _, d := range status.Convert(err).Details() {
		if wanted, ok := d.(T); ok {
			return wanted
		}
	}
	var none T
	t.Fatalf("%v has no %T among its details %v", err, none, status.Convert(err).Details())
	return none
}

func TestAnInvalidRequestNamesEachFieldAndRule(t *testing.T) {
	called := false
	b := setup(t, &traffic{apply: func(context.Context) error { called = true; return nil }}, grpcserver.Config{})
	req := request()
	req.Generation = 0
	req.Routes.Listeners = []*trafficpb.Listener{
		{Name: "production", Address: "127.0.0.1:80", Forward: []*trafficpb.WeightedTargetGroup{{TargetGroup: "a", Weight: 500}}},
		{Name: "Test!", Address: "127.0.0.1:81", Forward: []*trafficpb.WeightedTargetGroup{{TargetGroup: "a", Weight: 1001}}},
	}
	_, err := b.client.ApplyRoutes(t.Context(), req)
	if status.Code(err) != codes.InvalidArgument || called {
		t.Fatalf("error is %v, handler called: %v; want InvalidArgument before the handler", err, called)
	}
	if message := status.Convert(err).Message(); !strings.HasPrefix(message, "generation: must be greater than 0") || !strings.HasSuffix(message, "(and 2 more)") {
		t.Errorf("message is %q", message)
	}
	var fields []string
	for _, v := range detail[*errdetails.BadRequest](t, err).GetFieldViolations() {
		fields = append(fields, v.GetField())
		if v.GetDescription() == "" {
			t.Errorf("no rule for %s", v.GetField())
		}
	}
	if got := strings.Join(fields, " "); got != "generation routes.listeners[1].name routes.listeners[1].forward[0].weight" {
		t.Errorf("fields are %s", got)
	}
	info := detail[*errdetails.ErrorInfo](t, err)
	if info.GetReason() != "INVALID_FIELD" || info.GetDomain() != "slipway" {
		t.Errorf("error info is %v", info)
	}
}

func TestAnInvalidRequestOfAStreamIsRefused(t *testing.T) {
	b := setup(t, &traffic{}, grpcserver.Config{})
	stream, err := alarmspb.NewAlarmServiceClient(b.conn).WatchAlarms(t.Context(),
		&alarmspb.WatchAlarmsRequest{AlarmNames: make([]string, 1001)})
	if err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.InvalidArgument || detail[*errdetails.BadRequest](t, err).GetFieldViolations()[0].GetField() != "alarm_names" {
		t.Errorf("error is %v, want InvalidArgument for alarm_names", err)
	}
}

func TestAProblemTravelsWithoutItsCause(t *testing.T) {
	b := setup(t, &traffic{apply: func(context.Context) error {
		p := problem.New(problem.FailedPrecondition, "DEPLOYMENT_IN_PROGRESS", "deployment %s is running", "d-1").With("deployment", "d-1")
		return fmt.Errorf("create deployment: %w", p.Wrap(errors.New("secret cause")))
	}}, grpcserver.Config{})
	_, err := b.client.ApplyRoutes(t.Context(), request())
	st := status.Convert(err)
	if st.Code() != codes.FailedPrecondition || st.Message() != "deployment d-1 is running" {
		t.Errorf("status is %v", st)
	}
	info := detail[*errdetails.ErrorInfo](t, err)
	if info.GetReason() != "DEPLOYMENT_IN_PROGRESS" || info.GetMetadata()["deployment"] != "d-1" {
		t.Errorf("error info is %v", info)
	}
	if strings.Contains(fmt.Sprint(st.Proto()), "secret cause") {
		t.Errorf("the cause travels: %v", st.Proto())
	}
}

func TestWhatIsNoProblemIsMaskedAndLogged(t *testing.T) {
	for name, handler := range map[string]func(context.Context) error{
		"error": func(context.Context) error { return errors.New("secret cause") },
		"panic": func(context.Context) error { panic("secret cause") },
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t, &traffic{apply: handler}, grpcserver.Config{})
			_, err := b.client.ApplyRoutes(t.Context(), request())
			st := status.Convert(err)
			info := detail[*errdetails.ErrorInfo](t, err)
			id := info.GetMetadata()["id"]
			if st.Code() != codes.Internal || id == "" || !strings.Contains(st.Message(), id) || info.GetReason() != "INTERNAL" {
				t.Errorf("status is %v with %v, want Internal with an id", st, info)
			}
			if strings.Contains(fmt.Sprint(st.Proto()), "secret") {
				t.Errorf("the cause travels: %v", st.Proto())
			}
			for _, want := range []string{"id=" + id, "secret cause", "ApplyRoutes"} {
				if !strings.Contains(b.log.String(), want) {
					t.Errorf("the log has no %q: %s", want, b.log)
				}
			}
			if _, err := b.client.DeleteRoutes(t.Context(), &trafficpb.DeleteRoutesRequest{Generation: 1, Service: "a/b"}); status.Code(err) != codes.Unimplemented {
				t.Errorf("after that the server says %v, want Unimplemented as it is", err)
			}
		})
	}
}

func TestAPanicInAStreamIsMasked(t *testing.T) {
	b := setup(t, &traffic{watch: func(grpc.ServerStreamingServer[trafficpb.WatchRoutesResponse]) error { panic("secret cause") }}, grpcserver.Config{})
	stream, err := b.client.WatchRoutes(t.Context(), &trafficpb.WatchRoutesRequest{})
	if err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.Internal || !strings.Contains(b.log.String(), "secret cause") {
		t.Errorf("error is %v, log %s", err, b.log)
	}
}

func TestTheEndOfAContextHasItsCode(t *testing.T) {
	for want, err := range map[codes.Code]error{
		codes.Canceled:         fmt.Errorf("load: %w", context.Canceled),
		codes.DeadlineExceeded: fmt.Errorf("load: %w", context.DeadlineExceeded),
	} {
		b := setup(t, &traffic{apply: func(context.Context) error { return err }}, grpcserver.Config{})
		if _, got := b.client.ApplyRoutes(t.Context(), request()); status.Code(got) != want {
			t.Errorf("%v becomes %v, want %v", err, got, want)
		}
	}
}

func TestAStreamEndsWell(t *testing.T) {
	b := setup(t, &traffic{watch: func(s grpc.ServerStreamingServer[trafficpb.WatchRoutesResponse]) error {
		return s.Send(&trafficpb.WatchRoutesResponse{Snapshot: true})
	}}, grpcserver.Config{})
	stream, err := b.client.WatchRoutes(t.Context(), &trafficpb.WatchRoutesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if first, err := stream.Recv(); err != nil || !first.GetSnapshot() {
		t.Errorf("first: %v, %v", first, err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("the end is %v, want EOF", err)
	}
}
