package faults

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
)

type grpcConn = grpc.ClientConn

func itoa(n int) string { return strconv.Itoa(n) }

const (
	clients = 4 // of each service, closed loop
	pace    = 5 * time.Millisecond
)

// load is requests to a service's production listener, and which were lost.
type load struct {
	sent atomic.Int64
	mu   sync.Mutex
	lost []loss
	down int // how many were lost while the proxy was down
}

// loss is a request without an answer of the application.
type loss struct {
	at  time.Time
	why string
}

func (l *load) run(ctx context.Context, address string) {
	var done sync.WaitGroup
	for range clients {
		done.Go(func() {
			client := newClient()
			tick := time.NewTicker(pace)
			defer tick.Stop()
			for ctx.Err() == nil {
				if _, why := ask(client, address); why != "" {
					l.mu.Lock()
					l.lost = append(l.lost, loss{time.Now(), why})
					l.mu.Unlock()
				}
				l.sent.Add(1)
				<-tick.C
			}
		})
	}
	done.Wait()
}

func newClient() *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}, Timeout: 10 * time.Second}
}

// ask sends a request, which is not cut short, and returns the version that answered, or why none did.
func ask(client *http.Client, address string) (version, why string) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+address+"/", nil)
	if err != nil {
		return "", err.Error()
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	if err != nil {
		return "", err.Error()
	}
	var answer struct{ Version string }
	if resp.StatusCode != http.StatusOK || json.Unmarshal(body, &answer) != nil {
		return "", resp.Status + ": " + string(body)
	}
	return answer.Version, ""
}

// outside takes the requests that were lost so far while the proxy was not down.
func (l *load) outside(proxy *program) (lost []loss) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, x := range l.lost {
		if proxy.wasDown(x.at) {
			l.down++
			continue
		}
		lost = append(lost, x)
	}
	l.lost = nil
	return lost
}
