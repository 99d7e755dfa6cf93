// Package requestmetrics counts what goes through the proxy, for each target group, and pushes it in the terms of an
// Application Load Balancer: the metric names, statistics and dimensions of the CloudWatch namespace
// AWS/ApplicationELB. It knows no HTTP beyond status codes and no transport: a Sink takes the data.
package requestmetrics

import (
	"math/bits"
	"sync"
	"time"
)

// Group counts the requests of one target group. All methods are safe for concurrent use.
type Group struct {
	mu  sync.Mutex
	now counts
}

// counts is what happened in a period.
type counts struct {
	requests   int64
	target     [6]int64 // answers of targets by first digit of the status
	elb5xx     int64    // answers of the proxy itself
	connectErr int64
	times      *histogram // nil when there is none
}

// Request counts a request for which a target was chosen.
func (g *Group) Request() {
	g.mu.Lock()
	g.now.requests++
	g.mu.Unlock()
}

// Answered counts the answer of a target, which took so long from the request's start to the response's header.
func (g *Group) Answered(status int, took time.Duration) {
	class := status / 100
	g.mu.Lock()
	defer g.mu.Unlock()
	if class >= 0 && class < len(g.now.target) {
		g.now.target[class]++
	}
	if g.now.times == nil {
		g.now.times = &histogram{}
	}
	g.now.times.add(took)
}

// Failed counts a 5xx that the proxy answered in place of a target.
func (g *Group) Failed() {
	g.mu.Lock()
	g.now.elb5xx++
	g.mu.Unlock()
}

// ConnectFailed counts a connection to a target that could not be made.
func (g *Group) ConnectFailed() {
	g.mu.Lock()
	g.now.connectErr++
	g.mu.Unlock()
}

// take returns what was counted since the last call.
func (g *Group) take() counts {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := g.now
	g.now = counts{}
	return c
}

// merge adds o to c.
func (c *counts) merge(o counts) {
	c.requests += o.requests
	c.elb5xx += o.elb5xx
	c.connectErr += o.connectErr
	for i := range c.target {
		c.target[i] += o.target[i]
	}
	if o.times == nil {
		return
	}
	if c.times == nil {
		c.times = &histogram{}
	}
	c.times.merge(o.times)
}

const (
	subBits    = 4  // 16 buckets for each doubling: a bucket is at most 6.25 % wide
	lowestBit  = 10 // all below 1 µs is one bucket
	highestBit = 42 // all above 73 minutes is one bucket
	buckets    = (highestBit-lowestBit)<<subBits + 2
)

// histogram holds times in buckets that keep their exact sum, so that sums and averages are exact and a percentile is
// off by less than a bucket.
type histogram struct {
	count [buckets]int64
	sum   [buckets]time.Duration
}

func (h *histogram) add(d time.Duration) {
	i := bucket(d)
	h.count[i]++
	h.sum[i] += d
}

func (h *histogram) merge(o *histogram) {
	for i, n := range &o.count {
		if n != 0 {
			h.count[i] += n
			h.sum[i] += o.sum[i]
		}
	}
}

// values returns the mean of each bucket in seconds and how often it occurred.
func (h *histogram) values() (values, counts []float64) {
	for i, n := range &h.count {
		if n != 0 {
			values = append(values, h.sum[i].Seconds()/float64(n))
			counts = append(counts, float64(n))
		}
	}
	return values, counts
}

func bucket(d time.Duration) int {
	n := uint64(max(d, 0))
	top := bits.Len64(n) - 1
	switch {
	case top < lowestBit:
		return 0
	case top >= highestBit:
		return buckets - 1
	}
	sub := int(n>>(top-subBits)) & (1<<subBits - 1)
	return 1 + (top-lowestBit)<<subBits + sub
}
