package docker

import (
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	"github.com/slipway-deploy/slipway/drivers/runtime/internal/variables"
)

const pidsLimit = 4096

// options is how the i-th container is made.
func (k *keeper) options(e *engine, i int, image string) client.ContainerCreateOptions {
	r, owner := &k.rec, k.d.cfg.Owner
	spec := r.Containers[i]
	vars := variables.Of(r.Task.Name, r.Task.TaskSet, r.Task.Service, r.TaskDefinition, r.listening(), i)
	config := &container.Config{
		Image: image, Labels: r.labels(owner, i), WorkingDir: spec.WorkingDirectory, Env: environment(spec.Environment, vars),
		Healthcheck: healthCheck(spec.HealthCheck),
	}
	for _, arg := range spec.Command {
		config.Cmd = append(config.Cmd, variables.Expand(arg, vars))
	}
	pids := int64(pidsLimit)
	host := &container.HostConfig{
		RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyDisabled},
		SecurityOpt:   []string{"no-new-privileges"},
		LogConfig:     container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "10m", "max-file": "2"}},
		Resources: container.Resources{
			NanoCPUs: nanoCPUs(spec.CPU),
			Memory:   int64(spec.MemoryMiB) << 20, MemorySwap: int64(spec.MemoryMiB) << 20, PidsLimit: &pids,
		},
	}
	if i == r.network() {
		host.NetworkMode = container.NetworkMode(k.d.cfg.Network)
		config.ExposedPorts, host.PortBindings = r.ports(e.Address, k.d.cfg.Publish)
	} else {
		host.NetworkMode = container.NetworkMode("container:" + r.container(owner, r.network()))
	}
	return client.ContainerCreateOptions{Name: r.container(owner, i), Config: config, HostConfig: host}
}

// nanoCPUs is the limit in billionths of a core. Less than a hundredth of one cannot be enforced.
func nanoCPUs(cpu int) int64 {
	if cpu == 0 {
		return 0
	}
	return max(int64(cpu)*1_000_000_000/1024, 10_000_000)
}

func environment(own, vars map[string]string) []string {
	env := make(map[string]string, len(own)+len(vars))
	for key, value := range own {
		env[key] = variables.Expand(value, vars)
	}
	maps.Copy(env, vars)
	list := make([]string, 0, len(env))
	for _, key := range slices.Sorted(maps.Keys(env)) {
		list = append(list, key+"="+env[key])
	}
	return list
}

// healthCheck is a container health check with the defaults of ECS, which the engine makes.
func healthCheck(h *runtime.HealthCheck) *container.HealthConfig {
	if h == nil {
		return nil
	}
	return &container.HealthConfig{
		Test: h.Command, Interval: or(h.Interval, 30*time.Second), Timeout: or(h.Timeout, 5*time.Second),
		StartPeriod: h.StartPeriod, Retries: or(h.Retries, 3),
	}
}

func or[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}

// ports is what the network of the task exposes, and where on the engine's machine when that is asked for.
func (r *record) ports(address string, publish bool) (network.PortSet, network.PortMap) {
	exposed, bound := network.PortSet{}, network.PortMap{}
	bind, _ := netip.ParseAddr(address) // a name binds every address
	for _, c := range r.listening() {
		for i, number := range c.Ports {
			port, _ := network.PortFrom(uint16(number), network.TCP)
			exposed[port] = struct{}{}
			if host := c.Spec.Ports[i].HostPort; publish || host != 0 {
				binding := network.PortBinding{HostIP: bind}
				if host != 0 {
					binding.HostPort = strconv.Itoa(host)
				}
				bound[port] = []network.PortBinding{binding}
			}
		}
	}
	return exposed, bound
}

// endpoints is where the ports of a running task are reached, by the container that has its network. The engine has given none
// to one that is already gone.
func (r *record) endpoints(at seen, address string, cfg Config) []runtime.Endpoint {
	if at.gone || at.inspect.NetworkSettings == nil {
		return nil
	}
	var list []runtime.Endpoint
	for _, c := range r.listening() {
		for i, number := range c.Ports {
			e := runtime.Endpoint{Container: c.Spec.Name, ContainerPort: c.Spec.Ports[i].ContainerPort}
			port, _ := network.PortFrom(uint16(number), network.TCP)
			if cfg.Publish {
				if bound := at.inspect.NetworkSettings.Ports[port]; len(bound) > 0 {
					e.Address = net.JoinHostPort(address, bound[0].HostPort)
				}
			} else if ip := addressOn(at.inspect.NetworkSettings, cfg.Network); ip.IsValid() {
				e.Address = net.JoinHostPort(ip.String(), strconv.Itoa(number))
			}
			if e.Address != "" {
				list = append(list, e)
			}
		}
	}
	return list
}

// addressOn is the container's address on the network, or on its only one.
func addressOn(settings *container.NetworkSettings, name string) netip.Addr {
	if n := settings.Networks[name]; n != nil {
		return n.IPAddress
	}
	for _, n := range settings.Networks {
		return n.IPAddress
	}
	return netip.Addr{}
}
