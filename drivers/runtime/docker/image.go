package docker

import (
	"context"
	"fmt"
	"maps"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/slipway-deploy/slipway/drivers/runtime/internal/state"
)

// pullError is why an image cannot be had. The task that needs it has failed; a new one tries again.
type pullError struct{ text string }

func (e *pullError) Error() string { return "CannotPullContainerError: " + e.text }

// image returns what the reference stands for in the task set: the first task resolves it, by pulling it if the engine lacks
// it, and all others run the very same (ECS: image digest resolution for service deployments). One without a digest, which was
// built on the engine, is pinned by its id.
func (d *Driver) image(ctx context.Context, e *engine, key state.Key, ref string) (string, error) {
	got, err, _ := d.pulls.Do(e.Name+" "+key.Service+" "+key.ID+" "+ref, func() (any, error) {
		set, _ := d.orders.Set(key)
		if pinned := set.Images[ref]; pinned != "" {
			return pinned, e.have(ctx, pinned)
		}
		pinned, err := e.resolve(ctx, ref)
		if err != nil {
			return "", err
		}
		return pinned, d.orders.Change(key, func(set *state.Set) {
			images := map[string]string{ref: pinned}
			maps.Copy(images, set.Images)
			set.Images = images
		})
	})
	pinned, _ := got.(string)
	return pinned, err
}

// have makes sure that a pinned image is on the engine.
func (e *engine) have(ctx context.Context, pinned string) error {
	_, err := e.inspectImage(ctx, pinned)
	if !errdefs.IsNotFound(err) {
		return err
	}
	if !strings.Contains(pinned, "@") {
		return &pullError{fmt.Sprintf("the image %s of the first task is not on engine %s, and has no digest to pull it by", pinned, e.Name)}
	}
	return e.pull(ctx, pinned)
}

func (e *engine) resolve(ctx context.Context, ref string) (string, error) {
	found, err := e.inspectImage(ctx, ref)
	if errdefs.IsNotFound(err) {
		if err := e.pull(ctx, ref); err != nil {
			return "", err
		}
		found, err = e.inspectImage(ctx, ref)
	}
	if err != nil {
		return "", err
	}
	if len(found.RepoDigests) > 0 {
		return found.RepoDigests[0], nil
	}
	return found.ID, nil
}

func (e *engine) inspectImage(ctx context.Context, ref string) (client.ImageInspectResult, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	found, err := e.cli.ImageInspect(ctx, ref)
	return found, e.problem(err)
}

func (e *engine) pull(ctx context.Context, ref string) error {
	ctx, cancel := context.WithTimeout(ctx, e.d.cfg.PullTimeout)
	defer cancel()
	auth, err := registryAuth(ref)
	if err != nil {
		return &pullError{err.Error()}
	}
	e.d.log.Info("Pulling an image.", "image", ref, "engine", e.Name)
	answer, err := e.cli.ImagePull(ctx, ref, client.ImagePullOptions{RegistryAuth: auth})
	if err == nil {
		err = answer.Wait(ctx)
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return &pullError{fmt.Sprintf("pulling image %s on engine %s took longer than %s", ref, e.Name, e.d.cfg.PullTimeout)}
	case client.IsErrConnectionFailed(err):
		return e.problem(err)
	}
	return &pullError{fmt.Sprintf("image %s: %s", ref, strings.Join(strings.Fields(err.Error()), " "))}
}
