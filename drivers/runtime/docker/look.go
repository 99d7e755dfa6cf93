package docker

import (
	"context"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/slipway-deploy/slipway/drivers/runtime"
)

// look takes over what became of a running or stopping task, and returns when to look again.
func (k *keeper) look(ctx context.Context) (time.Duration, error) {
	e := k.engine()
	if e == nil {
		k.set(func(r *record) {
			r.end(runtime.EssentialContainerExited, "the engine "+r.Engine+" is not configured any more", nil, now())
		})
		return 0, nil
	}
	found, err := e.findAll(ctx, &k.rec, k.d.cfg.Owner)
	if err != nil {
		return 0, err
	}
	next := judge(k.rec, found, k.wanted(), now())
	if next.changed {
		k.set(func(r *record) { *r = next.rec })
	}
	if k.rec.Task.State != runtime.Stopping {
		return 0, nil
	}
	return k.stop(ctx, e, found)
}

// stop tells the containers that still run to stop, and kills those whose time is up.
func (k *keeper) stop(ctx context.Context, e *engine, found []seen) (time.Duration, error) {
	var wait time.Duration
	for i, s := range found {
		if !s.runs() {
			continue
		}
		left := time.Until(k.rec.StopDeadlines[i])
		switch {
		case left <= 0:
			if err := e.signal(ctx, s.inspect.ID, "SIGKILL"); err != nil {
				return 0, err
			}
			left = callTimeout // its end is an event; if that is lost, look again
		case !k.terminated[i]:
			if err := e.signal(ctx, s.inspect.ID, or(s.inspect.Config.StopSignal, "SIGTERM")); err != nil {
				return 0, err
			}
			if k.terminated == nil {
				k.terminated = map[int]bool{}
			}
			k.terminated[i] = true
		}
		if wait == 0 || left < wait {
			wait = left
		}
	}
	return wait, nil
}

// signal sends a signal; a container that has ended meanwhile is no error.
func (e *engine) signal(ctx context.Context, id, signal string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := e.cli.ContainerKill(ctx, id, client.ContainerKillOptions{Signal: signal})
	if errdefs.IsNotFound(err) || errdefs.IsConflict(err) {
		return nil
	}
	return e.problem(err)
}
