package engine

import (
	"time"

	"github.com/slipway-deploy/slipway/services/alarms/internal/alarm"
	"github.com/slipway-deploy/slipway/services/alarms/internal/store"
)

const maxPending = 100_000 // datapoints that wait for Postgres; the oldest are dropped

// pending is what waits to be saved. Changes of state are never dropped; datapoints are, oldest first, when too many wait.
type pending struct {
	points  map[pointKey]*store.Datapoint
	order   []pointKey
	dropped int
	states  []*stateChange
}

type pointKey struct {
	metric alarm.Metric
	second int64
}

type stateChange struct {
	alarm store.Alarm
	item  store.HistoryItem
}

func newPending() pending { return pending{points: map[pointKey]*store.Datapoint{}} }

// add gathers the samples of one metric and second.
func (p *pending) add(d store.Datapoint) {
	key := pointKey{d.Metric, d.Time.Unix()}
	if have := p.points[key]; have != nil {
		have.Bucket.Merge(d.Bucket)
		return
	}
	own := store.Datapoint{Metric: d.Metric, Time: d.Time.Truncate(time.Second)}
	own.Bucket.Merge(d.Bucket)
	p.points[key] = &own
	p.order = append(p.order, key)
	if len(p.order) > maxPending {
		delete(p.points, p.order[0])
		p.order = p.order[1:]
		p.dropped++
	}
}

// takePoints hands over the datapoints that wait, oldest first, and how many were dropped.
func (p *pending) takePoints() (points []store.Datapoint, dropped int) {
	points = make([]store.Datapoint, 0, len(p.order))
	for _, key := range p.order {
		points = append(points, *p.points[key])
	}
	dropped = p.dropped
	p.points, p.order, p.dropped = map[pointKey]*store.Datapoint{}, nil, 0
	return points, dropped
}

// giveBack puts datapoints that could not be saved before those that came in since.
func (p *pending) giveBack(points []store.Datapoint) {
	since, dropped := p.takePoints()
	p.dropped = dropped
	for _, d := range points {
		p.add(d)
	}
	for _, d := range since {
		p.add(d)
	}
}
