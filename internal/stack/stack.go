// Package stack runs all of Slipway in one program: every service on its own schema, talking to the others over gRPC, with
// the process runtime and the built-in proxy. It is what `slipway dev` and the tests run; nothing in it is simulated.
package stack

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	"github.com/slipway-deploy/slipway/drivers/traffic"
	"github.com/slipway-deploy/slipway/platform/grpcclient"
	"github.com/slipway-deploy/slipway/platform/postgres/postgresdev"
	alarms "github.com/slipway-deploy/slipway/services/alarms/app"
	healthcheck "github.com/slipway-deploy/slipway/services/healthcheck/app"
	hooks "github.com/slipway-deploy/slipway/services/hooks/app"
	orchestrator "github.com/slipway-deploy/slipway/services/orchestrator/app"
	proxy "github.com/slipway-deploy/slipway/services/proxy/app"
)

// Config says where the state lies and where the services listen.
type Config struct {
	Dir            string // of Postgres, the runtime and the proxy
	DatabaseURL    string // "" starts a private Postgres in Dir
	Addresses      Addresses
	NoOrchestrator bool            // for tests that run it as a program of its own
	AllowedOrigins []string        // whose pages may call the services
	Runtime        runtime.Runtime // in place of the process runtime
	Traffic        traffic.Traffic // in place of the proxy
	HookTargets    hooks.TargetsConfig
	Log            *slog.Logger
}

// Addresses is where the services listen, host:port.
type Addresses struct{ Orchestrator, Hooks, Healthcheck, Alarms, Proxy string }

// DefaultAddresses is where each service listens when nothing else is said.
func DefaultAddresses() Addresses {
	return Addresses{"127.0.0.1:7001", "127.0.0.1:7002", "127.0.0.1:7003", "127.0.0.1:7004", "127.0.0.1:7005"}
}

// AnyAddresses lets every service choose a free port.
func AnyAddresses() Addresses {
	const free = "127.0.0.1:0"
	return Addresses{free, free, free, free, free}
}

// Stack is a running system.
type Stack struct {
	Addresses   Addresses // as they are, with ports
	DatabaseURL string
	RuntimeDir  string
	stops       []func(context.Context)
	hooks       *hooks.App // hears of the orchestrator last
}

const stopTimeout = 10 * time.Second

// Start starts everything. What was started is stopped again when something fails.
func Start(ctx context.Context, cfg Config) (_ *Stack, err error) {
	s := &Stack{DatabaseURL: cfg.DatabaseURL, RuntimeDir: filepath.Join(cfg.Dir, "runtime")}
	defer func() {
		if err != nil {
			s.Stop()
		}
	}()
	if err := os.MkdirAll(cfg.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the folder for the state: %w", err)
	}
	if s.DatabaseURL == "" {
		db, err := postgresdev.Start(ctx, filepath.Join(cfg.Dir, "postgres"), cfg.Log)
		if err != nil {
			return nil, err
		}
		s.onStop(func(ctx context.Context) { _ = db.Stop(ctx) })
		s.DatabaseURL = db.URL()
	}
	for _, start := range []func(context.Context, Config) error{s.startAlarms, s.startHealthcheck, s.startHooks, s.startProxy} {
		if err := start(ctx, cfg); err != nil {
			return nil, err
		}
	}
	if cfg.NoOrchestrator {
		return s, nil
	}
	if err := s.startOrchestrator(ctx, cfg); err != nil {
		return nil, err
	}
	if err := s.hooks.FollowOrchestrator(grpcclient.Config{Target: s.Addresses.Orchestrator}); err != nil {
		return nil, fmt.Errorf("hooks: %w", err)
	}
	return s, nil
}

// part is a service's app.
type part interface {
	Start(ctx context.Context) error
	Stop(ctx context.Context)
	Addr() string
}

func (s *Stack) start(ctx context.Context, name string, p part, err error, addr *string) error {
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	s.onStop(p.Stop)
	if err := p.Start(ctx); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	*addr = p.Addr()
	return nil
}

func (s *Stack) startAlarms(ctx context.Context, cfg Config) error {
	c := alarms.Default()
	c.Listen.AllowedOrigins = cfg.AllowedOrigins
	c.Listen.Addr, c.DatabaseURL = cfg.Addresses.Alarms, s.DatabaseURL
	a, err := alarms.New(ctx, c, cfg.Log.With("service_name", "alarms"))
	return s.start(ctx, "alarms", a, err, &s.Addresses.Alarms)
}

func (s *Stack) startHealthcheck(ctx context.Context, cfg Config) error {
	c := healthcheck.Default()
	c.Listen.AllowedOrigins = cfg.AllowedOrigins
	c.Listen.Addr, c.DatabaseURL = cfg.Addresses.Healthcheck, s.DatabaseURL
	a, err := healthcheck.New(ctx, c, cfg.Log.With("service_name", "healthcheck"))
	return s.start(ctx, "healthcheck", a, err, &s.Addresses.Healthcheck)
}

func (s *Stack) startHooks(ctx context.Context, cfg Config) error {
	c := hooks.Default()
	c.Listen.AllowedOrigins = cfg.AllowedOrigins
	c.Listen.Addr, c.DatabaseURL = cfg.Addresses.Hooks, s.DatabaseURL
	c.Events.Orchestrator.Target, c.Events.Alarms.Target = "", s.Addresses.Alarms // the orchestrator starts later
	c.Targets = cfg.HookTargets
	a, err := hooks.New(ctx, c, cfg.Log.With("service_name", "hooks"))
	s.hooks = a
	return s.start(ctx, "hooks", a, err, &s.Addresses.Hooks)
}

func (s *Stack) startProxy(ctx context.Context, cfg Config) error {
	c := proxy.Default()
	c.Listen.AllowedOrigins = cfg.AllowedOrigins
	c.Listen.Addr = cfg.Addresses.Proxy
	c.RoutesDir = filepath.Join(cfg.Dir, "proxy", "routes")
	c.Alarms = grpcclient.Config{Target: s.Addresses.Alarms, Name: "alarms"}
	a, err := proxy.New(ctx, c, cfg.Log.With("service_name", "proxy"))
	return s.start(ctx, "proxy", a, err, &s.Addresses.Proxy)
}

func (s *Stack) startOrchestrator(ctx context.Context, cfg Config) error {
	c := orchestrator.Default()
	c.Listen.AllowedOrigins = cfg.AllowedOrigins
	c.Listen.Addr, c.DatabaseURL, c.RuntimeDir = cfg.Addresses.Orchestrator, s.DatabaseURL, s.RuntimeDir
	c.Hooks.Target, c.Healthcheck.Target = s.Addresses.Hooks, s.Addresses.Healthcheck
	c.Alarms.Target, c.Traffic.Target = s.Addresses.Alarms, s.Addresses.Proxy
	c.Driver, c.DataPlane = cfg.Runtime, cfg.Traffic
	a, err := orchestrator.New(ctx, c, cfg.Log.With("service_name", "orchestrator"))
	return s.start(ctx, "orchestrator", a, err, &s.Addresses.Orchestrator)
}

func (s *Stack) onStop(f func(context.Context)) { s.stops = append(s.stops, f) }

// Stop stops everything, the last first. Tasks go on; a start in the same folder takes them up again.
func (s *Stack) Stop() {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	for _, stop := range slices.Backward(s.stops) {
		stop(ctx)
	}
	s.stops = nil
}
