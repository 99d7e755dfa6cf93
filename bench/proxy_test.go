package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/slipway-deploy/slipway/drivers/traffic"
	trafficproxy "github.com/slipway-deploy/slipway/drivers/traffic/proxy"
	trafficpb "github.com/slipway-deploy/slipway/gen/go/slipway/traffic/v1"
	"github.com/slipway-deploy/slipway/platform/grpcclient"
	"github.com/slipway-deploy/slipway/platform/grpcserver"
	proxyapp "github.com/slipway-deploy/slipway/services/proxy/app"
)

// BenchmarkProxy sends small GET requests over kept connections straight to a target, through our proxy, through a plain
// httputil.ReverseProxy with large pools, and through HAProxy where it is installed. Clients and target speak raw TCP,
// so that next to all the time is the proxy's. All share this program's processors, but HAProxy, which has its own process.
func BenchmarkProxy(b *testing.B) {
	target := rawTarget(b)
	for _, peer := range []struct {
		name  string
		start func(*testing.B, string) string
	}{
		{"direct", func(_ *testing.B, target string) string { return target }},
		{"slipway", slipwayProxy},
		{"ReverseProxy", reverseProxy},
		{"HAProxy", haproxy},
	} {
		b.Run(peer.name, func(b *testing.B) {
			address := peer.start(b, target)
			for _, clients := range []int{1, 64} {
				b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) { load(b, address, clients) })
			}
		})
	}
}

// load sends b.N requests, shared by the clients, and reports the rate and the latencies.
func load(b *testing.B, address string, clients int) {
	var left atomic.Int64
	left.Store(int64(b.N))
	var group sync.WaitGroup
	var mu sync.Mutex
	var all []time.Duration
	failed := make(chan error, clients)
	b.ReportAllocs()
	b.ResetTimer()
	for range clients {
		group.Go(func() {
			took, err := rawClient(address, &left)
			if err != nil {
				failed <- err
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, took...)
		})
	}
	group.Wait()
	b.StopTimer()
	select {
	case err := <-failed:
		b.Fatal(err)
	default:
	}
	slices.Sort(all)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
	b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "p99-µs")
}

// rawClient sends requests over one connection while there are any left.
func rawClient(address string, left *atomic.Int64) ([]time.Duration, error) {
	nc, err := (&net.Dialer{Timeout: 5 * time.Second}).Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	defer func() { _ = nc.Close() }()
	_ = nc.SetDeadline(time.Now().Add(5 * time.Minute))
	br := bufio.NewReader(nc)
	request := []byte("GET /orders/42 HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: bench\r\nAccept: */*\r\nAccept-Encoding: gzip\r\n\r\n")
	var took []time.Duration
	for left.Add(-1) >= 0 {
		begin := time.Now()
		if _, err := nc.Write(request); err != nil {
			return took, err
		}
		if err := readRaw(br); err != nil {
			return took, err
		}
		took = append(took, time.Since(begin))
	}
	return took, nil
}

// readRaw reads a response 200 whose body is 5 bytes long.
func readRaw(br *bufio.Reader) error {
	for first := true; ; first = false {
		line, err := br.ReadSlice('\n')
		if err != nil {
			return err
		}
		if first && !strings.HasPrefix(string(line), "HTTP/1.1 200") {
			return fmt.Errorf("got %q", line)
		}
		if len(line) == 2 {
			_, err := br.Discard(5)
			return err
		}
	}
}

// rawTarget answers every request alike and costs next to nothing.
func rawTarget(b *testing.B) string {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(b, err)
	b.Cleanup(func() { _ = l.Close() })
	response := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello")
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = nc.Close() }()
				br := bufio.NewReader(nc)
				for {
					line, err := br.ReadSlice('\n')
					if err != nil {
						return
					}
					if len(line) == 2 {
						if _, err := nc.Write(response); err != nil {
							return
						}
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

// slipwayProxy is the proxy as it runs: controlled over gRPC, counting requests.
func slipwayProxy(b *testing.B, target string) string {
	b.Helper()
	a, err := proxyapp.New(b.Context(), proxyapp.Config{
		Listen: grpcserver.Config{Addr: "127.0.0.1:0"}, RoutesDir: b.TempDir(), MetricsPeriod: time.Second,
	}, slog.New(slog.DiscardHandler))
	check(b, err)
	check(b, a.Start(b.Context()))
	b.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		a.Stop(ctx)
	})
	conn, err := grpcclient.Dial(grpcclient.Config{Target: a.Addr(), Name: "proxy"})
	check(b, err)
	defer func() { _ = conn.Close() }()
	address := freeAddress(b)
	check(b, trafficproxy.New(trafficpb.NewTrafficServiceClient(conn)).Apply(b.Context(), 1, traffic.Routes{
		Service:      "bench/web",
		Listeners:    []traffic.Listener{{Name: "production", Address: address, Forward: []traffic.WeightedTargetGroup{{TargetGroup: "web", Weight: 1000}}}},
		TargetGroups: []traffic.TargetGroup{{Name: "web", Targets: []traffic.Target{{ID: "web-1", Address: target}}}},
	}))
	return address
}

// reverseProxy is what the standard library has, set up for throughput.
func reverseProxy(b *testing.B, target string) string {
	b.Helper()
	buffers := &buffers{pool: sync.Pool{New: func() any { buf := make([]byte, 32<<10); return &buf }}}
	transport := &http.Transport{MaxIdleConnsPerHost: 1024, DisableCompression: true}
	s := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: target})
			r.Out.Host = r.In.Host
			r.SetXForwarded()
		},
		Transport: transport, BufferPool: buffers,
	})
	b.Cleanup(func() {
		transport.CloseIdleConnections()
		s.Close()
	})
	return s.Listener.Addr().String()
}

type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte  { return *b.pool.Get().(*[]byte) }
func (b *buffers) Put(p []byte) { b.pool.Put(&p) }

// haproxy is HAProxy with as many threads as there are processors.
func haproxy(b *testing.B, target string) string {
	b.Helper()
	program, err := exec.LookPath("haproxy")
	if err != nil {
		b.Skip("haproxy is not installed")
	}
	address := freeAddress(b)
	file := filepath.Join(b.TempDir(), "haproxy.cfg")
	check(b, os.WriteFile(file, fmt.Appendf(nil, `defaults
  mode http
  option forwardfor
  timeout connect 2s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend f
  bind %s
  default_backend b
backend b
  balance leastconn
  server s %s
`, address, target), 0o600))
	cmd := exec.CommandContext(b.Context(), program, "-db", "-f", file)
	cmd.Stderr = io.Discard
	check(b, cmd.Start())
	b.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	deadline := time.Now().Add(5 * time.Second)
	for {
		nc, err := (&net.Dialer{Timeout: time.Second}).DialContext(b.Context(), "tcp", address)
		if err == nil {
			_ = nc.Close()
			return address
		}
		if time.Now().After(deadline) {
			b.Fatal(err)
		}
		<-time.After(10 * time.Millisecond)
	}
}
