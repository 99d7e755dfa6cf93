package bench

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// prometheusRules is a Prometheus that evaluates an alerting rule on each of many series each 10 s, which it scrapes from a server
// of this program as often.
type prometheusRules struct {
	pid     int
	address string
}

func startPrometheus(b *testing.B, rules int) *prometheusRules {
	b.Helper()
	program, err := exec.LookPath("prometheus")
	if err != nil {
		b.Skip("prometheus is not installed")
	}
	var series strings.Builder
	for i := range rules {
		fmt.Fprintf(&series, "bench_m%d 1\n", i)
	}
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(series.String())) }))
	b.Cleanup(target.Close)
	dir := b.TempDir()
	var text strings.Builder
	text.WriteString("groups:\n- name: bench\n  interval: 10s\n  rules:\n")
	for i := range rules { // simpler than the alarm, which asks for 2 of 3 periods
		fmt.Fprintf(&text, "  - alert: a%[1]d\n    expr: bench_m%[1]d > 1\n    for: 20s\n", i)
	}
	check(b, os.WriteFile(filepath.Join(dir, "rules.yml"), []byte(text.String()), 0o600))
	check(b, os.WriteFile(filepath.Join(dir, "prometheus.yml"), fmt.Appendf(nil, `global: {scrape_interval: 10s, evaluation_interval: 10s}
rule_files: [rules.yml]
scrape_configs: [{job_name: bench, static_configs: [{targets: ['%s']}]}]
`, strings.TrimPrefix(target.URL, "http://")), 0o600))
	p := &prometheusRules{address: freeAddress(b)}
	cmd := exec.CommandContext(context.WithoutCancel(b.Context()), program, "--config.file="+filepath.Join(dir, "prometheus.yml"),
		"--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+p.address, "--log.level=error")
	check(b, cmd.Start())
	b.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	p.pid = cmd.Process.Pid
	deadline := time.Now().Add(2 * time.Minute)
	for p.evaluations(b) < float64(rules) {
		if time.Now().After(deadline) {
			b.Fatal("Prometheus evaluates nothing")
		}
		<-time.After(200 * time.Millisecond)
	}
	return p
}

// evaluations is how many rules were evaluated so far; 0 while it starts.
func (p *prometheusRules) evaluations(b *testing.B) float64 {
	b.Helper()
	return metricSum(b, p.address, "prometheus_rule_evaluations_total")
}

// cpuOf is the CPU time of a process so far, in user and kernel mode.
func cpuOf(b *testing.B, pid int) time.Duration {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	check(b, err)
	stat := string(text)
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:]) // from the state on, which is field 3
	ticks := 0
	for _, i := range []int{11, 12} { // utime, stime
		n, err := strconv.Atoi(fields[i])
		check(b, err)
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100 // USER_HZ
}
