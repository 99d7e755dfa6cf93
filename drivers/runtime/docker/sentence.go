package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/slipway-deploy/slipway/platform/problem"
)

// problem makes Unavailable of an engine that did not answer, and leaves what it answered as it is.
func (e *engine) problem(err error) error {
	if !unanswered(err) {
		return err
	}
	return problem.New(problem.Unavailable, "SERVICE_UNAVAILABLE", "the Docker engine %s does not answer", e.Name).Wrap(err)
}

// unanswered reports whether the error is of the way to the engine and back, and not the engine's own word.
func unanswered(err error) bool {
	var network net.Error
	return client.IsErrConnectionFailed(err) || errors.As(err, &network) || errdefs.IsUnavailable(err) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// away reports whether the error is of an engine that does not answer, so that nothing is known.
func away(err error) bool {
	return errors.Is(err, problem.Unavailable) || errors.Is(err, context.Canceled)
}

// sentence is why a container cannot start, by what the engine says, in one line.
func sentence(container, engine string, err error) string {
	return fmt.Sprintf("container %s cannot start: %s", container, because(engine, err))
}

var hostPort = regexp.MustCompile(`(\d+\.\d+\.\d+\.\d+|\[[0-9a-fA-F:]*\]):\d+`)

// because is what an engine's refusal means.
func because(engine string, err error) string {
	text := strings.Join(strings.Fields(err.Error()), " ")
	switch {
	case strings.Contains(text, "port is already allocated"), strings.Contains(text, "address already in use"):
		if address := hostPort.FindString(text); address != "" {
			return fmt.Sprintf("%s of engine %s is in use", address, engine)
		}
		return "a host port of it is in use on engine " + engine
	case strings.Contains(text, "no space left on device"):
		return fmt.Sprintf("the disk of engine %s is full", engine)
	}
	return unwrapped(text)
}

// unwrapped is what is left without the layers that the engine wraps around what the OCI runtime says, and not too long.
func unwrapped(text string) string {
	for _, layer := range []string{
		"Error response from daemon: ", "failed to create task for container: ", "failed to create shim task: ",
		"OCI runtime create failed: ", "runc create failed: ", "unable to start container process: ",
	} {
		if _, after, ok := strings.Cut(text, layer); ok {
			text = after
		}
	}
	text = strings.TrimSuffix(text, ": unknown")
	const longest = 300
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + " ..."
	}
	return text
}
