package integration

import (
	"context"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	mobynet "github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

// What happens to one container in the middle of a deployment of each strategy, all at once; each must end as if nothing had
// happened, and traffic that does not pass what is away must not notice.
func TestTroubleInTheMiddleOfEachStrategy(t *testing.T) { //nolint:tparallel // one after the other, on one installation
	t.Parallel()
	in := install(t, currentTag)
	e := in.env()
	var workloads []*workload
	for i, name := range slices.Sorted(maps.Keys(strategies())) {
		workloads = append(workloads, create(t, in, e, name, 8080+i, strategies()[name]))
	}
	steady := create(t, in, e, "steady", 8090, strategies()["rolling"])
	for _, name := range []string{"orchestrator", "hooks", "healthcheck", "alarms", "proxy", "postgres"} {
		t.Run("kill_"+name, func(t *testing.T) {
			inTheMiddle(t, workloads, func() { in.kill(t, name) }, func() { in.start(t, name) }, steady, name == "proxy")
		})
	}
	for _, name := range []string{"orchestrator", "hooks", "healthcheck", "alarms", "proxy", "postgres"} {
		t.Run("cut_off_"+name, func(t *testing.T) {
			inTheMiddle(t, workloads, func() { in.cut(t, name) }, func() { in.join(t, name) }, steady, name == "proxy")
		})
	}
}

// awayFor is how long what is in trouble stays so.
const awayFor = 3 * time.Second

func inTheMiddle(t *testing.T, workloads []*workload, trouble, mend func(), steady *workload, losesRequests bool) {
	t.Helper()
	ids := make([]string, len(workloads))
	for i, w := range workloads {
		ids[i] = w.deploy(t)
	}
	for i, w := range workloads {
		eventually(t, w.name+" has begun", func() (bool, error) {
			d, err := w.get(t.Context(), ids[i])
			return d.GetState() == orchestratorpb.Deployment_STATE_IN_PROGRESS, err
		})
	}
	load := startLoad(t, steady)
	trouble()
	<-time.After(awayFor)
	mend()
	for i, w := range workloads {
		w.ends(t, ids[i], orchestratorpb.Deployment_STATE_SUCCESSFUL)
		w.answersOnly(t)
	}
	sent, lost := load()
	t.Logf("%d requests beside it, %d lost", sent, lost)
	if lost > 0 && !losesRequests || sent == 0 {
		t.Errorf("%d of %d requests were lost", lost, sent)
	}
}

// startLoad sends requests to a workload one after the other until the function that it returns is called.
func startLoad(t *testing.T, w *workload) func() (sent, lost int64) {
	t.Helper()
	address := w.in.address("proxy") + ":8090"
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	var sent, lost atomic.Int64
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			sent.Add(1)
			if _, err := versionAt(context.WithoutCancel(ctx), address); err != nil {
				lost.Add(1)
			}
			<-time.After(5 * time.Millisecond)
		}
	}()
	return func() (int64, int64) {
		stop()
		<-done
		return sent.Load(), lost.Load()
	}
}

// kill ends a container with SIGKILL.
func (in *installation) kill(t *testing.T, name string) {
	t.Helper()
	_, err := in.engine.ContainerKill(t.Context(), in.containers[name].GetContainerID(), client.ContainerKillOptions{Signal: "SIGKILL"})
	check(t, err)
}

func (in *installation) start(t *testing.T, name string) {
	t.Helper()
	_, err := in.engine.ContainerStart(t.Context(), in.containers[name].GetContainerID(), client.ContainerStartOptions{})
	check(t, err)
}

// cut takes a container off the network.
func (in *installation) cut(t *testing.T, name string) {
	t.Helper()
	_, err := in.engine.NetworkDisconnect(t.Context(), in.network, client.NetworkDisconnectOptions{Container: in.containers[name].GetContainerID()})
	check(t, err)
}

// join puts it back under its name; its address may be another.
func (in *installation) join(t *testing.T, name string) {
	t.Helper()
	_, err := in.engine.NetworkConnect(t.Context(), in.network, client.NetworkConnectOptions{
		Container: in.containers[name].GetContainerID(), EndpointConfig: &mobynet.EndpointSettings{Aliases: []string{name}},
	})
	check(t, err)
}
