package bench

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/grpcclient"
)

const (
	watchers      = 5000
	watchServices = 100
	watchConns    = 50
	watchRate     = 10 // deployments a second
)

// Limit: 50 ms (p99) from the decision, whose commit is still to come, to the delivery of its event to each of 5,000 streams, 50
// for each of 100 services that deploy in turn.
func BenchmarkWatchers(b *testing.B) {
	f := newFleet(b)
	f.populate("web", watchServices, fourSteps())
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	var mu sync.Mutex
	var late []time.Duration
	var streams sync.WaitGroup
	for i := range watchConns {
		conn, err := grpcclient.Dial(grpcclient.Config{Target: f.address, Name: "bench"})
		check(b, err)
		b.Cleanup(func() { _ = conn.Close() })
		events := orchestratorpb.NewEventServiceClient(conn)
		for j := range watchers / watchConns {
			service := fmt.Sprintf("web-%d", (i*watchers/watchConns+j)%watchServices)
			stream, err := events.WatchEvents(ctx, &orchestratorpb.WatchEventsRequest{Cluster: "default", Service: service})
			check(b, err)
			_, err = stream.Header()
			check(b, err)
			streams.Go(func() {
				for {
					m, err := stream.Recv()
					if err != nil {
						return
					}
					took := time.Since(m.GetEvent().GetTime().AsTime())
					mu.Lock()
					late = append(late, took)
					mu.Unlock()
				}
			})
		}
	}
	turn := time.NewTicker(time.Second / watchRate)
	defer turn.Stop()
	b.ResetTimer()
	for n := 0; b.Loop(); n++ {
		<-turn.C
		_, err := f.deployments.CreateDeployment(b.Context(), &orchestratorpb.CreateDeploymentRequest{Service: fmt.Sprintf("web-%d", n%watchServices)})
		check(b, err)
	}
	<-time.After(time.Second) // the last ones end
	cancel()
	streams.Wait()
	report(b, "delivery", late)
}
