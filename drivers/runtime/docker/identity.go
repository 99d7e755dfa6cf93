package docker

import (
	"context"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// identity is whose a container is. A name alone says nothing: someone else may have taken it.
type identity struct{ owner, task, startTime string }

func (r *record) identity(owner string) identity {
	return identity{owner: owner, task: r.Task.Name, startTime: startTime(r.Task.StartTime)}
}

// owns reports whether the labels are those of a container of this very task.
func (id identity) owns(labels map[string]string) bool {
	return labels[ownerLabel] == id.owner && labels[taskLabel] == id.task && labels[startTimeLabel] == id.startTime
}

// find asks for a container of the task by its name. One that is not there, or is not the task's, is gone.
func (e *engine) find(ctx context.Context, id identity, name string) (seen, error) {
	s, err := e.inspect(ctx, name)
	if err == nil && !s.gone && !id.owns(s.inspect.Config.Labels) {
		return seen{gone: true}, nil
	}
	return s, err
}

// inspect asks for whatever container has the name or id.
func (e *engine) inspect(ctx context.Context, name string) (seen, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	answer, err := e.cli.ContainerInspect(ctx, name, client.ContainerInspectOptions{})
	switch c := answer.Container; {
	case errdefs.IsNotFound(err):
		return seen{gone: true}, nil
	case err != nil:
		return seen{}, e.problem(err)
	case c.Config == nil || c.State == nil: // of an engine that breaks the API
		return seen{gone: true}, nil
	default:
		return seen{inspect: c}, nil
	}
}

// findAll asks for every container of the task.
func (e *engine) findAll(ctx context.Context, r *record, owner string) ([]seen, error) {
	found := make([]seen, len(r.Containers))
	for i := range r.Containers {
		var err error
		if found[i], err = e.find(ctx, r.identity(owner), r.container(owner, i)); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// seen is a container as the engine has it.
type seen struct {
	gone    bool // not there: removed from outside, or never made
	inspect container.InspectResponse
}

func (s seen) runs() bool {
	return !s.gone && (s.inspect.State.Running || s.inspect.State.Paused || s.inspect.State.Restarting)
}

// removeID removes a container by the engine's own id, which no one else's can have.
func (e *engine) removeID(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := e.cli.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	if errdefs.IsNotFound(err) || errdefs.IsConflict(err) { // it is gone, or being removed
		return nil
	}
	return e.problem(err)
}
