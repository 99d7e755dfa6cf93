package stories

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

// Place is where the stories play: how the workload runs, and how what is listened on is reached.
type Place struct {
	Program string // path of the program that examples/web builds, for the process runtime
	Image   string // the image of examples/web, for a container runtime, when Program is empty

	Listen string // host on which the proxy binds listeners
	Dial   string // host at which they are reached from here

	HandlerListen string // host on which the story binds its hook handler
	HandlerDial   string // host at which the hooks service reaches that
}

// OnThisMachine is the place where everything runs beside the story, as a process.
func OnThisMachine(program string) Place {
	const here = "127.0.0.1"
	return Place{Program: program, Listen: here, Dial: here, HandlerListen: here, HandlerDial: here}
}

// container is the workload as a task definition has it.
func (p Place) container() *orchestratorpb.ContainerDefinition {
	c := &orchestratorpb.ContainerDefinition{Name: "web", PortMappings: []*orchestratorpb.PortMapping{{ContainerPort: 8080}}}
	if p.Program != "" {
		c.Command = []string{p.Program}
		return c
	}
	c.Image = p.Image
	c.Environment = []*orchestratorpb.KeyValuePair{{Name: "HOST", Value: "0.0.0.0"}}
	return c
}

// listener is a listener's address as the proxy binds it and as it is reached from here.
type listener struct{ bind, dial string }

func (p Place) listener() (listener, error) {
	if p.Listen == p.Dial {
		address, err := FreeAddress()
		return listener{bind: address, dial: address}, err
	}
	port := strconv.Itoa(firstPort + rand.IntN(portCount)) // of the proxy's own network
	return listener{bind: net.JoinHostPort(p.Listen, port), dial: net.JoinHostPort(p.Dial, port)}, nil
}

// Ports for listeners that are bound later lie below those that the system gives to outgoing connections, which would else
// take one in the meantime.
const (
	firstPort = 21_000
	portCount = 8_000
)

// FreeAddress returns a loopback address that nothing listens on.
func FreeAddress() (string, error) {
	var err error
	for range 100 {
		var l net.Listener
		l, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", firstPort+rand.IntN(portCount)))
		if err == nil {
			return l.Addr().String(), l.Close()
		}
	}
	return "", fmt.Errorf("find a free port: %w", err)
}
