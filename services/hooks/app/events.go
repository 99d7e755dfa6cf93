package app

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"google.golang.org/grpc"

	driver "github.com/slipway-deploy/slipway/drivers/event"
	"github.com/slipway-deploy/slipway/drivers/event/eventbridge"
	"github.com/slipway-deploy/slipway/drivers/event/https"
	"github.com/slipway-deploy/slipway/drivers/event/sns"
	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/grpcclient"
	"github.com/slipway-deploy/slipway/platform/postgres"
	"github.com/slipway-deploy/slipway/services/hooks/internal/delivery"
	"github.com/slipway-deploy/slipway/services/hooks/internal/event"
	"github.com/slipway-deploy/slipway/services/hooks/internal/eventapi"
	"github.com/slipway-deploy/slipway/services/hooks/internal/intake"
	"github.com/slipway-deploy/slipway/services/hooks/internal/invocation"
	"github.com/slipway-deploy/slipway/services/hooks/internal/outbox"
	"github.com/slipway-deploy/slipway/services/hooks/internal/store"
	"github.com/slipway-deploy/slipway/services/hooks/internal/subscription"
)

// events is the part of the service that is about event subscriptions.
type events struct {
	cfg    Config
	log    *slog.Logger
	hooks  *store.Store
	outbox *outbox.Store
	engine *delivery.Engine

	ctx  context.Context //nolint:containedctx // of the feeds, which are added while the service runs
	stop context.CancelFunc

	mu    sync.Mutex // of what follows
	conns []*grpc.ClientConn
	feeds sync.WaitGroup
}

// newEvents makes the engine of deliveries and registers the service. Nothing is read or sent before start.
func newEvents(cfg Config, db *postgres.DB, hooks *store.Store, a *App, roots *x509.CertPool) *events {
	client := driver.NewClient(driver.ClientConfig{AllowHTTP: cfg.AllowHTTP, RootCAs: roots})
	box := outbox.New(db, compilePattern)
	engine := delivery.New(delivery.Config{
		Senders: map[subscription.TargetKind]driver.Sender{
			subscription.HTTPS: https.New(client, time.Now), subscription.SNS: sns.New(client), subscription.EventBridge: eventbridge.New(client),
		},
		Workers: cfg.Events.Workers, Lease: cfg.Lease, Grace: cfg.Grace, Failures: cfg.Failures, Open: cfg.Open,
		Backoff: subscription.Backoff{First: cfg.Events.FirstRetry, Last: cfg.Events.LastRetry},
		Keep: outbox.Keep{
			Delivered: cfg.Events.Retention, DeadLetters: cfg.Events.DeadLetterRetention, Limit: cfg.Events.DeadLetterLimit,
		},
		Now: time.Now, Jitter: rand.Float64, Log: a.log, Metrics: a.eventMetrics,
	}, box)
	hookspb.RegisterSubscriptionServiceServer(a.server, eventapi.New(eventapi.Config{
		Store: box, Compile: compilePattern, Changed: engine.Changed, AllowHTTP: cfg.AllowHTTP, Log: a.log,
	}))
	ctx, stop := context.WithCancel(context.Background())
	return &events{cfg: cfg, log: a.log, hooks: hooks, outbox: box, engine: engine, ctx: ctx, stop: stop}
}

// start sends what is recorded, and reads from the services whose addresses are known.
func (e *events) start() error {
	e.engine.Start()
	if e.cfg.Events.Orchestrator.Target != "" {
		if err := e.followOrchestrator(e.cfg.Events.Orchestrator); err != nil {
			return err
		}
	}
	if e.cfg.Events.Alarms.Target != "" {
		return e.followAlarms(e.cfg.Events.Alarms)
	}
	return nil
}

// end stops reading, then sending.
func (e *events) end(ctx context.Context) {
	e.stop()
	e.feeds.Wait()
	e.engine.Stop(ctx)
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, conn := range e.conns {
		_ = conn.Close() // it fails only when closed already
	}
	e.conns = nil
}

func (e *events) place() event.Place {
	return event.Place{Account: e.cfg.Events.Account, Region: e.cfg.Events.Region}
}

func (e *events) followOrchestrator(cfg grpcclient.Config) error {
	conn, err := e.dial("orchestrator", cfg)
	if err != nil {
		return err
	}
	e.read(&intake.Deployments{
		Place: e.place(), Events: orchestratorpb.NewEventServiceClient(conn), Deployments: orchestratorpb.NewDeploymentServiceClient(conn),
		HookType: e.hookType, Now: time.Now,
	})
	return nil
}

func (e *events) followAlarms(cfg grpcclient.Config) error {
	conn, err := e.dial("alarms", cfg)
	if err != nil {
		return err
	}
	e.read(&intake.Alarms{Place: e.place(), Alarms: alarmspb.NewAlarmServiceClient(conn), Now: time.Now})
	return nil
}

func (e *events) dial(name string, cfg grpcclient.Config) (*grpc.ClientConn, error) {
	cfg.Name = name
	conn, err := grpcclient.Dial(cfg)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.conns = append(e.conns, conn)
	return conn, nil
}

func (e *events) read(source intake.Source) {
	reader := intake.New(source, e.outbox, e.cfg.Lease, e.log)
	e.feeds.Go(func() { reader.Run(e.ctx) })
}

const hookReadTimeout = 5 * time.Second

// hookType is ECS's name for a Lambda function, and ours for the rest.
func (e *events) hookType(ctx context.Context, name string) string {
	ctx, cancel := context.WithTimeout(ctx, hookReadTimeout)
	defer cancel()
	hook, err := e.hooks.HookGet(ctx, name)
	if err != nil {
		return ""
	}
	if hook.Target.Kind == invocation.Lambda {
		return "AWS_LAMBDA"
	}
	return string(hook.Target.Kind)
}

// FollowOrchestrator reads the orchestrator's events from an address that was not known when the service was set up.
// It is called once, after Start.
func (a *App) FollowOrchestrator(cfg grpcclient.Config) error {
	return a.events.followOrchestrator(cfg)
}
