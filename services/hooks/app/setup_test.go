package app_test

import (
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-deploy/slipway/platform/postgres/postgrestest"
	"github.com/slipway-deploy/slipway/services/hooks/app"
)

// A service that cannot be set up says why and leaves nothing behind: the same address can be taken again.
func TestWhatCannotBeSetUpIsTakenDown(t *testing.T) {
	t.Parallel()
	url := postgrestest.URL(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	_ = free.Close()
	for name, tt := range map[string]struct {
		change func(*app.Config)
		want   string
	}{
		"the address is taken":         {func(c *app.Config) { c.Listen.Addr = taken.Addr().String() }, "in use"},
		"there is no database":         {func(c *app.Config) { c.DatabaseURL = "postgres://127.0.0.1:1/x" }, "cannot be reached"},
		"the metrics address is taken": {func(c *app.Config) { c.MetricsAddr = taken.Addr().String() }, "metrics"},
		"a command without its path":   {func(c *app.Config) { c.Targets.AllowedCommands = []string{"smoke"} }, "allowed-commands"},
		"Lambda is nowhere":            {func(c *app.Config) { c.Targets.LambdaEndpoint = "localhost:4566" }, "lambda-endpoint"},
		"the authorities are missing":  {func(c *app.Config) { c.HandlerCA = filepath.Join(t.TempDir(), "ca.pem") }, "handler-ca"},
	} {
		cfg := testConfig(url)
		cfg.Listen.Addr = address
		tt.change(&cfg)
		if a, err := app.New(t.Context(), cfg, logger()); a != nil || err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s := start(t, url, func(c *app.Config) { c.Listen.Addr = address })
	if s.app.Addr() != address {
		t.Errorf("serves on %s, want %s", s.app.Addr(), address)
	}
}
