package docker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/slipway-deploy/slipway/drivers/runtime"
)

var (
	errMayHaveRun = errors.New("it is gone since the orchestrator was restarted, and may have run")
	errUnwanted   = errors.New("its name was no longer listed before it started")
)

// begin makes and starts the task's containers, each at most once. An error means to try again; what cannot succeed makes the
// task STOPPED.
func (k *keeper) begin(ctx context.Context) error {
	if !k.wanted() {
		return k.giveUp(ctx)
	}
	if !k.rec.Begun {
		k.replace()
	}
	e := k.engine()
	if e == nil {
		k.fail(fmt.Sprintf("the engine %s is not configured any more", k.rec.Engine))
		return nil
	}
	images, err := k.images(ctx, e)
	if err == nil && !k.rec.Begun && !k.wanted() {
		err = errUnwanted // pulling may have taken minutes
	}
	if errors.Is(err, errUnwanted) {
		return k.giveUp(ctx)
	}
	if err != nil {
		return k.failUnlessAway(ctx, err.Error(), err)
	}
	if !k.rec.Begun {
		k.rec.Begun, k.unsaved = true, true
		if err := k.save(); err != nil {
			return err // nothing is made before it is written down
		}
	}
	for _, i := range k.rec.inOrder() {
		if err := k.create(ctx, e, i, images[i]); err != nil {
			return k.failUnlessAway(ctx, sentence(k.containers[i], e.Name, err), err)
		}
	}
	for _, i := range k.rec.inOrder() {
		if err := k.startOnce(ctx, e, k.names[i]); err != nil {
			return k.failUnlessAway(ctx, sentence(k.containers[i], e.Name, err), err)
		}
	}
	return k.running(ctx, e)
}

// replace places the task anew when its engine went away before it was begun.
func (k *keeper) replace() {
	k.d.mu.Lock()
	defer k.d.mu.Unlock()
	if e := k.engine(); e == nil || !e.answers.Load() {
		k.placed = place(k.d.loads(), k.key)
		k.rec.Engine = k.placed
	}
}

// giveUp ends a task that is not wanted before all of it has started. What already runs is stopped like that of any other.
func (k *keeper) giveUp(ctx context.Context) error {
	if e := k.engine(); k.rec.Begun && e != nil {
		found, err := e.findAll(ctx, &k.rec, k.d.cfg.Owner)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(found, seen.runs) {
			k.set(func(r *record) { r.stopping(runtime.ServiceSchedulerInitiated, unlisted, now()) })
			return nil
		}
	}
	if err := k.remove(ctx); err != nil {
		return err
	}
	k.set(func(r *record) { r.end(runtime.ServiceSchedulerInitiated, errUnwanted.Error(), nil, now()) })
	return nil
}

// failUnlessAway fails the task for a reason, unless the engine only does not answer. What was started of it is removed first:
// nothing of a STOPPED task runs.
func (k *keeper) failUnlessAway(ctx context.Context, reason string, err error) error {
	if away(err) {
		return err
	}
	if err := k.remove(ctx); err != nil {
		return err
	}
	k.fail(reason)
	return nil
}

// images is what the containers are made from; those of an earlier driver are there.
func (k *keeper) images(ctx context.Context, e *engine) ([]string, error) {
	images := make([]string, len(k.rec.Containers))
	if k.from == loaded {
		return images, nil
	}
	for i, c := range k.rec.Containers {
		var err error
		if images[i], err = k.image(ctx, e, c.Image); err != nil {
			return nil, err
		}
	}
	return images, nil
}

// create makes a container, unless it is there.
func (k *keeper) create(ctx context.Context, e *engine, i int, image string) error {
	if k.from == fresh {
		limited, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		if _, err := e.cli.ContainerCreate(limited, k.options(e, i, image)); !errdefs.IsConflict(err) {
			return e.problem(err)
		}
	}
	there, err := e.find(ctx, k.id, k.names[i]) // a lost answer, or another's name
	switch {
	case err != nil || !there.gone:
		return err
	case k.from == loaded:
		return errMayHaveRun
	default:
		return fmt.Errorf("engine %s has another container named %s", e.Name, k.names[i])
	}
}

// startOnce starts a container that never ran.
func (k *keeper) startOnce(ctx context.Context, e *engine, name string) error {
	there, err := e.find(ctx, k.id, name)
	switch {
	case err != nil:
		return err
	case there.gone:
		return errors.New("it was removed from outside")
	case there.inspect.State.Status != container.StateCreated:
		return nil
	case there.inspect.State.Error != "":
		return errors.New(there.inspect.State.Error) // an earlier start failed; its answer was lost
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err = e.cli.ContainerStart(ctx, there.inspect.ID, client.ContainerStartOptions{})
	return e.problem(err)
}

// running makes the task RUNNING.
func (k *keeper) running(ctx context.Context, e *engine) error {
	found, err := e.findAll(ctx, &k.rec, k.d.cfg.Owner)
	if err != nil {
		return err
	}
	endpoints := k.rec.endpoints(found[k.rec.network()], e.Address, k.d.cfg)
	at := lastStart(found, k.rec.Task.StartTime, now())
	k.set(func(r *record) {
		r.Task.State, r.Task.RunningTime, r.Task.Endpoints = runtime.Running, at, endpoints
	})
	return nil
}

// lastStart is when the last container started, by the engine's clock, but not before accepted nor after at.
func lastStart(found []seen, accepted, at time.Time) time.Time {
	last := accepted
	for _, s := range found {
		if s.gone {
			continue
		}
		if started := engineTime(s.inspect.State.StartedAt); started.After(last) {
			last = started
		}
	}
	if last.Equal(accepted) || last.After(at) {
		return at
	}
	return last
}
