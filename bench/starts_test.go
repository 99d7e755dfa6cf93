package bench

import (
	"fmt"
	"testing"
	"time"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

const started = 1000

// BenchmarkStarts begins a blue/green deployment in each of 1,000 services, by 16 callers, that pauses before its scale-up: it is
// begun, and nothing else is done. The next round supersedes them.
//
// Limit: 500 calls of CreateDeployment answered a second.
func BenchmarkStarts(b *testing.B) {
	f := newFleet(b)
	f.populate("web", started, blueGreen())
	c := blueGreen()
	c.LifecycleHooks = []*orchestratorpb.LifecycleHook{{
		Pause: true, LifecycleStages: []orchestratorpb.LifecycleStage{orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_PRE_SCALE_UP},
	}}
	var took time.Duration
	for b.Loop() {
		start := time.Now()
		check(b, each(started, func(i int) error {
			_, err := f.deployments.CreateDeployment(b.Context(), &orchestratorpb.CreateDeploymentRequest{
				Service: fmt.Sprintf("web-%d", i), DeploymentConfiguration: c, Supersede: true,
			})
			return err
		}))
		took += time.Since(start)
	}
	b.ReportMetric(float64(started*b.N)/took.Seconds(), "started/s")
	b.ReportMetric(0, "ns/op")
}
