package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slipway-deploy/slipway/drivers/traffic"
	trafficproxy "github.com/slipway-deploy/slipway/drivers/traffic/proxy"
	trafficpb "github.com/slipway-deploy/slipway/gen/go/slipway/traffic/v1"
	"github.com/slipway-deploy/slipway/platform/grpcclient"
	"github.com/slipway-deploy/slipway/platform/grpcserver"
	proxyapp "github.com/slipway-deploy/slipway/services/proxy/app"
)

const proxyServer = "SLIPWAY_BENCH_PROXY"

// proxied is a proxy that is a process of its own, so that its CPU and memory can be told from those of the load.
type proxied struct {
	b       *testing.B
	address string // for requests; of Slipway's, for control
	pid     int
	in      io.Writer // nil: it tells nothing of its memory
	out     *bufio.Reader
}

// startProxy runs this test program as a proxy: "slipway", or "reverse http://target".
func startProxy(b *testing.B, kind string) *proxied {
	b.Helper()
	program, err := os.Executable()
	check(b, err)
	cmd := exec.CommandContext(b.Context(), program, "-test.run", "^TestProxyServer$")
	cmd.Env = append(os.Environ(), proxyServer+"="+kind)
	out, err := cmd.StdoutPipe()
	check(b, err)
	in, err := cmd.StdinPipe() // it ends with this
	check(b, err)
	check(b, cmd.Start())
	b.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	p := &proxied{b: b, pid: cmd.Process.Pid, in: in, out: bufio.NewReader(out)}
	p.address = p.line()
	return p
}

func (p *proxied) line() string {
	p.b.Helper()
	line, err := p.out.ReadString('\n')
	check(p.b, err)
	return strings.TrimSpace(line)
}

// proxyUsage is what a proxy's process has used so far.
type proxyUsage struct {
	cpu            time.Duration
	objects, bytes float64
}

// usage is nothing where there is no process, and no memory of one that is not ours.
func (p *proxied) usage(b *testing.B) (u proxyUsage) {
	b.Helper()
	if p.pid == 0 {
		return u
	}
	u.cpu = cpuOf(b, p.pid)
	if p.in == nil {
		return u
	}
	_, err := io.WriteString(p.in, "\n")
	check(b, err)
	_, err = fmt.Sscan(p.line(), &u.objects, &u.bytes)
	check(b, err)
	return u
}

func (u proxyUsage) report(b *testing.B, begin proxyUsage) {
	b.Helper()
	n := float64(b.N)
	if u.cpu > 0 {
		b.ReportMetric(float64((u.cpu-begin.cpu).Nanoseconds())/1000/n, "cpu-µs/req")
	}
	if u.objects > 0 {
		b.ReportMetric((u.objects-begin.objects)/n, "proxy-allocs/req")
		b.ReportMetric((u.bytes-begin.bytes)/n, "proxy-B/req")
	}
}

// TestProxyServer is the proxy that startProxy starts. It says what it has allocated when it is sent a line.
func TestProxyServer(t *testing.T) {
	kind, target, _ := strings.Cut(os.Getenv(proxyServer), " ")
	if kind == "" {
		t.Skip("runs as a part of benchmarks")
	}
	if kind == "slipway" {
		a, err := proxyapp.New(t.Context(), proxyapp.Config{
			Listen: grpcserver.Config{Addr: "127.0.0.1:0"}, RoutesDir: t.TempDir(), MetricsPeriod: time.Second,
		}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			a.Stop(ctx)
		}()
		fmt.Println(a.Addr())
	} else {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() { _ = http.Serve(l, reverseProxy(target)) }()
		fmt.Println(l.Addr())
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var memory runtime.MemStats
		runtime.ReadMemStats(&memory)
		fmt.Println(memory.Mallocs, memory.TotalAlloc)
	}
}

// reverseProxy is what the standard library has, set up for throughput.
func reverseProxy(target string) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: target})
			r.Out.Host = r.In.Host
			r.SetXForwarded()
		},
		Transport:  &http.Transport{MaxIdleConnsPerHost: 1024, DisableCompression: true},
		BufferPool: &buffers{pool: sync.Pool{New: func() any { buf := make([]byte, 32<<10); return &buf }}},
	}
}

type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte  { return *b.pool.Get().(*[]byte) }
func (b *buffers) Put(p []byte) { b.pool.Put(&p) }

// routed is a Slipway proxy with one listener, whose requests two target groups share.
type routed struct {
	*proxied
	driver      *trafficproxy.Driver
	listener    string
	generation  int64
	blue, green string // targets
}

func startSlipway(b *testing.B, blue, green string) *routed {
	b.Helper()
	p := startProxy(b, "slipway")
	conn, err := grpcclient.Dial(grpcclient.Config{Target: p.address, Name: "proxy"})
	check(b, err)
	b.Cleanup(func() { _ = conn.Close() })
	r := &routed{proxied: p, driver: trafficproxy.New(trafficpb.NewTrafficServiceClient(conn)), listener: freeAddress(b), blue: blue, green: green}
	check(b, r.weigh(1000))
	return r
}

// weigh gives blue so many of a thousand requests, as the orchestrator does it.
func (r *routed) weigh(blue int) error {
	r.generation++
	return r.driver.Apply(r.b.Context(), r.generation, traffic.Routes{
		Service: "bench/web",
		Listeners: []traffic.Listener{{
			Name: "production", Address: r.listener,
			Forward: []traffic.WeightedTargetGroup{{TargetGroup: "blue", Weight: blue}, {TargetGroup: "green", Weight: 1000 - blue}},
		}},
		TargetGroups: []traffic.TargetGroup{
			{Name: "blue", Targets: []traffic.Target{{ID: "web-1-1", Address: r.blue}}},
			{Name: "green", Targets: []traffic.Target{{ID: "web-2-1", Address: r.green}}},
		},
	})
}
