package docker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/moby/moby/client"

	"github.com/slipway-deploy/slipway/drivers/runtime/internal/state"
)

// pullError is why an image cannot be had. The task that needs it has failed; a new one tries again.
type pullError struct{ text string }

func (e *pullError) Error() string { return "CannotPullContainerError: " + e.text }

// image waits for what the reference stands for in the task set, but no longer than the task is wanted.
func (k *keeper) image(ctx context.Context, e *engine, ref string) (string, error) {
	type result struct {
		pinned string
		err    error
	}
	done := make(chan result, 1)
	k.d.spawn(func(ctx context.Context) {
		pinned, err := k.d.image(ctx, e, k.key, ref)
		done <- result{pinned, err}
	})
	for {
		select {
		case got := <-done:
			return got.pinned, got.err
		case <-ctx.Done():
			return "", ctx.Err()
		case <-k.poked:
			if !k.wanted() {
				return "", errUnwanted // the pull goes on, for the other tasks that wait for it
			}
		}
	}
}

// image returns what the reference stands for in the task set: the first task resolves it, by pulling it if the engine lacks
// it, and all others run the very same (ECS: image digest resolution for service deployments). One without a digest, which was
// built on the engine, is pinned by its id.
func (d *Driver) image(ctx context.Context, e *engine, key state.Key, ref string) (string, error) {
	got, err, _ := d.pulls.Do(e.Name+" "+key.Service+" "+key.ID+" "+ref, func() (any, error) {
		set, _ := d.orders.Set(key)
		if pinned := set.Images[ref]; pinned != "" {
			return pinned, e.have(ctx, pinned)
		}
		resolved, err := e.resolve(ctx, ref)
		if err != nil {
			return "", err
		}
		pinned, err := d.pin(key, ref, resolved)
		if err != nil || pinned == resolved {
			return pinned, err
		}
		return pinned, e.have(ctx, pinned)
	})
	pinned, _ := got.(string)
	return pinned, err
}

// pin writes down what the reference stands for in the task set, and returns it. When a task on another engine was first, that
// one's word holds.
func (d *Driver) pin(key state.Key, ref, resolved string) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, known := d.orders.Set(key); !known { // deleted and forgotten meanwhile
		return resolved, nil
	}
	err := d.orders.Change(key, func(set *state.Set) {
		if first := set.Images[ref]; first != "" {
			resolved = first
			return
		}
		images := map[string]string{ref: resolved}
		maps.Copy(images, set.Images)
		set.Images = images
	})
	return resolved, err
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
	return exactly(ref, found.RepoDigests, found.ID), nil
}

// exactly is the unchanging name of the image that a reference stands for: its digest, in the reference's own repository if
// it has one there, for another engine may pull from there only; or else its id.
func exactly(ref string, digests []string, id string) string {
	named, err := reference.ParseNormalizedNamed(ref)
	if len(digests) == 0 {
		return id
	}
	for _, digest := range digests {
		if other, e := reference.ParseNormalizedNamed(digest); err == nil && e == nil && other.Name() == named.Name() {
			return digest
		}
	}
	return digests[0]
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
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &pullError{fmt.Sprintf("pulling image %s on engine %s took longer than %s", ref, e.Name, e.d.cfg.PullTimeout)}
	case unanswered(err):
		return e.problem(err)
	}
	return &pullError{fmt.Sprintf("image %s: %s", ref, because(e.Name, err))}
}
