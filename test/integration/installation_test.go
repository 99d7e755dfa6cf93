package integration

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	mobynet "github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/network"
	"github.com/testcontainers/testcontainers-go/wait"
	"google.golang.org/grpc"

	"github.com/slipway-deploy/slipway/internal/stories"
	"github.com/slipway-deploy/slipway/platform/grpcclient"
)

// services is the services in the order in which they are started, with the port that each serves on.
var services = []struct {
	name string
	port int
}{{"alarms", 7004}, {"healthcheck", 7003}, {"hooks", 7002}, {"proxy", 7005}, {"orchestrator", 7001}}

// installation is Slipway as containers on a network of their own.
type installation struct {
	t          *testing.T
	engine     *client.Client
	network    string
	containers map[string]testcontainers.Container
	ports      map[string]int // on this machine
}

// install starts everything from the images of a tag, and removes it at the end with what it started.
func install(t *testing.T, tag string) *installation {
	t.Helper()
	require(t)
	engine, err := client.New(client.FromEnv)
	check(t, err)
	t.Cleanup(func() { _ = engine.Close() })
	net, err := network.New(t.Context(), network.WithAttachable())
	check(t, err)
	in := &installation{t: t, engine: engine, network: net.Name, containers: map[string]testcontainers.Container{}, ports: map[string]int{}}
	t.Cleanup(func() { in.remove(net) })
	in.run("postgres", testcontainers.ContainerRequest{
		Image: built.postgres, Env: map[string]string{"POSTGRES_USER": "slipway", "POSTGRES_PASSWORD": "slipway", "POSTGRES_DB": "slipway"},
		WaitingFor: wait.ForExec([]string{"pg_isready", "-h", "127.0.0.1", "-U", "slipway", "-d", "slipway"}).WithStartupTimeout(time.Minute),
	})
	for _, s := range services {
		in.ports[s.name] = freePort(t)
		in.service(s.name, tag)
	}
	return in
}

// service starts a service from the image of a tag, in place of the container that it had.
func (in *installation) service(name, tag string) {
	in.t.Helper()
	if old := in.containers[name]; old != nil {
		check(in.t, old.Terminate(context.Background(), testcontainers.StopTimeout(0)))
	}
	port := 0
	env := map[string]string{"DATABASE_URL": "postgres://slipway:slipway@postgres:5432/slipway", "SLIPWAY_INSECURE": "true", "SLIPWAY_INSECURE_LISTENERS": "true"}
	for _, s := range services {
		if s.name == name {
			port = s.port
		}
		peer := strings.ToUpper(s.name)
		if s.name == "proxy" {
			peer = "TRAFFIC"
		}
		env["SLIPWAY_"+peer+"_TARGET"], env["SLIPWAY_"+peer+"_INSECURE"] = fmt.Sprintf("%s:%d", s.name, s.port), "true"
	}
	env["SLIPWAY_LISTEN"] = fmt.Sprintf("0.0.0.0:%d", port)
	env["SLIPWAY_RUNTIME"], env["SLIPWAY_DOCKER_NETWORK"], env["SLIPWAY_DOCKER_OWNER"] = "docker", in.network, in.network
	inside := mobynet.MustParsePort(strconv.Itoa(port))
	in.run(name, testcontainers.ContainerRequest{
		Image: "slipway/" + name + ":" + tag, Env: env, ExposedPorts: []string{inside.String()},
		WaitingFor: wait.ForHealthCheck().WithStartupTimeout(time.Minute).WithPollInterval(100 * time.Millisecond),
		HostConfigModifier: func(h *container.HostConfig) {
			h.ReadonlyRootfs = true
			h.PortBindings = mobynet.PortMap{inside: {{HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: strconv.Itoa(in.ports[name])}}}
			h.Mounts = append(h.Mounts, mount.Mount{Type: mount.TypeVolume, Source: in.network + "-" + name, Target: "/var/lib/slipway"})
			if name == "orchestrator" {
				socket := strings.TrimPrefix(in.engine.DaemonHost(), "unix://")
				h.Binds = append(h.Binds, socket+":/var/run/docker.sock")
				h.GroupAdd = append(h.GroupAdd, groupOf(in.t, socket))
			}
		},
	})
}

