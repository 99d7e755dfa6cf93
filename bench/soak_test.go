package bench

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

const (
	soaked = "SLIPWAY_BENCH_SOAK"
	pace   = "SLIPWAY_BENCH_PACE"
)

// BenchmarkSoak is BenchmarkLive for as long as SLIPWAY_BENCH_SOAK says, e.g. 1h: each second (SLIPWAY_BENCH_PACE) one of the live deployments is
// continued to its end and the next begun in its place. It reports the memory in use after the first tenth of that time and at the end, each
// after a garbage collection, and the most in between, of the whole program.
func BenchmarkSoak(b *testing.B) {
	length, err := time.ParseDuration(os.Getenv(soaked))
	if err != nil || length < 10*time.Second {
		b.Skipf("%s is not set to a time of 10s at least", soaked)
	}
	n := liveDeployments()
	f := newFleet(b)
	f.populate("web", n, paused())
	begin := func(i int) error {
		_, err := f.deployments.CreateDeployment(b.Context(), &orchestratorpb.CreateDeploymentRequest{Service: fmt.Sprintf("web-%d", i)})
		return err
	}
	check(b, each(n, begin))
	f.waits(n)
	f.finish(finished)
	every := time.Second
	if given, err := time.ParseDuration(os.Getenv(pace)); err == nil && given > 0 {
		every = given
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for b.Loop() {
		var heaps []float64
		var overhead []time.Duration
		start := time.Now()
		for i := 0; time.Since(start) < length; i = (i + 1) % n {
			overhead = append(overhead, f.resume(fmt.Sprintf("web-%d", i))...)
			check(b, begin(i))
			f.tasks.Forget() // what only tests ask for
			f.routes.Forget()
			if len(heaps) < int(time.Since(start)*10/length) {
				heaps = append(heaps, heapMB())
				b.Logf("after %s: %.0f MB in use", time.Since(start).Round(time.Second), heaps[len(heaps)-1])
			}
			<-tick.C
		}
		heaps = append(heaps, heapMB())
		b.ReportMetric(heaps[0], "first-heap-MB")
		b.ReportMetric(heaps[len(heaps)-1], "last-heap-MB")
		b.ReportMetric(slices.Max(heaps), "most-heap-MB")
		report(b, "step-overhead", overhead)
	}
}

func heapMB() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc) / 1e6
}
