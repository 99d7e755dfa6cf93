package prometheus

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slipway-deploy/slipway/drivers/metrics/metricstest"
)

// server is a real Prometheus with the data of the suite, one for all tests; url is empty if it does not run, and why says
// why; absent if there is no such program here.
var server struct {
	url, why string
	absent   bool
}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "slipway-prometheus-")
	if err != nil {
		panic(err)
	}
	stop := start(dir)
	code := m.Run()
	stop()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// running returns the address of the server, or skips.
func running(t *testing.T) string {
	t.Helper()
	if server.absent && os.Getenv("SLIPWAY_REQUIRE_PROMETHEUS") == "" {
		t.Skip(server.why)
	}
	if server.url == "" {
		t.Fatal("Prometheus cannot be run: ", server.why)
	}
	return server.url
}

func start(dir string) (stop func()) {
	stop = func() {}
	prometheus, err := exec.LookPath("prometheus")
	if err != nil {
		server.absent, server.why = true, "no program prometheus in the PATH (Debian: apt-get install prometheus)"
		return stop
	}
	if server.why = load(dir); server.why != "" {
		return stop
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		server.why = err.Error()
		return stop
	}
	address := listener.Addr().String()
	_ = listener.Close()
	logs, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		server.why = err.Error()
		return stop
	}
	cmd := exec.Command(prometheus, "--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--storage.tsdb.retention.time=100y", "--web.listen-address="+address)
	cmd.Stdout, cmd.Stderr = logs, logs
	if err := cmd.Start(); err != nil {
		server.why = err.Error()
		return stop
	}
	stop = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	if !ready("http://" + address + "/-/ready") {
		text, _ := os.ReadFile(filepath.Join(dir, "log"))
		server.why = "it did not get ready: " + string(text)
		return stop
	}
	server.url = "http://" + address
	return stop
}

// load writes the samples as blocks, as Prometheus keeps them, and says what went wrong.
func load(dir string) string {
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte("global: {scrape_interval: 1h}\n"), 0o600); err != nil {
		return err.Error()
	}
	if err := os.WriteFile(filepath.Join(dir, "samples"), []byte(openMetrics(append(metricstest.Data(), broad()...))), 0o600); err != nil {
		return err.Error()
	}
	out, err := exec.Command("promtool", "tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=720h",
		filepath.Join(dir, "samples"), filepath.Join(dir, "data")).CombinedOutput()
	if err != nil {
		return fmt.Sprintf("promtool: %s: %s", err, out)
	}
	return ""
}

// broad is a metric with two series that a query does not tell apart.
func broad() []metricstest.Series {
	at := func(seconds int, v float64) metricstest.Sample {
		return metricstest.Sample{Time: metricstest.Start.Add(time.Duration(seconds) * time.Second), Value: v}
	}
	return []metricstest.Series{
		{Name: "queue", Dimensions: map[string]string{"app": "web", "instance": "a"}, Samples: []metricstest.Sample{at(0, 1), at(20, 2), at(40, 3)}},
		{Name: "queue", Dimensions: map[string]string{"app": "web", "instance": "b"}, Samples: []metricstest.Sample{at(10, 10)}},
	}
}

func openMetrics(all []metricstest.Series) string {
	var b strings.Builder
	typed := ""
	for _, s := range all {
		if s.Name != typed {
			typed = s.Name
			fmt.Fprintf(&b, "# TYPE %s gauge\n", s.Name)
		}
		var labels []string
		for _, name := range slices.Sorted(maps.Keys(s.Dimensions)) {
			labels = append(labels, fmt.Sprintf("%s=%q", name, s.Dimensions[name]))
		}
		for _, sample := range s.Samples {
			fmt.Fprintf(&b, "%s{%s} %g %.3f\n", s.Name, strings.Join(labels, ","), sample.Value, float64(sample.Time.UnixMilli())/1000)
		}
	}
	return b.String() + "# EOF\n"
}

// ready polls until the server says so, for at most 20 s.
func ready(url string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		if resp, err := http.Get(url); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return true
			}
		}
		<-tick.C
	}
	return false
}
