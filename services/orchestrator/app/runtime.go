package app

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	"github.com/slipway-deploy/slipway/drivers/runtime/docker"
	"github.com/slipway-deploy/slipway/drivers/runtime/process"
)

// The runtimes that tasks can run on.
const (
	processRuntime = "process"
	dockerRuntime  = "docker"
)

// DockerConfig is how tasks run as containers.
type DockerConfig struct {
	Engines string `flag:"engines" env:"SLIPWAY_ENGINES" help:"Docker engines as name=host, by commas: a=tcp://10.0.0.7:2376,b=unix:///run/docker.sock; empty: DOCKER_HOST or the local socket"`
	Certs   string `flag:"certs" env:"SLIPWAY_CERTS" help:"folder with ca.pem, cert.pem and key.pem, for engines at tcp:// addresses"`
	Network string `flag:"network" env:"SLIPWAY_NETWORK" help:"network that tasks are attached to, on every engine; empty: the engine's default"`
	Publish bool   `flag:"publish" env:"SLIPWAY_PUBLISH" help:"reach tasks at ports of the engine's machine, for a proxy that is not on the network"`
	Owner   string `flag:"owner" env:"SLIPWAY_OWNER" default:"slipway" help:"tells this installation's containers from others' on the same engine"`
}

// engines reads the list of engines.
func (c DockerConfig) engines() ([]docker.Engine, error) {
	var engines []docker.Engine
	var err error
	for part := range strings.SplitSeq(c.Engines, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		name, host, ok := strings.Cut(part, "=")
		if !ok || name == "" || !strings.Contains(host, "://") {
			return nil, fmt.Errorf("docker-engines: %q is not name=host, e.g. a=tcp://10.0.0.7:2376", part)
		}
		e := docker.Engine{Name: name, Host: host}
		if address, ok := strings.CutPrefix(host, "tcp://"); ok {
			if e.Address, _, err = net.SplitHostPort(address); err != nil {
				return nil, fmt.Errorf("docker-engines: %q has no port, e.g. tcp://10.0.0.7:2376", host)
			}
			if c.Certs != "" {
				e.CACert, e.Cert, e.Key = filepath.Join(c.Certs, "ca.pem"), filepath.Join(c.Certs, "cert.pem"), filepath.Join(c.Certs, "key.pem")
			}
		}
		engines = append(engines, e)
	}
	return engines, nil
}

// validateRuntime reports the rules that the runtime's settings break.
func (c Config) validateRuntime() error {
	var errs []error
	if c.RuntimeDir == "" {
		errs = append(errs, errors.New("runtime-dir: is needed"))
	}
	if c.Runtime != processRuntime && c.Runtime != dockerRuntime {
		errs = append(errs, fmt.Errorf("runtime: must be process or docker, is %q", c.Runtime))
	}
	_, err := c.Docker.engines()
	return errors.Join(append(errs, err)...)
}

// driver is a runtime that is closed in the end.
type driver interface {
	runtime.Runtime
	io.Closer
}

// lent is a driver that is its owner's to close.
type lent struct{ runtime.Runtime }

func (lent) Close() error { return nil }

// newRuntime starts the driver of the runtime that is asked for.
func newRuntime(cfg Config, log *slog.Logger) (driver, error) {
	if cfg.Driver != nil {
		return lent{cfg.Driver}, nil
	}
	if cfg.Runtime == processRuntime {
		return process.New(process.Config{Dir: cfg.RuntimeDir}, log)
	}
	engines, err := cfg.Docker.engines()
	if err != nil {
		return nil, err
	}
	return docker.New(docker.Config{
		Dir: filepath.Join(cfg.RuntimeDir, dockerRuntime), Owner: cfg.Docker.Owner, Engines: engines, Network: cfg.Docker.Network, Publish: cfg.Docker.Publish,
	}, log)
}
