// Package local opens the runtime drivers that run tasks from within a program, by their settings.
package local

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
	Process = "process" // on this machine
	Docker  = "docker"
)

// Config says where tasks run.
type Config struct {
	Kind   string // Process or Docker
	Dir    string // in which the runtime keeps its tasks
	Docker DockerConfig
}

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

// Validate reports the rules that the settings break.
func (c Config) Validate() error {
	var errs []error
	if c.Dir == "" {
		errs = append(errs, errors.New("runtime-dir: is needed"))
	}
	if c.Kind != Process && c.Kind != Docker {
		errs = append(errs, fmt.Errorf("runtime: must be process or docker, is %q", c.Kind))
	}
	_, err := c.Docker.engines()
	return errors.Join(append(errs, err)...)
}

// Driver is a runtime that is closed in the end.
type Driver interface {
	runtime.Runtime
	io.Closer
}

// Open starts the driver that is asked for.
func Open(cfg Config, log *slog.Logger) (Driver, error) {
	if cfg.Kind == Process {
		return process.New(process.Config{Dir: cfg.Dir}, log)
	}
	engines, err := cfg.Docker.engines()
	if err != nil {
		return nil, err
	}
	return docker.New(docker.Config{
		Dir: filepath.Join(cfg.Dir, Docker), Owner: cfg.Docker.Owner, Engines: engines, Network: cfg.Docker.Network, Publish: cfg.Docker.Publish,
	}, log)
}