func (in *installation) run(name string, request testcontainers.ContainerRequest) {
	in.t.Helper()
	request.Networks, request.NetworkAliases = []string{in.network}, map[string][]string{in.network: {name}}
	c, err := testcontainers.GenericContainer(context.Background(), testcontainers.GenericContainerRequest{ContainerRequest: request, Started: true})
	if c != nil {
		in.containers[name] = c
	}
	if err != nil {
		in.t.Fatalf("start %s: %v\n%s", name, err, in.log(name))
	}
}

// remove removes everything, also the tasks that the orchestrator started.
func (in *installation) remove(net *testcontainers.DockerNetwork) {
	ctx := context.Background()
	if in.t.Failed() {
		for name := range in.containers {
			in.t.Logf("the log of %s:\n%s", name, in.log(name))
		}
	}
	for _, c := range in.containers {
		_ = c.Terminate(ctx, testcontainers.StopTimeout(0))
	}
	tasks, err := in.engine.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: client.Filters{}.Add("label", "io.slipway.owner="+in.network)})
	if err != nil {
		in.t.Error(err)
	}
	for _, task := range tasks.Items {
		_, _ = in.engine.ContainerRemove(ctx, task.ID, client.ContainerRemoveOptions{Force: true})
	}
	for _, s := range services {
		_, _ = in.engine.VolumeRemove(ctx, in.network+"-"+s.name, client.VolumeRemoveOptions{Force: true})
	}
	if err := net.Remove(ctx); err != nil {
		in.t.Error(err)
	}
}

// log is the end of a container's log.
func (in *installation) log(name string) string {
	c := in.containers[name]
	if c == nil {
		return "(no container)"
	}
	logs, err := c.Logs(context.Background())
	if err != nil {
		return err.Error()
	}
	defer logs.Close()
	text, _ := io.ReadAll(io.LimitReader(logs, 1<<20))
	const most = 6000
	return string(text[max(0, len(text)-most):])
}

// address is where a container is on the network now.
func (in *installation) address(name string) string {
	in.t.Helper()
	there, err := in.engine.ContainerInspect(in.t.Context(), in.containers[name].GetContainerID(), client.ContainerInspectOptions{})
	check(in.t, err)
	return there.Container.NetworkSettings.Networks[in.network].IPAddress.String()
}

// env is the clients, and where stories play on this installation.
func (in *installation) env() *stories.Env {
	in.t.Helper()
	there, err := in.engine.NetworkInspect(in.t.Context(), in.network, client.NetworkInspectOptions{})
	check(in.t, err)
	conns := stories.Conns{Orchestrator: in.dial("orchestrator"), Hooks: in.dial("hooks"), Healthcheck: in.dial("healthcheck"), Alarms: in.dial("alarms")}
	return stories.NewEnv(conns, stories.Place{
		Image: "slipway/example-web:" + currentTag, Listen: "0.0.0.0", Dial: in.address("proxy"),
		HandlerListen: "0.0.0.0", HandlerDial: there.Network.IPAM.Config[0].Gateway.String(),
	}, func(l stories.Line) { in.t.Logf("%8.3fs %s", l.Offset.Seconds(), l.Text) })
}

func (in *installation) dial(name string) *grpc.ClientConn {
	in.t.Helper()
	conn, err := grpcclient.Dial(grpcclient.Config{Target: fmt.Sprintf("127.0.0.1:%d", in.ports[name]), Name: name})
	check(in.t, err)
	in.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func freePort(t *testing.T) int {
	t.Helper()
	address, err := stories.FreeAddress()
	check(t, err)
	_, port, err := net.SplitHostPort(address)
	check(t, err)
	number, err := strconv.Atoi(port)
	check(t, err)
	return number
}

// groupOf is the group that may use a file.
func groupOf(t *testing.T, path string) string {
	t.Helper()
	info, err := os.Stat(path)
	check(t, err)
	return strconv.Itoa(int(info.Sys().(*syscall.Stat_t).Gid))
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
