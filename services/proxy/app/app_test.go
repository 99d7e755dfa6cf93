package app

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slipway-deploy/slipway/drivers/traffic"
	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	trafficpb "github.com/slipway-deploy/slipway/gen/go/slipway/traffic/v1"
	"github.com/slipway-deploy/slipway/platform/config"
	"github.com/slipway-deploy/slipway/platform/grpcclient"
	"github.com/slipway-deploy/slipway/platform/grpcserver"
	"github.com/slipway-deploy/slipway/platform/problem"
)

// alarms takes metric data as the alarms service does.
type alarms struct {
	alarmspb.UnimplementedAlarmServiceServer
	mu   sync.Mutex
	sums map[string]float64
}

func (a *alarms) PutMetricData(_ context.Context, req *alarmspb.PutMetricDataRequest) (*alarmspb.PutMetricDataResponse, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, d := range req.GetMetricData() {
		var dims []string
		for _, dim := range d.GetDimensions() {
			dims = append(dims, dim.GetName()+"="+dim.GetValue())
		}
		for i, v := range d.GetValues() {
			a.sums[req.GetNamespace()+" "+d.GetMetricName()+" "+strings.Join(dims, ",")] += v * d.GetCounts()[i]
		}
	}
	return &alarmspb.PutMetricDataResponse{}, nil
}

func (a *alarms) get() map[string]float64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.sums)
}

