package docker

import (
	"context"
	"errors"
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/slipway-deploy/slipway/drivers/runtime"
)

// begin makes and starts the task's containers, each at most once. An error means to try again; what cannot succeed makes the
// task STOPPED.
func (k *keeper) begin(ctx context.Context) error {
	if !k.wanted() && !k.rec.Begun {
		k.set(func(r *record) {
			r.end(runtime.ServiceSchedulerInitiated, "its name was no longer listed before it started", nil, now())
		})
		return nil
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
	if err != nil {
		return k.failUnlessAway(ctx, err.Error(), err)
	}
	if !k.rec.Begun {
		k.rec.Begun, k.unsaved = true, true
		if err := k.save(); err != nil {
			return err // nothing is made before it is written down
		}
	}
	for i, c := range k.rec.Containers {
		if err := k.create(ctx, e, i, images[i]); err != nil {
			return k.failUnlessAway(ctx, e.sentence(c.Name, err), err)
		}
	}
	for i, c := range k.rec.Containers {
		if err := e.startOnce(ctx, k.rec.container(k.d.cfg.Owner, i)); err != nil {
			return k.failUnlessAway(ctx, e.sentence(c.Name, err), err)
		}
	}
	return k.running(ctx, e)
}

// replace places the task anew when its engine went away before it was begun.
func (k *keeper) replace() {
	k.d.mu.Lock()
	defer k.d.mu.Unlock()
	if e := k.engine(); e == nil || !e.answers.Load() {
		k.placed = place(k.d.load(), k.key)
		k.rec.Engine = k.placed
	}
}

// failUnlessAway fails the task for a reason, unless the engine only does not answer.
func (k *keeper) failUnlessAway(ctx context.Context, reason string, err error) error {
	if away(err) {
		return err
	}
	k.fail(reason)
	return k.remove(ctx)
}

func (k *keeper) images(ctx context.Context, e *engine) ([]string, error) {
	images := make([]string, len(k.rec.Containers))
	for i, c := range k.rec.Containers {
		if c.Image == "" && k.from == loaded {
			continue // adopted by labels: its containers are there
		}
		var err error
		if images[i], err = k.d.image(ctx, e, k.key, c.Image); err != nil {
			return nil, err
		}
	}
	return images, nil
}

var errMayHaveRun = errors.New("it is gone since the orchestrator was restarted, and may have run")

// create makes a container, unless it is there.
func (k *keeper) create(ctx context.Context, e *engine, i int, image string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	name := k.rec.container(k.d.cfg.Owner, i)
	if k.from == loaded {
		_, err := e.cli.ContainerInspect(ctx, name, client.ContainerInspectOptions{})
		if errdefs.IsNotFound(err) {
			return errMayHaveRun
		}
		return e.problem(err)
	}
	_, err := e.cli.ContainerCreate(ctx, k.options(e, i, image))
	if !errdefs.IsConflict(err) {
		return e.problem(err)
	}
	there, err := e.cli.ContainerInspect(ctx, name, client.ContainerInspectOptions{}) // a lost answer, or another's name
	if err == nil && there.Container.Config.Labels[startTimeLabel] != k.rec.labels("")[startTimeLabel] {
		return fmt.Errorf("the engine has another container named %s", name)
	}
	return e.problem(err)
}

// startOnce starts a container that never ran.
func (e *engine) startOnce(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	there, err := e.cli.ContainerInspect(ctx, name, client.ContainerInspectOptions{})
	if err != nil {
		return e.problem(err)
	}
	if there.Container.State.Status != container.StateCreated {
		return nil
	}
	if there.Container.State.Error != "" {
		return errors.New(there.Container.State.Error) // an earlier start failed; its answer was lost
	}
	_, err = e.cli.ContainerStart(ctx, name, client.ContainerStartOptions{})
	return e.problem(err)
}

// running makes the task RUNNING.
func (k *keeper) running(ctx context.Context, e *engine) error {
	found, err := e.inspectAll(ctx, &k.rec, k.d.cfg.Owner)
	if err != nil {
		return err
	}
	endpoints := k.rec.endpoints(found[0].inspect, e.Address, k.d.cfg)
	k.set(func(r *record) {
		r.Task.State, r.Task.RunningTime, r.Task.Endpoints = runtime.Running, now(), endpoints
	})
	return nil
}

func (e *engine) removeContainer(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := e.cli.ContainerRemove(ctx, name, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	if errdefs.IsNotFound(err) || errdefs.IsConflict(err) { // it is gone, or being removed
		return nil
	}
	return e.problem(err)
}
