package telemetry_test

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	healthgrpc "google.golang.org/grpc/health/grpc_health_v1"

	trafficpb "github.com/slipway-deploy/slipway/gen/go/slipway/traffic/v1"
	"github.com/slipway-deploy/slipway/platform/grpcclient"
	"github.com/slipway-deploy/slipway/platform/grpcserver"
	"github.com/slipway-deploy/slipway/platform/telemetry"
)

func scrape(t *testing.T, addr string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: &http.Transport{}, Timeout: 5 * time.Second}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("status %d, %v", resp.StatusCode, err)
	}
	return string(body)
}

// line returns the first line that begins with the prefix.
func line(t *testing.T, text, prefix string) string {
	t.Helper()
	lines := strings.Split(text, "\n")
	i := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, prefix) })
	if i < 0 {
		t.Fatalf("no line begins with %q in:\n%s", prefix, text)
	}
	return lines[i]
}

// The names here are what dashboards are built on.
func TestMetricNamesAreStable(t *testing.T) {
	tel, err := telemetry.New("healthcheck", "1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	endpoint, err := tel.Serve("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := endpoint.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	counter, err := tel.Meter("slipway/engine").Int64Counter("slipway.deployments.started")
	if err != nil {
		t.Fatal(err)
	}
	counter.Add(t.Context(), 3)
	call(t)

	text := scrape(t, endpoint.Addr())
	if got := line(t, text, "slipway_deployments_started_total"); !strings.HasSuffix(got, " 3") {
		t.Errorf("counter: %s", got)
	}
	info := line(t, text, "target_info{")
	for _, want := range []string{`service_name="healthcheck"`, `service_version="1.2.3"`} {
		if !strings.Contains(info, want) {
			t.Errorf("no %s in %s", want, info)
		}
	}
	for _, prefix := range []string{"rpc_server_call_duration_seconds_count{", "rpc_client_call_duration_seconds_count{"} {
		got := line(t, text, prefix)
		for _, want := range []string{`rpc_method="slipway.traffic.v1.TrafficService/DeleteRoutes"`, `rpc_response_status_code="UNIMPLEMENTED"`} {
			if !strings.Contains(got, want) {
				t.Errorf("no %s in %s", want, got)
			}
		}
		for _, peer := range []string{"server_address", "server_port", "network_peer"} {
			if strings.Contains(got, peer) {
				t.Errorf("%s is a label of %s: each port would be a series", peer, got)
			}
		}
	}
	if strings.Contains(text, `rpc_server_call_duration_seconds_count{rpc_method="grpc.health.v1`) {
		t.Error("health checks are measured")
	}
	line(t, text, "go_goroutines ")
}

// call makes one call, which fails, and one health check.
func call(t *testing.T) {
	t.Helper()
	s, err := grpcserver.New(nil, grpcserver.Config{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	trafficpb.RegisterTrafficServiceServer(s, trafficpb.UnimplementedTrafficServiceServer{})
	s.Start()
	conn, err := grpcclient.Dial(grpcclient.Config{Target: s.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := healthgrpc.NewHealthClient(conn).Check(t.Context(), &healthgrpc.HealthCheckRequest{}); err != nil {
		t.Error(err)
	}
	_, err = trafficpb.NewTrafficServiceClient(conn).DeleteRoutes(t.Context(), &trafficpb.DeleteRoutesRequest{Generation: 1, Service: "a/b"})
	if err == nil {
		t.Error("the call succeeded")
	}
	_ = conn.Close()
	s.Stop(t.Context()) // what is measured is recorded before the calls have ended
}

func TestATakenAddressIsTold(t *testing.T) {
	tel, err := telemetry.New("x", "1")
	if err != nil {
		t.Fatal(err)
	}
	endpoint, err := tel.Serve("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = endpoint.Stop(t.Context()) }()
	if _, err := tel.Serve(endpoint.Addr()); err == nil || !strings.Contains(err.Error(), endpoint.Addr()) {
		t.Errorf("error is %v, want the address", err)
	}
}
