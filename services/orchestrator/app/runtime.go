package app

import (
	"fmt"
	"log/slog"

	"google.golang.org/grpc"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	"github.com/slipway-deploy/slipway/drivers/runtime/local"
	"github.com/slipway-deploy/slipway/drivers/runtime/remote"
	runtimepb "github.com/slipway-deploy/slipway/gen/go/slipway/runtime/v1"
)

// remoteRuntime is the runtime of several orchestrators: a program of its own.
const remoteRuntime = "remote"

// DockerConfig is how tasks run as containers.
type DockerConfig = local.DockerConfig

// localRuntime is the settings of a runtime in this program.
func (c Config) localRuntime() local.Config {
	return local.Config{Kind: c.Runtime, Dir: c.RuntimeDir, Docker: c.Docker}
}

// validateRuntime reports the rules that the runtime's settings break.
func (c Config) validateRuntime() error {
	switch c.Runtime {
	case remoteRuntime:
		return nil
	case local.Process, local.Docker:
		return c.localRuntime().Validate()
	}
	return fmt.Errorf("runtime: must be process, docker or remote, is %q", c.Runtime)
}

// lent is a driver that is its owner's to close.
type lent struct{ runtime.Runtime }

func (lent) Close() error { return nil }

// newRuntime starts the driver of the runtime that is asked for.
func newRuntime(cfg Config, dial func() (*grpc.ClientConn, error), log *slog.Logger) (local.Driver, error) {
	switch {
	case cfg.Driver != nil:
		return lent{cfg.Driver}, nil
	case cfg.Runtime == remoteRuntime:
		conn, err := dial()
		if err != nil {
			return nil, err
		}
		return lent{remote.New(runtimepb.NewRuntimeServiceClient(conn))}, nil
	}
	return local.Open(cfg.localRuntime(), log)
}
