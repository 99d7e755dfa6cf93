package remote_test

import (
	"context"
	"fmt"
	"reflect"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	"github.com/slipway-deploy/slipway/drivers/runtime/fake"
	"github.com/slipway-deploy/slipway/drivers/runtime/remote"
	"github.com/slipway-deploy/slipway/drivers/runtime/runtimetest"
	runtimepb "github.com/slipway-deploy/slipway/gen/go/slipway/runtime/v1"
	"github.com/slipway-deploy/slipway/platform/grpcclient"
	"github.com/slipway-deploy/slipway/platform/grpcserver"
)

// served is a runtime that is served, and the driver's connection to it.
type served struct {
	server *grpcserver.Server
	conn   *grpc.ClientConn
	driver *remote.Driver
}

func serve(t *testing.T, r runtime.Runtime) *served {
	t.Helper()
	server, err := grpcserver.New(nil, grpcserver.Config{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	runtimepb.RegisterRuntimeServiceServer(server, remote.NewServer(r))
	server.Start()
	conn, err := grpcclient.Dial(grpcclient.Config{Target: server.Addr(), Name: "runtime"})
	if err != nil {
		t.Fatal(err)
	}
	return &served{server, conn, remote.New(runtimepb.NewRuntimeServiceClient(conn))}
}

func (s *served) stop() {
	now, cancel := context.WithCancel(context.Background())
	cancel()
	_ = s.conn.Close()
	s.server.Stop(now)
}

func TestARuntimeKeepsItsPromisesWhenItIsServed(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T) runtimetest.Harness {
		r := fake.New()
		s := serve(t, r)
		t.Cleanup(func() { s.stop(); r.Close() })
		scripts := 0
		return runtimetest.Harness{
			Runtime: s.driver,
			Restart: func() runtime.Runtime {
				s.stop()
				s = serve(t, r)
				return s.driver
			},
			Define: func(w runtimetest.Workload) (string, []runtime.Container) {
				scripts++
				definition := fmt.Sprintf("web:%d", scripts)
				b := fake.Behavior{IgnoreTerm: w.IgnoresTerm, Health: w.Health, Output: w.Output}
				if w.CannotStart {
					b.FailToStart = "the image does not exist"
				}
				if w.Exits {
					b.Exit = &fake.Exit{After: time.Millisecond, Code: w.ExitCode}
				}
				r.Script(definition, b)
				return definition, []runtime.Container{{Name: "app", Essential: true, Ports: w.Ports, StopTimeout: w.StopTimeout}}
			},
		}
	})
}

// An order arrives as it was given, whole.
func TestAnOrderArrivesAsItWasGiven(t *testing.T) {
	r := fake.New()
	s := serve(t, r)
	t.Cleanup(func() { s.stop(); r.Close() })
	set := runtime.TaskSet{
		ID: "web-3", Service: "prod/web", TaskDefinition: "web:7", Tasks: []string{"web-3-1", "web-3-2"},
		Containers: []runtime.Container{{
			Name: "app", Image: "registry/web:7", Command: []string{"serve", "-v"}, Environment: map[string]string{"A": "b"}, WorkingDirectory: "/srv",
			Ports:       []runtime.Port{{Name: "http", ContainerPort: 80, HostPort: 8080}},
			HealthCheck: &runtime.HealthCheck{Command: []string{"CMD", "ok"}, Interval: 7 * time.Second, Timeout: 3 * time.Second, StartPeriod: time.Minute, Retries: 4},
			Essential:   true, StopTimeout: 9 * time.Second, CPU: 512, MemoryMiB: 128,
		}, {Name: "side", Command: []string{"watch"}}},
	}
	if err := s.driver.EnsureTaskSet(t.Context(), 5, set); err != nil {
		t.Fatal(err)
	}
	orders := r.Orders()
	if len(orders) != 1 || orders[0].Generation != 5 || !reflect.DeepEqual(orders[0].Set, set) {
		t.Errorf("arrived as %+v, given as %+v", orders, set)
	}
}
