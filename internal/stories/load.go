package stories

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// load is clients that send one request after the other to a listener, and count what comes back.
type load struct {
	sent, lost, failed atomic.Int64 // lost: no answer, or the data plane's own 5xx; failed: the application's 5xx
	mu                 sync.Mutex
	lastLoss           string
	stop               context.CancelFunc
	done               sync.WaitGroup
}

const requestTimeout = 10 * time.Second

// startLoad begins; each client reuses its connection, as real clients do.
func startLoad(address string, clients int) *load {
	ctx, stop := context.WithCancel(context.Background())
	l := &load{stop: stop}
	for range clients {
		l.done.Go(func() { l.client(ctx, "http://"+address+"/") })
	}
	return l
}

func (l *load) client(ctx context.Context, url string) {
	transport := &http.Transport{MaxIdleConnsPerHost: 1, DisableCompression: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: requestTimeout}
	pace := time.NewTicker(time.Millisecond)
	defer pace.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-pace.C:
			l.request(client, url)
		}
	}
}

// request is never cut short by the end of the load: what was sent is counted.
func (l *load) request(client *http.Client, url string) {
	l.sent.Add(1)
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	if err != nil {
		l.lose(err.Error())
		return
	}
	resp, err := client.Do(req)
	if err != nil {
		l.lose(err.Error())
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	switch {
	case err != nil:
		l.lose(err.Error())
	case resp.StatusCode >= 502 && resp.StatusCode <= 504:
		l.lose(resp.Status + ": " + string(body))
	case resp.StatusCode >= 500:
		l.failed.Add(1)
	}
}

func (l *load) lose(why string) {
	l.lost.Add(1)
	l.mu.Lock()
	l.lastLoss = why
	l.mu.Unlock()
}

func (l *load) end() {
	l.stop()
	l.done.Wait()
}

// version asks an address which version answers.
func version(ctx context.Context, address string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/", nil)
	if err != nil {
		return "", err
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var answer struct{ Version string }
	err = json.NewDecoder(io.LimitReader(resp.Body, 1<<16)).Decode(&answer)
	return answer.Version, err
}
