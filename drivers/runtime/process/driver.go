//go:build linux || darwin

// Package process runs tasks as supervised local processes: the embedded default runtime. Each container is one
// process in a session of its own. The processes outlive the driver, and a driver that is started again on the same
// state folder finds them and goes on. It knows nothing of services' deployments or traffic; it may import the port,
// problem, the feed and its own internal packages.
//
// What is on disk, and in which order it gets there, makes a crash at any instruction harmless:
//
//   - services/<service>.json: the fence and the ordered task sets of a service. Writing it accepts an order.
//   - tasks/<task>.json: a task that was begun. A container is written down as "starting" before its process is
//     started, and with its process id right after. A driver that finds "starting" looks through all processes for
//     the container's token; if there is none, the container counts as failed, for it may have run. So no container
//     is ever started twice, and no process is lost.
//   - logs/<service>/<task>/<container>.log: the processes' output, written by them directly.
//   - lock: held by the driver at work.
//
// CPU and memory limits are not enforced: that takes a container runtime.
package process

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	"github.com/slipway-deploy/slipway/drivers/runtime/internal/feed"
	"github.com/slipway-deploy/slipway/drivers/runtime/internal/state"
	"github.com/slipway-deploy/slipway/drivers/runtime/process/internal/proc"
	"github.com/slipway-deploy/slipway/platform/problem"
)

var _ runtime.Runtime = (*Driver)(nil)

// Driver is the process runtime.
type Driver struct {
	cfg   Config
	log   *slog.Logger
	disk  state.Disk
	boot  string
	lock  *os.File
	feed  *feed.Feed
	ports *portPool
	logs  *logFiles

	// spawn runs f in a goroutine that Close waits for, with a context that Close ends.
	spawn func(f func(context.Context))
	wait  func()

	// mu makes orders one at a time, also while they are written to disk.
	mu       sync.Mutex
	closed   bool
	services map[string]*state.Service
	tasks    map[string]*entry
}

// entry is a task that the driver knows: listed in an order, or not stopped and forgotten yet.
type entry struct {
	set        state.Key
	listed     bool
	containers []string
	sup        *supervisor
}

// New opens the state folder, takes back the tasks of an earlier driver and goes on with them. The driver works
// until Close.
func New(cfg Config, log *slog.Logger) (*Driver, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := cfg.makeDirs(); err != nil {
		return nil, err
	}
	lock, err := lockDir(context.Background(), cfg.Dir)
	if err != nil {
		return nil, err
	}
	d := &Driver{
		cfg: cfg, log: log, disk: state.Disk{At: cfg.at}, lock: lock,
		feed:     feed.New(),
		ports:    newPortPool(cfg.MinPort, cfg.MaxPort),
		logs:     newLogFiles(cfg.LogBytes, log),
		services: make(map[string]*state.Service),
		tasks:    make(map[string]*entry),
	}
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	d.spawn = func(f func(context.Context)) { group.Go(func() { f(ctx) }) }
	d.wait = func() { cancel(); group.Wait() }
	if d.boot, err = proc.BootID(); err == nil {
		err = d.adopt()
	}
	if err != nil {
		d.wait()
		return nil, errors.Join(err, lock.Close())
	}
	d.spawn(d.logs.keepSmall)
	return d, nil
}

// Close ends the driver's work and leaves every process running.
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
	return d.lock.Close()
}

// Watch is Runtime.Watch.
func (d *Driver) Watch(ctx context.Context, f func(runtime.Update)) error {
	return d.feed.Watch(ctx, f)
}

// StopAll deletes every task set and returns when no task is left, or ctx's error. The fences stay.
func (d *Driver) StopAll(ctx context.Context) error {
	if err := d.deleteAll(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	left := make(map[string]bool)
	done := false
	err := d.feed.Watch(ctx, func(u runtime.Update) {
		for _, task := range u.Tasks {
			left[task.Name] = true
		}
		for _, name := range u.Removed {
			delete(left, name)
		}
		if done = len(left) == 0; done {
			cancel()
		}
	})
	if err == nil && !done {
		err = ctx.Err()
	}
	return err
}

func (d *Driver) deleteAll() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return errClosed()
	}
	for _, service := range d.services {
		for id, set := range service.Sets {
			if set.Deleted {
				continue
			}
			if err := d.delete(service.Generation, state.Key{Service: service.Service, ID: id}); err != nil {
				return err
			}
		}
	}
	return nil
}

func errClosed() error {
	return problem.New(problem.Unavailable, "SERVICE_UNAVAILABLE", "the process runtime is closed")
}

func now() time.Time { return time.Now().UTC() }
