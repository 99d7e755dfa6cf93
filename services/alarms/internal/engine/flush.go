package engine

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/services/alarms/internal/store"
)

const (
	flushPeriod  = 250 * time.Millisecond
	flushTimeout = 5 * time.Second
	stopTimeout  = 5 * time.Second
	statesBatch  = 100
)

func (e *Engine) flushLoop(ctx context.Context) {
	ticker := time.NewTicker(flushPeriod)
	defer ticker.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			err = e.flush(ctx)
		case <-e.shared.told:
			err = e.catchUp(ctx)
		}
		if err != nil && ctx.Err() == nil {
			states, points := e.waiting()
			e.cfg.Log.Warn("cannot save alarms; trying again", "states", states, "datapoints", points, "cause", err)
		}
	}
}

// flush saves what waits; what cannot be saved waits on. States and datapoints do not wait for each other.
func (e *Engine) flush(ctx context.Context) error {
	return e.do(ctx, e.takeOver, e.flushStates, e.flushPoints, e.follow, e.resync)
}

// catchUp takes over what others did. It saves nothing: messages of others do not make the batches smaller.
func (e *Engine) catchUp(ctx context.Context) error { return e.do(ctx, e.takeOver, e.follow, e.resync) }

func (e *Engine) do(ctx context.Context, steps ...func(context.Context) error) error {
	if err := e.begin(ctx); err != nil {
		return err
	}
	defer e.end()
	var errs []error
	for _, step := range steps {
		bounded, cancel := context.WithTimeout(ctx, flushTimeout)
		errs = append(errs, step(bounded))
		cancel()
	}
	return errors.Join(errs...)
}

func (e *Engine) flushStates(ctx context.Context) error {
	e.mu.Lock()
	states := e.savable(slices.Clone(e.pending.states))
	e.mu.Unlock()
	save := func(batch []*stateChange) error {
		return e.cfg.Store.InTx(ctx, func(tx pgx.Tx) error { return e.saveStates(ctx, tx, batch) })
	}
	refused := func(c *stateChange, err error) {
		e.cfg.Log.Error("the database refuses a state of an alarm", "alarm", c.alarm.Name, "state", c.alarm.State, "cause", err)
	}
	for batch := range slices.Chunk(states, statesBatch) {
		done, err := saveAll(batch, save, refused)
		e.statesSaved(batch[:done])
		if err != nil {
			return err
		}
		e.tellOf(ctx, batch)
	}
	return nil
}

func (e *Engine) saveStates(ctx context.Context, tx pgx.Tx, states []*stateChange) error {
	for _, c := range states {
		if err := e.cfg.Store.StateSave(ctx, tx, c.alarm, c.item, e.fence(c.alarm.Name)); err != nil {
			return err
		}
	}
	return nil
}

func (e *Engine) statesSaved(done []*stateChange) {
	if len(done) == 0 {
		return
	}
	saved := make(map[*stateChange]bool, len(done))
	for _, c := range done {
		saved[c] = true
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.pending.states = slices.DeleteFunc(e.pending.states, func(c *stateChange) bool { return saved[c] })
}

// flushPoints saves the datapoints that wait. Those whose save succeeded without an answer are saved again and count twice after
// a restart: better than not at all.
func (e *Engine) flushPoints(ctx context.Context) error {
	e.mu.Lock()
	points, dropped := e.pending.takePoints()
	e.mu.Unlock()
	if dropped > 0 {
		e.cfg.Log.Warn("datapoints were dropped because the database was away for too long", "datapoints", dropped)
	}
	if len(points) == 0 {
		return nil
	}
	done, err := saveAll(points, func(batch []store.Datapoint) error { return e.cfg.Store.DatapointsAdd(ctx, batch) },
		func(p store.Datapoint, err error) {
			e.cfg.Log.Error("the database refuses a datapoint", "time", p.Time, "sum", p.Bucket.Sum, "count", p.Bucket.Count, "cause", err)
		})
	if err != nil {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.pending.giveBack(points[done:])
		return err
	}
	e.tell(ctx, newPoints)
	return nil
}

// saveAll saves items at once. When the database refuses them it saves halves, until a bad item stands alone and is given up.
// Another error ends it; done is how many items need no more work.
func saveAll[T any](items []T, save func([]T) error, refused func(T, error)) (done int, err error) {
	err = save(items)
	switch {
	case err == nil:
		return len(items), nil
	case !store.Refused(err):
		return 0, err
	case len(items) == 1:
		refused(items[0], err)
		return 1, nil
	}
	half := len(items) / 2
	if done, err = saveAll(items[:half], save, refused); err != nil {
		return done, err
	}
	done, err = saveAll(items[half:], save, refused)
	return half + done, err
}

func (e *Engine) waiting() (states, points int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.pending.states), len(e.pending.order)
}
