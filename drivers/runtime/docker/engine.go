package docker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"
	"github.com/moby/moby/client/pkg/versions"

	"github.com/slipway-deploy/slipway/platform/problem"
)

const (
	callTimeout = 30 * time.Second // of one call, but for pulls
	meetTimeout = 5 * time.Second
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
	ctx, cancel := context.WithTimeout(ctx, meetTimeout)
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
	delay := firstRetry
	for ctx.Err() == nil {
		followed, err := e.follow(ctx)
		if ctx.Err() != nil {
			return
		}
		if e.answers.Swap(false) || followed {
			e.d.log.Warn("A Docker engine does not answer; trying again.", "engine", e.Name, "error", err)
			delay = firstRetry
		}
		if lost := e.d.away(); lost != nil {
			e.d.feed.Break(lost)
		}
		select {
		case <-ctx.Done():
		case <-time.After(delay):
		}
		delay = min(2*delay, lastRetry)
	}
}

// follow wakes the keepers of containers to which something happens, at first all of the engine's, until the stream breaks.
func (e *engine) follow(ctx context.Context) (followed bool, err error) {
	if err := e.meet(ctx); err != nil {
		return false, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream := e.cli.Events(ctx, client.EventsListOptions{
		Filters: client.Filters{}.Add("type", string(events.ContainerEventType)).Add("label", ownerLabel+"="+e.d.cfg.Owner),
	})
	if err := e.adoptUnknown(ctx); err != nil {
		return true, err
	}
	e.d.pokeAll(e.Name)
	for {
		select {
		case m := <-stream.Messages:
			if k := e.d.keeperOf(m.Actor.Attributes[taskLabel]); k != nil {
				k.poke()
			}
		case err := <-stream.Err:
			return true, e.problem(err)
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

// problem makes Unavailable of an engine that did not answer, and leaves what it answered as it is.
func (e *engine) problem(err error) error {
	var network net.Error
	switch {
	case err == nil:
		return nil
	case client.IsErrConnectionFailed(err), errors.As(err, &network), errors.Is(err, context.DeadlineExceeded), errdefs.IsUnavailable(err),
		errors.Is(err, context.Canceled), strings.Contains(err.Error(), "EOF"):
		return problem.New(problem.Unavailable, "SERVICE_UNAVAILABLE", "the Docker engine %s does not answer", e.Name).Wrap(err)
	}
	return err
}

// sentence is what an engine's refusal means, in one line.
func (e *engine) sentence(container string, err error) string {
	text := strings.Join(strings.Fields(err.Error()), " ")
	switch {
	case strings.Contains(text, "port is already allocated"), strings.Contains(text, "address already in use"):
		return fmt.Sprintf("container %s cannot start: a host port of it is in use on engine %s", container, e.Name)
	case strings.Contains(text, "no space left on device"):
		return fmt.Sprintf("container %s cannot start: the disk of engine %s is full", container, e.Name)
	}
	// The engine wraps what the OCI runtime says into several layers that say nothing.
	for _, layer := range []string{
		"Error response from daemon: ", "failed to create task for container: ", "failed to create shim task: ",
		"OCI runtime create failed: ", "runc create failed: ", "unable to start container process: ", "container_linux.go:",
	} {
		if _, after, ok := strings.Cut(text, layer); ok {
			text = after
		}
	}
	const longest = 300
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + " ..."
	}
	return fmt.Sprintf("container %s cannot start: %s", container, text)
}
