package requestmetrics

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/slipway-deploy/slipway/platform/problem"
)

const (
	// maxData is how many data one push may hold (CloudWatch's PutMetricData).
	maxData = 1000
	// maxQueued bounds what waits for a sink that is away: at one push a second two minutes. The oldest go first.
	maxQueued = 128
	// pushTimeout bounds one push.
	pushTimeout = 5 * time.Second
	// longestPause bounds the wait between two tries.
	longestPause = 5 * time.Second
)

// Sink takes metric data. A requestID that comes twice is the same push, sent again.
type Sink interface {
	PutMetricData(ctx context.Context, requestID, namespace string, data []Datum) error
}

// Pusher collects a registry once each period and pushes to a sink. A sink that is slow or away never holds up a
// request: data waits in a bounded queue.
type Pusher struct {
	registry *Registry
	sink     Sink
	period   time.Duration
	log      *slog.Logger

	mu      sync.Mutex
	queue   []push
	dropped int
	wake    chan struct{}
}

type push struct {
	id   string
	data []Datum
}

// NewPusher returns a pusher; Run makes it work.
func NewPusher(registry *Registry, sink Sink, period time.Duration, log *slog.Logger) *Pusher {
	return &Pusher{registry: registry, sink: sink, period: period, log: log, wake: make(chan struct{}, 1)}
}

// Run collects and pushes until ctx ends; then it pushes once more what there is.
func (p *Pusher) Run(ctx context.Context) {
	var sender sync.WaitGroup
	sender.Go(func() { p.send(ctx) })
	p.collect(ctx)
	sender.Wait()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	for {
		next, ok := p.next()
		if !ok || p.sink.PutMetricData(last, next.id, Namespace, next.data) != nil {
			return
		}
	}
}

// collect wakes at each full period of the clock, so that the samples of a second carry that second's time.
func (p *Pusher) collect(ctx context.Context) {
	for {
		now := time.Now()
		due := now.Truncate(p.period).Add(p.period)
		select {
		case <-time.After(due.Sub(now)):
		case <-ctx.Done():
			p.enqueue(p.registry.Collect(time.Now().Truncate(p.period)))
			return
		}
		p.enqueue(p.registry.Collect(due.Add(-p.period)))
	}
}

func (p *Pusher) enqueue(data []Datum) {
	if len(data) == 0 {
		return
	}
	p.mu.Lock()
	for part := range slices.Chunk(data, maxData) {
		p.queue = append(p.queue, push{id: rand.Text(), data: part})
	}
	if over := len(p.queue) - maxQueued; over > 0 {
		p.dropped += over
		p.queue = slices.Delete(p.queue, 0, over)
	}
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// send pushes the oldest first, and again after a pause when it failed.
func (p *Pusher) send(ctx context.Context) {
	away := false
	pause := p.period
	for {
		next, ok := p.next()
		if !ok {
			select {
			case <-p.wake:
				continue
			case <-ctx.Done():
				return
			}
		}
		err := p.push(ctx, next)
		if err == nil {
			if away {
				p.log.InfoContext(ctx, "metrics are pushed again", "dropped_pushes", p.takeDropped())
			}
			away, pause = false, p.period
			continue
		}
		if errors.Is(err, problem.InvalidArgument) {
			p.log.ErrorContext(ctx, "metrics were refused and are dropped", "error", err)
			continue // it would be refused again, and hold up the rest
		}
		if ctx.Err() != nil {
			p.putBack(next)
			return
		}
		if !away {
			p.log.WarnContext(ctx, "metrics cannot be pushed; alarms see no data of this proxy", "error", err)
		}
		away = true
		p.putBack(next)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
		pause = min(2*pause, longestPause)
	}
}

func (p *Pusher) push(ctx context.Context, next push) error {
	ctx, cancel := context.WithTimeout(ctx, pushTimeout)
	defer cancel()
	return p.sink.PutMetricData(ctx, next.id, Namespace, next.data)
}

func (p *Pusher) next() (push, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) == 0 {
		return push{}, false
	}
	first := p.queue[0]
	p.queue = slices.Delete(p.queue, 0, 1)
	return first, true
}

// putBack queues a failed push again, unless newer ones fill the queue.
func (p *Pusher) putBack(failed push) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) >= maxQueued {
		p.dropped++
		return
	}
	p.queue = slices.Insert(p.queue, 0, failed)
}

func (p *Pusher) takeDropped() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.dropped
	p.dropped = 0
	return n
}
