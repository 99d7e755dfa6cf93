// Package docker runs tasks as containers of one or more Docker engines. The containers outlive the driver, and a driver that
// is started again on the same state folder finds them and goes on. It knows nothing of services' deployments or traffic.
//
// What is kept where makes a crash at any instruction harmless:
//
//   - services/<service>.json in the state folder: the fence and the ordered task sets, with the images that were resolved.
//     Writing it accepts an order.
//   - tasks/<task>.json: a task that was begun, on which engine, and how it ended. It is written before the first container is
//     made; a driver that finds it but no container counts the task as failed, for it may have run.
//   - labels of the containers: who they are. A container's name follows from its task's, so the engine itself refuses a
//     second one. Containers without a record, after the state folder was lost, are adopted by their labels.
//
// The containers of one task share a network, that of the first, as in ECS's awsvpc mode.
package docker

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	"github.com/slipway-deploy/slipway/drivers/runtime/internal/feed"
	"github.com/slipway-deploy/slipway/drivers/runtime/internal/state"
	"github.com/slipway-deploy/slipway/platform/problem"
)

var _ runtime.Runtime = (*Driver)(nil)

// Driver is the Docker runtime.
type Driver struct {
	cfg     Config
	log     *slog.Logger
	disk    state.Disk
	orders  *state.Orders
	feed    *feed.Feed
	engines []*engine
	pulls   singleflight.Group

	// spawn runs f in a goroutine that Close waits for, with a context that Close ends.
	spawn func(f func(context.Context))
	wait  func()

	mu     sync.Mutex
	closed bool
	tasks  map[string]*keeper
}

// New opens the state folder, takes back the tasks of an earlier driver and goes on with them. An engine that is away is
// waited for; one that is too old is an error. The driver works until Close.
func New(cfg Config, log *slog.Logger) (*Driver, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := cfg.makeDirs(); err != nil {
		return nil, err
	}
	d := &Driver{cfg: cfg, log: log, feed: feed.New(), tasks: map[string]*keeper{}}
	if d.orders, err = state.OpenOrders(d.disk, cfg.servicesDir()); err != nil {
		return nil, err
	}
	for _, e := range cfg.Engines {
		engine, err := newEngine(d, e)
		if err != nil {
			return nil, err
		}
		d.engines = append(d.engines, engine)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	d.spawn = func(f func(context.Context)) { group.Go(func() { f(ctx) }) }
	d.wait = func() { cancel(); group.Wait() }
	if err := d.adopt(ctx); err != nil {
		d.wait()
		return nil, err
	}
	for _, e := range d.engines {
		d.spawn(e.run)
	}
	return d, nil
}

// adopt meets the engines and takes back the tasks of an earlier driver.
func (d *Driver) adopt(ctx context.Context) error {
	for _, e := range d.engines {
		if err := e.meet(ctx); err != nil {
			if !errors.Is(err, problem.Unavailable) {
				return err
			}
			d.log.Warn("A Docker engine is away; going on without it.", "engine", e.Name, "error", err)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	err := state.Load(d.cfg.tasksDir(), func(r *record) error {
		set, _ := d.orders.Set(r.key())
		d.keep(*r, set.Lists(r.Task.Name), loaded)
		return nil
	})
	if err != nil {
		return err
	}
	for service, record := range d.orders.Services() {
		for id, set := range record.Sets {
			d.apply(state.Key{Service: service, ID: id}, set)
		}
	}
	return nil
}

// Close ends the driver's work and leaves every container running.
func (d *Driver) Close() error {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return nil
	}
	d.closed = true
	d.mu.Unlock()
	d.wait()
	d.feed.Close(errClosed())
	var errs []error
	for _, e := range d.engines {
		errs = append(errs, e.cli.Close())
	}
	return errors.Join(errs...)
}

// Watch is Runtime.Watch. It breaks while no engine answers: what the tasks are is not known then.
func (d *Driver) Watch(ctx context.Context, f func(runtime.Update)) error {
	if err := d.away(); err != nil {
		return err
	}
	return d.feed.Watch(ctx, f)
}

// away is an error while no engine answers.
func (d *Driver) away() error {
	for _, e := range d.engines {
		if e.answers.Load() {
			return nil
		}
	}
	return problem.New(problem.Unavailable, "SERVICE_UNAVAILABLE", "no Docker engine answers (%s)", d.engines[0].cli.DaemonHost())
}

func errClosed() error {
	return problem.New(problem.Unavailable, "SERVICE_UNAVAILABLE", "the Docker runtime is closed")
}

func now() time.Time { return time.Now().UTC().Round(0) }
