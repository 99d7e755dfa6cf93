package docker

import (
	"context"
	"errors"
	"log/slog"
	"os"
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
	lock    *os.File
	pulls   singleflight.Group

	// spawn runs f in a goroutine that Close waits for, with a context that Close ends.
	spawn func(f func(context.Context))
	wait  func()

	mu     sync.Mutex
	closed bool
	tasks  map[string]*keeper
	// ordered are the services whose orders are known: on disk when the driver was opened, or given since.
	ordered map[string]bool
}

// New opens the state folder, takes back the tasks of an earlier driver and goes on with them. An engine that is away is
// waited for; one that is too old is problem.FailedPrecondition, as is a folder that another driver uses. The driver works
// until Close.
func New(cfg Config, log *slog.Logger) (*Driver, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := cfg.makeDirs(); err != nil {
		return nil, err
	}
	lock, err := lockDir(cfg.Dir)
	if err != nil {
		return nil, err
	}
	d := &Driver{cfg: cfg, log: log, lock: lock, feed: feed.New(), tasks: map[string]*keeper{}, ordered: map[string]bool{}}
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	d.spawn = func(f func(context.Context)) { group.Go(func() { f(ctx) }) }
	d.wait = func() { cancel(); group.Wait() }
	if err := d.open(ctx); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	for _, e := range d.engines {
		d.spawn(e.run)
	}
	return d, nil
}

// open meets the engines and takes back the tasks of an earlier driver: those with a record, those that only their engine
// knows, and then those that were ordered but not begun.
func (d *Driver) open(ctx context.Context) error {
	var err error
	if d.orders, err = state.OpenOrders(d.disk, d.cfg.servicesDir()); err != nil {
		return err
	}
	for service := range d.orders.Services() {
		d.ordered[service] = true
	}
	for _, cfg := range d.cfg.Engines {
		e, err := newEngine(d, cfg)
		if err != nil {
			return err
		}
		d.engines = append(d.engines, e)
	}
	for _, e := range d.engines {
		if err := d.unlessAway(e, e.meet(ctx)); err != nil {
			return err
		}
	}
	if err := d.load(); err != nil {
		return err
	}
	for _, e := range d.engines {
		if e.answers.Load() {
			if err := d.unlessAway(e, e.reconcile(ctx)); err != nil {
				return err
			}
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for service, record := range d.orders.Services() {
		for id, set := range record.Sets {
			d.apply(state.Key{Service: service, ID: id}, set)
		}
	}
	return nil
}

// unlessAway is the error, except that the driver goes on without an engine that is away.
func (d *Driver) unlessAway(e *engine, err error) error {
	if !errors.Is(err, problem.Unavailable) {
		return err
	}
	e.answers.Store(false)
	d.log.Warn("A Docker engine is away; going on without it.", "engine", e.Name, "error", err)
	return nil
}

// load takes back the tasks that have a record.
func (d *Driver) load() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return state.Load(d.cfg.tasksDir(), func(r *record) error {
		set, _ := d.orders.Set(r.key())
		d.keep(*r, set.Lists(r.Task.Name), loaded)
		return nil
	})
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
	return errors.Join(append(errs, d.lock.Close())...)
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
