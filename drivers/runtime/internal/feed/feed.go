// Package feed fans the tasks of a runtime driver out to its watchers. A writer never waits for a watcher; changes
// of one task that a watcher has not taken yet become one, except that a task's last state is always shown before
// the task is removed. It knows nothing about how tasks run and imports the port only.
package feed

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/slipway-deploy/slipway/drivers/runtime"
)

// Feed holds the current state of every task. All methods are safe for concurrent use. A task's slices and
// pointers must not be changed after Set.
type Feed struct {
	mu       sync.Mutex
	tasks    map[string]runtime.Task
	watchers map[*watcher]struct{}
	closed   error
}

// watcher is one Watch under way; its fields are guarded by the feed's lock.
type watcher struct {
	wake    chan struct{} // holds one token while there is something to take
	pending map[string]*change
	broken  error
}

// change is what a watcher has not seen of one name: its state, then perhaps its removal, then perhaps a new task.
type change struct {
	before  *runtime.Task
	removed bool
	after   *runtime.Task
}

// New returns an empty feed.
func New() *Feed {
	return &Feed{tasks: make(map[string]runtime.Task), watchers: make(map[*watcher]struct{})}
}

// Set makes task the current state of its name.
func (f *Feed) Set(task runtime.Task) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tasks[task.Name] = task
	f.each(task.Name, func(c *change) {
		if c.removed {
			c.after = &task
		} else {
			c.before = &task
		}
	})
}

// Remove forgets the task. An unknown name is no change.
func (f *Feed) Remove(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.tasks[name]; !ok {
		return
	}
	delete(f.tasks, name)
	f.each(name, func(c *change) {
		if c.after != nil {
			c.before, c.after = c.after, nil
		}
		c.removed = true
	})
}

// Get returns the current state of a task.
func (f *Feed) Get(name string) (runtime.Task, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	task, ok := f.tasks[name]
	return task, ok
}

// Break ends every Watch under way with err; new ones may begin.
func (f *Feed) Break(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.end(err)
}

// Close ends every Watch, also later ones, with err.
func (f *Feed) Close(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = err
	f.end(err)
}

// Watch is Runtime.Watch.
func (f *Feed) Watch(ctx context.Context, fn func(runtime.Update)) error {
	w, snapshot, err := f.join()
	if err != nil {
		return err
	}
	defer f.leave(w)
	if ctx.Err() != nil {
		return nil
	}
	fn(snapshot)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.wake:
		}
		updates, err := f.take(w)
		for _, u := range updates {
			if ctx.Err() != nil {
				return nil
			}
			fn(u)
		}
		if err != nil {
			return err
		}
	}
}

func (f *Feed) join() (*watcher, runtime.Update, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed != nil {
		return nil, runtime.Update{}, f.closed
	}
	w := &watcher{wake: make(chan struct{}, 1), pending: make(map[string]*change)}
	f.watchers[w] = struct{}{}
	snapshot := runtime.Update{Snapshot: true}
	for _, task := range f.tasks {
		snapshot.Tasks = append(snapshot.Tasks, task)
	}
	byName(snapshot.Tasks)
	return w, snapshot, nil
}

func (f *Feed) leave(w *watcher) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.watchers, w)
}

// take returns what the watcher has not seen, as up to three updates in order.
func (f *Feed) take(w *watcher) ([]runtime.Update, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var before, removed, after runtime.Update
	for name, c := range w.pending {
		if c.before != nil {
			before.Tasks = append(before.Tasks, *c.before)
		}
		if c.removed {
			removed.Removed = append(removed.Removed, name)
		}
		if c.after != nil {
			after.Tasks = append(after.Tasks, *c.after)
		}
	}
	clear(w.pending)
	byName(before.Tasks)
	slices.Sort(removed.Removed)
	byName(after.Tasks)
	var updates []runtime.Update
	for _, u := range []runtime.Update{before, removed, after} {
		if len(u.Tasks)+len(u.Removed) > 0 {
			updates = append(updates, u)
		}
	}
	return updates, w.broken
}

// each notes a change of name for every watcher. The lock is held.
func (f *Feed) each(name string, note func(*change)) {
	for w := range f.watchers {
		c := w.pending[name]
		if c == nil {
			c = &change{}
			w.pending[name] = c
		}
		note(c)
		w.notify()
	}
}

// end breaks every watcher. The lock is held.
func (f *Feed) end(err error) {
	for w := range f.watchers {
		w.broken = err
		w.notify()
	}
}

func (w *watcher) notify() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func byName(tasks []runtime.Task) {
	slices.SortFunc(tasks, func(a, b runtime.Task) int { return cmp.Compare(a.Name, b.Name) })
}
