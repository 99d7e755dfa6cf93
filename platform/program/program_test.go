package program

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/slipway-deploy/slipway/platform/grpcserver"
)

type testConfig struct {
	Listen grpcserver.Config `flag:""`
}

func start(t *testing.T, cfg grpcserver.Config) *grpcserver.Server {
	t.Helper()
	s, err := grpcserver.New(slog.New(slog.DiscardHandler), cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Stop(context.Background()) })
	return s
}

func ask(address string) error {
	cfg := &testConfig{}
	return Program{Name: "slipway-test", Config: cfg, Listen: &cfg.Listen}.main([]string{"healthcheck", "-listen", address})
}

func TestHealthcheckAsksTheRunningService(t *testing.T) {
	t.Parallel()
	s := start(t, grpcserver.Config{Addr: "127.0.0.1:0", Token: "secret"})
	if err := ask(s.Addr()); err != nil {
		t.Error(err)
	}
	s.Stop(t.Context())
	if err := ask(s.Addr()); err == nil || !strings.Contains(err.Error(), s.Addr()) {
		t.Errorf("a stopped service: %v", err)
	}
}

func TestTheServiceIsAskedWhereThisMachineReachesIt(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		":7001": "127.0.0.1:7001", "0.0.0.0:7001": "127.0.0.1:7001", "[::]:7001": "127.0.0.1:7001", "10.0.0.1:7001": "10.0.0.1:7001",
	} {
		if got, err := local(addr); got != want || err != nil {
			t.Errorf("%s: %s, %v", addr, got, err)
		}
	}
	if _, err := local("7001"); err == nil {
		t.Error("an address without a host is taken")
	}
}
