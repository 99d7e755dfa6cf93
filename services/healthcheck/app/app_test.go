package app_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/slipway-deploy/slipway/platform/postgres/postgrestest"
	"github.com/slipway-deploy/slipway/services/healthcheck/app"
)

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestAStartThatFailsLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	s := &service{url: postgrestest.URL(t)}
	cfg := configOf(s.url)
	cfg.Listen.Addr = freeAddress(t)
	a, err := app.New(t.Context(), cfg, logger())
	if err != nil {
		t.Fatal(err)
	}
	s.exec(t, `ALTER TABLE healthcheck.targets RENAME TO gone`)
	if err := a.Start(t.Context()); err == nil {
		t.Fatal("started without its table")
	}
	s.exec(t, `ALTER TABLE healthcheck.gone RENAME TO targets`)
	again, err := app.New(t.Context(), cfg, logger()) // the address is free again
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	again.Stop(t.Context())
	again.Stop(t.Context())
}

func TestABadConfigurationSaysEverything(t *testing.T) {
	t.Parallel()
	cfg := app.Default()
	cfg.Listen.Addr = "nonsense"
	err := cfg.Validate()
	if err == nil || !strings.Contains(err.Error(), "database-url") || !strings.Contains(err.Error(), "nonsense") {
		t.Error(err)
	}
	if _, err := app.New(t.Context(), cfg, logger()); err == nil {
		t.Error("started with it")
	}
}

func TestMetricsAreServed(t *testing.T) { // alone: the provider of gRPC's metrics is the program's
	cfg := configOf(postgrestest.URL(t))
	cfg.MetricsAddr = freeAddress(t)
	a, err := app.New(t.Context(), cfg, logger())
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer a.Stop(t.Context())
	s := dialed(t, a)
	s.group(t, "web", httpCheck(minInterval), 0)
	s.register(t, "web", "", "a", server(t, func(http.ResponseWriter, *http.Request) {}))
	s.awaitState(t, "web", "a", healthy)
	want := `slipway_healthcheck_check_duration_seconds_count{result="passed",type="HTTP"}`
	var text string
	eventually(t, want, func() bool {
		resp, err := http.Get("http://" + cfg.MetricsAddr + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		text = string(body)
		return strings.Contains(text, want)
	})
	if !strings.Contains(text, "slipway_healthcheck_check_lateness_seconds_bucket") || !strings.Contains(text, "rpc_server_call_duration") {
		t.Error(text)
	}
}