func TestRequestMetricsReachTheAlarmsService(t *testing.T) {
	server, err := grpcserver.New(slog.New(slog.DiscardHandler), grpcserver.Config{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	sink := &alarms{sums: make(map[string]float64)}
	alarmspb.RegisterAlarmServiceServer(server, sink)
	server.Start()
	t.Cleanup(func() { server.Stop(context.Background()) })
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/bad" {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer backend.Close()
	_, driver := start(t, Config{Alarms: grpcclient.Config{Target: server.Addr()}})
	s := newService(t, driver, "shop/web", traffic.HTTP1)
	s.apply(1000, open("task-1", backend.Listener.Addr().String()), nil)
	for _, path := range []string{"/", "/", "/bad"} {
		res, err := http.Get("http://" + s.address + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
	}
	want := map[string]float64{"RequestCount": 3, "HTTPCode_Target_2XX_Count": 2, "HTTPCode_Target_5XX_Count": 1}
	deadline := time.After(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		got, missing := sink.get(), false
		for _, dims := range []string{"TargetGroup=blue", "LoadBalancer=shop/web", "TargetGroup=blue,LoadBalancer=shop/web"} {
			for name, n := range want {
				missing = missing || got["AWS/ApplicationELB "+name+" "+dims] != n
			}
			missing = missing || got["AWS/ApplicationELB TargetResponseTime "+dims] <= 0
		}
		if !missing {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("pushed were %v", got)
		}
	}
}

func TestTrafficGoesOnWhileTheAlarmsServiceIsAway(t *testing.T) {
	address, stop := webTarget()
	defer stop()
	_, driver := start(t, Config{Alarms: grpcclient.Config{Target: freeAddress(t)}})
	s := newService(t, driver, "shop/web", traffic.HTTP1)
	s.apply(1000, open("task-1", address), nil)
	for range 500 {
		if err := expect(http.DefaultClient, http.MethodGet, "http://"+s.address, nil, "ok"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestARequestIsRefusedWithItsFieldAndRule(t *testing.T) {
	a, _ := start(t, Config{})
	conn, err := grpcclient.Dial(grpcclient.Config{Target: a.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	client := trafficpb.NewTrafficServiceClient(conn)
	request := func(weight int32) *trafficpb.ApplyRoutesRequest {
		return &trafficpb.ApplyRoutesRequest{Generation: 1, Routes: &trafficpb.Routes{
			Service:      "shop/web",
			Listeners:    []*trafficpb.Listener{{Name: "production", Address: "127.0.0.1:1", Forward: []*trafficpb.WeightedTargetGroup{{TargetGroup: "web", Weight: weight}}}},
			TargetGroups: []*trafficpb.TargetGroup{{Name: "web"}},
		}}
	}
	for weight, field := range map[int32]string{1001: "routes.listeners[0].forward[0].weight", 999: "routes.listeners[0].forward"} {
		_, err := client.ApplyRoutes(t.Context(), request(weight))
		p := problem.As(err)
		if p == nil || p.Kind != problem.InvalidArgument || !slices.ContainsFunc(p.Violations, func(v problem.Violation) bool { return v.Field == field }) {
			t.Errorf("weight %d: %v %+v", weight, err, p)
		}
	}
}

func TestApplyAnswersWithWhatIsInForce(t *testing.T) {
	a, _ := start(t, Config{})
	conn, err := grpcclient.Dial(grpcclient.Config{Target: a.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	res, err := trafficpb.NewTrafficServiceClient(conn).ApplyRoutes(t.Context(), &trafficpb.ApplyRoutesRequest{
		Generation: 3, Routes: &trafficpb.Routes{Service: "shop/web", TargetGroups: []*trafficpb.TargetGroup{{
			Name: "web", Targets: []*trafficpb.Target{{Id: "task-1", Address: "127.0.0.1:1", Draining: true}},
		}}},
	})
	if applied := res.GetApplied(); err != nil || applied.GetGeneration() != 3 || applied.GetService() != "shop/web" || !slices.Equal(applied.GetDrainedTargets(), []string{"task-1"}) {
		t.Errorf("got %v, %v", res, err)
	}
}

func TestABadConfigurationIsToldAsAWhole(t *testing.T) {
	_, err := New(t.Context(), Config{
		Listen: grpcserver.Config{Addr: "0.0.0.0:7005"}, MetricsPeriod: time.Millisecond, DialTimeout: -1, MaxHeaderBytes: 10,
	}, slog.New(slog.DiscardHandler))
	for _, want := range []string{"listen", "routes-dir", "metrics-period", "dial-timeout", "max-header-bytes"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not told: %v", want, err)
		}
	}
}

func TestTheSettingsHaveFlags(t *testing.T) {
	cfg := Default()
	err := config.Load("slipway-proxy", []string{"-routes-dir", "/tmp/routes", "-insecure-listeners", "-response-timeout", "5s", "-alarms-target="}, &cfg)
	if err != nil || cfg.RoutesDir != "/tmp/routes" || !cfg.InsecureListeners || cfg.ResponseHeaderTimeout != 5*time.Second || cfg.Alarms.Target != "" || cfg.DialTimeout != 2*time.Second {
		t.Errorf("got %+v, %v", cfg, err)
	}
}

func TestASecondProxyOnTheSameFolderDoesNotStart(t *testing.T) {
	dir := t.TempDir()
	start(t, Config{RoutesDir: dir})
	_, err := New(t.Context(), Config{Listen: grpcserver.Config{Addr: "127.0.0.1:0"}, RoutesDir: dir, MetricsPeriod: time.Second}, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "in use by another proxy") {
		t.Errorf("error %v", err)
	}
}

func TestMetricsOfTheProcessAreServed(t *testing.T) {
	address := freeAddress(t)
	start(t, Config{MetricsAddr: address})
	res, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil || !strings.Contains(string(body), "slipway_proxy_cuts_total 0") {
		t.Errorf("got %s, %v", body, err)
	}
}

func TestAWatchEndsWhenTheProxyStops(t *testing.T) {
	a, driver := start(t, Config{})
	ended := make(chan error, 1)
	begun := make(chan struct{}, 1)
	go func() { ended <- driver.Watch(context.Background(), func(traffic.Update) { begun <- struct{}{} }) }()
	<-begun
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	a.server.Stop(ctx)
	if err := <-ended; !errors.Is(err, problem.Unavailable) && !errors.Is(err, problem.Canceled) {
		t.Errorf("the watch ended with %v", err)
	}
	if ctx.Err() != nil {
		t.Error("the stop took all its time")
	}
}
