package docker

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/slipway-deploy/slipway/drivers/runtime/internal/state"
	"github.com/slipway-deploy/slipway/platform/problem"
)

// Config is how a Driver works. Only Dir is required.
type Config struct {
	// Dir is the state folder; made if missing. One driver at a time uses it.
	Dir string
	// Owner tells this installation's containers from others' on the same engine; empty: "slipway".
	Owner string
	// Engines run the tasks; empty: the one of the local socket.
	Engines []Engine
	// Network is the network that tasks are attached to; it must exist on every engine. Empty: the engine's default one.
	Network string
	// Publish makes tasks reachable at ports of the engine's machine, for a proxy that is not on Network; else they are
	// reached at their own address on Network.
	Publish bool
	// PullTimeout bounds one pull of an image; 0: 10 min.
	PullTimeout time.Duration

	// An engine is asked every pingInterval whether it is there, and away when there is no answer in pingTimeout.
	pingInterval, pingTimeout time.Duration
}

// Engine is a Docker engine.
type Engine struct {
	// Name is unique among the engines, and stays: it is written down where a task runs. Empty: "local".
	Name string
	// Host is the engine's address, e.g. unix:///var/run/docker.sock or tcp://10.0.0.7:2376; empty: DOCKER_HOST or the
	// local socket.
	Host string
	// CACert, Cert and Key are PEM files, for an engine that is reached by TLS.
	CACert, Cert, Key string
	// Address is where published ports are reached; empty: 127.0.0.1. An IP address is also what they are bound to; for a name
	// they are bound to every address of the engine's machine.
	Address string
}

const (
	defaultPullTimeout  = 10 * time.Minute
	defaultPingInterval = 10 * time.Second
	defaultPingTimeout  = 5 * time.Second
)

var plain = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$`)

// withDefaults checks the configuration and fills it in.
func (c Config) withDefaults() (Config, error) {
	if c.PullTimeout < 0 {
		return c, problem.Invalid("pull_timeout", "must not be negative")
	}
	if c.Dir == "" {
		return c, problem.Invalid("dir", "must be set")
	}
	if c.Owner == "" {
		c.Owner = "slipway"
	}
	if !plain.MatchString(c.Owner) {
		return c, problem.Invalid("owner", "must be 1 to 63 letters, digits, _, . or -, beginning with a letter or digit")
	}
	if len(c.Engines) == 0 {
		c.Engines = []Engine{{}}
	}
	seen := map[string]bool{}
	engines := make([]Engine, 0, len(c.Engines))
	for i, e := range c.Engines {
		if e.Name == "" {
			e.Name = "local"
		}
		if e.Address == "" {
			e.Address = "127.0.0.1"
		}
		field := fmt.Sprintf("engines[%d]", i)
		if !plain.MatchString(e.Name) || seen[e.Name] {
			return c, problem.Invalid(field+".name", "must be unique and of letters, digits, _, . or -, but is %q", e.Name)
		}
		seen[e.Name] = true
		if tls := e.CACert != "" || e.Cert != "" || e.Key != ""; tls && (e.CACert == "" || e.Cert == "" || e.Key == "") {
			return c, problem.Invalid(field+".ca_cert", "cert and key must be set together")
		}
		engines = append(engines, e)
	}
	c.Engines = engines
	c.PullTimeout = or(c.PullTimeout, defaultPullTimeout)
	c.pingInterval, c.pingTimeout = or(c.pingInterval, defaultPingInterval), or(c.pingTimeout, defaultPingTimeout)
	return c, nil
}

func (c Config) servicesDir() string { return filepath.Join(c.Dir, "services") }
func (c Config) tasksDir() string    { return filepath.Join(c.Dir, "tasks") }

func (c Config) taskPath(name string) string {
	return filepath.Join(c.tasksDir(), state.FileName(name)+".json")
}

func (c Config) makeDirs() error {
	for _, dir := range []string{c.servicesDir(), c.tasksDir()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return state.Problem(err)
		}
	}
	return nil
}
