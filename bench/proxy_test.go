package bench

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkProxy sends small GET requests over kept connections straight to a target, through our proxy, through a plain
// httputil.ReverseProxy with large pools, and through HAProxy where it is installed, each a process of its own. Clients and target
// speak raw TCP, so that next to all the time is the proxy's, and share the machine with it. It reports the CPU of the proxy's
// process for a request, in user and kernel mode, and what it allocates.
//
// Limit: as many requests a second as the ReverseProxy, and no higher p99.
func BenchmarkProxy(b *testing.B) {
	target := rawTarget(b, "hello")
	for _, peer := range []struct {
		name  string
		start func(*testing.B) *proxied
	}{
		{"direct", func(*testing.B) *proxied { return &proxied{address: target} }},
		{"slipway", func(b *testing.B) *proxied {
			p := startSlipway(b, target, target)
			p.proxied.address = p.listener
			return p.proxied
		}},
		{"ReverseProxy", func(b *testing.B) *proxied { return startProxy(b, "reverse "+target) }},
		{"HAProxy", func(b *testing.B) *proxied { return haproxy(b, target) }},
	} {
		b.Run(peer.name, func(b *testing.B) {
			p := peer.start(b)
			for _, clients := range []int{1, 64} {
				b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) { load(b, p, clients) })
			}
		})
	}
}

// load sends b.N requests, shared by the clients, and reports the rate, the latencies and what the proxy needs for a request.
func load(b *testing.B, p *proxied, clients int) {
	var left atomic.Int64
	left.Store(int64(b.N))
	var group sync.WaitGroup
	var mu sync.Mutex
	var all []time.Duration
	failed := make(chan error, clients)
	begin := p.usage(b)
	b.ResetTimer()
	for range clients {
		group.Go(func() {
			took, err := rawClient(p.address, &left)
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
	p.usage(b).report(b, begin)
	slices.Sort(all)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
	b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "p99-µs")
}

const rawRequest = "GET /orders/42 HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: bench\r\nAccept: */*\r\nAccept-Encoding: gzip\r\n\r\n"

// rawClient sends requests over one connection while there are any left.
func rawClient(address string, left *atomic.Int64) ([]time.Duration, error) {
	nc, err := (&net.Dialer{Timeout: 5 * time.Second}).Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	defer func() { _ = nc.Close() }()
	_ = nc.SetDeadline(time.Now().Add(5 * time.Minute))
	br := bufio.NewReader(nc)
	request := []byte(rawRequest)
	var took []time.Duration
	for left.Add(-1) >= 0 {
		begin := time.Now()
		if _, err := nc.Write(request); err != nil {
			return took, err
		}
		if _, err := readRaw(br); err != nil {
			return took, err
		}
		took = append(took, time.Since(begin))
	}
	return took, nil
}

// readRaw reads a response 200 whose body is 5 bytes long.
func readRaw(br *bufio.Reader) (body string, err error) {
	for first := true; ; first = false {
		line, err := br.ReadSlice('\n')
		if err != nil {
			return "", err
		}
		if first && !strings.HasPrefix(string(line), "HTTP/1.1 200") {
			return "", fmt.Errorf("got %q", line)
		}
		if len(line) == 2 {
			var body [5]byte
			_, err := io.ReadFull(br, body[:])
			return string(body[:]), err
		}
	}
}

// rawTarget answers every request alike, with a body of 5 bytes, and costs next to nothing.
func rawTarget(b *testing.B, body string) string {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(b, err)
	b.Cleanup(func() { _ = l.Close() })
	response := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n" + body)
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

// haproxy is HAProxy with as many threads as there are processors.
func haproxy(b *testing.B, target string) *proxied {
	b.Helper()
	address := freeAddress(b)
	pid := startHAProxy(b, fmt.Sprintf(`defaults
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
`, address, target), address)
	return &proxied{b: b, address: address, pid: pid}
}
