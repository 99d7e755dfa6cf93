package docker

import (
	"context"
	"strings"
	"sync/atomic"
	"time"

	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"
	"github.com/moby/moby/client/pkg/versions"

	"github.com/slipway-deploy/slipway/platform/problem"
)

const (
	callTimeout = 30 * time.Second // of one call, but for pulls
	firstRetry  = 100 * time.Millisecond
	lastRetry   = 5 * time.Second
)

// engine is a Docker engine and the stream of what happens to its containers.
type engine struct {
	Engine
	d       *Driver
	cli     *client.Client
	answers atomic.Bool
}

func newEngine(d *Driver, cfg Engine) (*engine, error) {
	options := []client.Opt{client.FromEnv}
	if cfg.Host != "" {
		options = []client.Opt{client.WithHost(cfg.Host)}
	}
	if cfg.CACert != "" {
		options = append(options, client.WithTLSClientConfig(cfg.CACert, cfg.Cert, cfg.Key))
	}
	cli, err := client.New(options...)
	if err != nil {
		return nil, problem.Invalid("engines", "engine %s: %s", cfg.Name, err)
	}
	return &engine{Engine: cfg, d: d, cli: cli}, nil
}

// meet asks the engine who it is: problem.Unavailable when it does not answer, problem.FailedPrecondition when it is too old.
func (e *engine) meet(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, e.d.cfg.pingTimeout)
	defer cancel()
	pong, err := e.cli.Ping(ctx, client.PingOptions{})
	if err != nil {
		return e.problem(err)
	}
	if versions.LessThan(pong.APIVersion, client.MinAPIVersion) {
		return problem.New(problem.FailedPrecondition, "UNSUPPORTED", "the Docker engine %s speaks API version %s, and %s is needed: update it",
			e.Name, pong.APIVersion, client.MinAPIVersion)
	}
	e.answers.Store(true)
	return nil
}

// run follows what happens on the engine until ctx ends, over every loss of the connection.
func (e *engine) run(ctx context.Context) {
	delay, told := firstRetry, ""
	for ctx.Err() == nil {
		followed, err := e.follow(ctx)
		if ctx.Err() != nil {
			return
		}
		e.answers.Store(false)
		if followed {
			delay, told = firstRetry, ""
		}
		if text := err.Error(); text != told {
			e.d.log.Warn("A Docker engine cannot be followed: its tasks are shown as they were last, new ones go to others. Trying again.",
				"engine", e.Name, "error", err)
			told = text
		}
		if lost := e.d.away(); lost != nil {
			e.d.feed.Break(lost)
		}
		pause(ctx, delay, nil)
		delay = min(2*delay, lastRetry)
	}
}

// follow wakes the keepers of containers to which something happens, at first all of the engine's, until the stream breaks or
// the engine no longer answers. It reports whether it ever did.
func (e *engine) follow(ctx context.Context) (followed bool, err error) {
	if err := e.meet(ctx); err != nil {
		return false, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	late := time.AfterFunc(e.d.cfg.pingTimeout, cancel)
	stream := e.cli.Events(ctx, client.EventsListOptions{
		// What the engine still has of the past comes first. It wakes in vain, but without it the engine may answer before it
		// listens to itself.
		Since:   "1",
		Filters: client.Filters{}.Add("type", string(events.ContainerEventType)).Add("label", ownerLabel+"="+e.d.cfg.Owner),
	})
	late.Stop()
	if err := e.reconcile(ctx); err != nil {
		return false, err
	}
	e.d.log.Info("Following a Docker engine.", "engine", e.Name)
	e.d.pokeAll(e.Name)
	ping := time.NewTicker(e.d.cfg.pingInterval)
	defer ping.Stop()
	for {
		select {
		case m := <-stream.Messages:
			if strings.HasPrefix(string(m.Action), "exec_") { // a health check that runs; what it finds is an event of its own
				continue
			}
			if k := e.d.keeperOf(m.Actor.Attributes[taskLabel]); k != nil {
				k.poke()
			}
		case err := <-stream.Err:
			return true, e.problem(err)
		case <-ping.C:
			if err := e.meet(ctx); err != nil {
				return true, err
			}
		}
	}
}

func (d *Driver) pokeAll(engine string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, k := range d.tasks {
		if k.placed == engine {
			k.poke()
		}
	}
}

// engine returns the engine of that name, nil when it is not configured any more.
func (d *Driver) engine(name string) *engine {
	for _, e := range d.engines {
		if e.Name == name {
			return e
		}
	}
	return nil
}
