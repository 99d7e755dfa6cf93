package docker

import (
	"context"
	"time"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	"github.com/slipway-deploy/slipway/drivers/runtime/internal/state"
)

// origin says how a task came to this driver.
type origin bool

const (
	fresh  origin = false // ordered from this driver
	loaded origin = true  // of an earlier one
)

// keeper takes one task through its life. Only its own goroutine touches rec.
type keeper struct {
	d          *Driver
	key        state.Key
	containers []string // their names in the task
	names      []string // and on the engine
	id         identity // of its containers there
	from       origin
	rec        record
	poked      chan struct{} // something may have happened
	stopped    chan struct{} // closed with STOPPED

	// Guarded by the driver's lock.
	listed bool   // its name is in the order
	over   bool   // its name was once not in it: it does not run again
	placed string // its engine

	terminated map[int]bool // containers told to stop by this driver
	unsaved    bool         // the record on disk is older than rec
	delay      time.Duration
}

func (k *keeper) poke() {
	select {
	case k.poked <- struct{}{}:
	default:
	}
}

// order tells what the order says of the task now. The driver's lock is held.
func (k *keeper) order(listed, over bool) {
	k.listed, k.over = listed, k.over || over || !listed
	k.poke()
}

// wanted reports whether the task should run.
func (k *keeper) wanted() bool {
	k.d.mu.Lock()
	defer k.d.mu.Unlock()
	return !k.over
}

func (k *keeper) isListed() bool {
	k.d.mu.Lock()
	defer k.d.mu.Unlock()
	return k.listed
}

func (k *keeper) engine() *engine { return k.d.engine(k.rec.Engine) }

// run works until the task is forgotten or ctx ends.
func (k *keeper) run(ctx context.Context) {
	for {
		wait, done, err := k.step(ctx)
		if done || ctx.Err() != nil {
			return
		}
		switch {
		case err == nil:
			k.delay = 0
		case k.delay == 0:
			k.d.log.Warn("A task cannot go on; trying again.", "task", k.rec.Task.Name, "engine", k.rec.Engine, "error", err)
			fallthrough
		default:
			k.delay = min(max(2*k.delay, firstRetry), lastRetry)
			wait = k.delay
		}
		if !pause(ctx, wait, k.poked) {
			return
		}
	}
}

// pause waits for a poke, or until wait has passed; 0 is for ever. It returns false when ctx has ended.
func pause(ctx context.Context, wait time.Duration, poked <-chan struct{}) bool {
	var timer <-chan time.Time
	if wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-ctx.Done():
		return false
	case <-poked:
	case <-timer:
	}
	return true
}

// step does what is to be done now, and returns when to look again and whether the task is forgotten.
func (k *keeper) step(ctx context.Context) (wait time.Duration, done bool, err error) {
	if k.unsaved {
		if err := k.save(); err != nil {
			return 0, false, err
		}
	}
	if k.rec.Task.State == runtime.Pending {
		if err := k.begin(ctx); err != nil {
			return 0, false, err
		}
	}
	if s := k.rec.Task.State; s == runtime.Running || s == runtime.Stopping {
		if wait, err = k.look(ctx); err != nil || k.rec.Task.State != runtime.Stopped {
			return wait, false, err
		}
	}
	if k.rec.Task.State != runtime.Stopped || k.isListed() {
		return wait, false, nil
	}
	if err := k.remove(ctx); err != nil {
		return 0, false, err
	}
	done, err = k.d.release(k)
	return 0, done, err
}

// remove removes what the engine has of the task.
func (k *keeper) remove(ctx context.Context) error {
	e := k.engine()
	if !k.rec.Begun || e == nil {
		return nil
	}
	found, err := e.findAll(ctx, &k.rec, k.d.cfg.Owner)
	if err != nil {
		return err
	}
	for _, s := range found {
		if s.gone {
			continue
		}
		if err := e.removeID(ctx, s.inspect.ID); err != nil {
			return err
		}
	}
	return nil
}

// set takes over a change of the task and publishes it once it is on disk; when that cannot be written now, it is tried again.
func (k *keeper) set(change func(*record)) {
	change(&k.rec)
	k.unsaved = true
	if err := k.save(); err != nil {
		k.d.log.Error("A task's record cannot be written; trying again.", "task", k.rec.Task.Name, "error", err)
	}
}

func (k *keeper) save() error {
	if err := k.d.disk.Write(k.d.cfg.taskPath(k.rec.Task.Name), &k.rec); err != nil {
		return err
	}
	k.unsaved = false
	k.publish()
	return nil
}

func (k *keeper) publish() {
	k.d.feed.Set(k.rec.Task)
	if k.rec.Task.State == runtime.Stopped {
		select {
		case <-k.stopped:
		default:
			close(k.stopped)
		}
	}
}

// fail ends a task that could not be started.
func (k *keeper) fail(reason string) {
	k.set(func(r *record) { r.end(runtime.TaskFailedToStart, reason, nil, now()) })
}
