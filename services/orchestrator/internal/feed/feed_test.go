package feed_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slipway-deploy/slipway/services/orchestrator/internal/feed"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/store"
)

// log is a store of events in memory.
type log struct {
	saved chan struct{}

	mu    sync.Mutex
	list  []store.EventRow
	reads int
	fails error
	seen  int // how many can be read, for those after wait for older transactions; -1 for all
}

func newLog() *log { return &log{saved: make(chan struct{}, 1), seen: -1} }

// add saves events of a service, of the deployment of that name.
func (l *log) add(service string, n int) {
	l.mu.Lock()
	for range n {
		id := int64(len(l.list) + 1)
		l.list = append(l.list, store.EventRow{
			Position: store.Position{Tx: uint64(10 + id/3), ID: id}, Cluster: "default", Service: service,
			Event: rollout.Event{Deployment: "d-" + service, Name: fmt.Sprint(id)},
		})
	}
	l.mu.Unlock()
	select {
	case l.saved <- struct{}{}:
	default:
	}
}

func (l *log) EventList(_ context.Context, f store.EventFilter, after store.Position, limit int) ([]store.EventRow, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reads++
	var list []store.EventRow
	for i, e := range l.list {
		if l.seen >= 0 && i >= l.seen {
			break
		}
		if f.Selects(e) && e.Position.After(after) && len(list) < limit {
			list = append(list, e)
		}
	}
	return list, l.fails
}

func (l *log) EventEnd(context.Context) (store.Position, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.list) == 0 {
		return store.Position{}, l.fails
	}
	return l.list[len(l.list)-1].Position, l.fails
}

func (l *log) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fails = err
}

func (l *log) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reads
}

// fed runs a test in a bubble with a feed of the log.
func fed(t *testing.T, test func(t *testing.T, l *log, f *feed.Feed)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := newLog()
		f := feed.New(l, l.saved, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); f.Run(ctx) }()
		test(t, l, f)
		cancel()
		<-done
	})
}

func subscribe(t *testing.T, f *feed.Feed, filter store.EventFilter, after *store.Position) *feed.Reader {
	t.Helper()
	r, err := f.Subscribe(t.Context(), filter, after)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// names reads events until there have been n.
func names(t *testing.T, r *feed.Reader, n int) []string {
	t.Helper()
	var got []string
	for len(got) < n {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		list, err := r.Next(ctx)
		cancel()
		if err != nil {
			t.Fatalf("after %q: %v", got, err)
		}
		for _, e := range list {
			got = append(got, e.Event.Name)
		}
	}
	return got
}

func upTo(from, to int) (list []string) {
	for i := from; i <= to; i++ {
		list = append(list, fmt.Sprint(i))
	}
	return list
}

func TestAReaderBeginsNowOrAtAPosition(t *testing.T) {
	t.Parallel()
	fed(t, func(t *testing.T, l *log, f *feed.Feed) {
		l.add("web", 3)
		synctest.Wait()
		now, early := subscribe(t, f, store.EventFilter{}, nil), subscribe(t, f, store.EventFilter{}, &store.Position{})
		l.add("web", 2)
		if got := names(t, now, 2); !slices.Equal(got, upTo(4, 5)) {
			t.Errorf("from now: %q", got)
		}
		if got := names(t, early, 5); !slices.Equal(got, upTo(1, 5)) {
			t.Errorf("from the beginning: %q", got)
		}
		if now.Position() != (store.Position{Tx: 11, ID: 5}) {
			t.Errorf("stands at %v", now.Position())
		}
	})
}

func TestEachReaderHasWhatItsFilterSelects(t *testing.T) {
	t.Parallel()
	fed(t, func(t *testing.T, l *log, f *feed.Feed) {
		readers := map[string]*feed.Reader{
			"1 3": subscribe(t, f, store.EventFilter{Cluster: "default", Service: "web"}, nil),
			"2":   subscribe(t, f, store.EventFilter{Deployment: "d-api"}, nil),
			"3":   subscribe(t, f, store.EventFilter{Cluster: "default", Names: []string{"3"}}, nil),
			"1 2": subscribe(t, f, store.EventFilter{Names: []string{"1", "2"}}, nil),
		}
		l.add("web", 1)
		l.add("api", 1)
		l.add("web", 1)
		for want, r := range readers {
			got := names(t, r, (len(want)+1)/2)
			if fmt.Sprint(got) != "["+want+"]" {
				t.Errorf("got %q, want %s", got, want)
			}
		}
		other := subscribe(t, f, store.EventFilter{Cluster: "other"}, nil)
		l.add("web", 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if list, err := other.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("of another cluster: %v, %v", list, err)
		}
	})
}

// A thousand readers cost the store no more than one.
func TestEventsAreReadOnceForAll(t *testing.T) {
	t.Parallel()
	fed(t, func(t *testing.T, l *log, f *feed.Feed) {
		readers := make([]*feed.Reader, 1000)
		for i := range readers {
			readers[i] = subscribe(t, f, store.EventFilter{}, nil)
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			_, _ = readers[i].Next(ctx) // it has caught up
			cancel()
		}
		before := l.count()
		l.add("web", 1)
		for _, r := range readers {
			names(t, r, 1)
		}
		if reads := l.count() - before; reads > 2 {
			t.Errorf("the store was read %d times", reads)
		}
	})
}

// A reader that is slow is told everything all the same.
func TestASlowReaderMissesNothing(t *testing.T) {
	t.Parallel()
	fed(t, func(t *testing.T, l *log, f *feed.Feed) {
		r := subscribe(t, f, store.EventFilter{}, nil)
		l.add("web", 1)
		got := names(t, r, 1)
		for range 40 {
			l.add("web", 100)
			synctest.Wait()
		}
		if got = append(got, names(t, r, 4000)...); !slices.Equal(got, upTo(1, 4001)) {
			t.Errorf("got %d events, the last %q", len(got), got[len(got)-1])
		}
	})
}

func TestAStoreThatFailsIsReadAgain(t *testing.T) {
	t.Parallel()
	fed(t, func(t *testing.T, l *log, f *feed.Feed) {
		r := subscribe(t, f, store.EventFilter{}, nil)
		l.add("web", 1)
		names(t, r, 1)
		l.fail(errors.New("gone"))
		l.add("web", 2)
		synctest.Wait()
		if _, err := f.Subscribe(t.Context(), store.EventFilter{}, nil); err == nil {
			t.Error("a reader begins at an end that is not known")
		}
		l.fail(nil)
		if got := names(t, r, 2); !slices.Equal(got, upTo(2, 3)) {
			t.Errorf("got %q", got)
		}
	})
}

// An event that cannot be read when it is told of, for an older transaction is open, is not a second late.
func TestAnEventThatIsNotVisibleYetIsReadSoonAfter(t *testing.T) {
	t.Parallel()
	fed(t, func(t *testing.T, l *log, f *feed.Feed) {
		r := subscribe(t, f, store.EventFilter{}, nil)
		show := func(n int) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.seen = n
		}
		show(0)
		l.add("web", 1)
		began := time.Now()
		time.AfterFunc(50*time.Millisecond, func() { show(1) })
		names(t, r, 1)
		if took := time.Since(began); took > 150*time.Millisecond {
			t.Errorf("read after %s", took)
		}
	})
}

// Readers that join while events are saved are told each of them once, in order.
func TestReadersJoinWhileEventsAreSaved(t *testing.T) {
	t.Parallel()
	l := newLog()
	f := feed.New(l, l.saved, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { f.Run(ctx) })
	const all = 3000
	running.Go(func() {
		for range all / 3 {
			l.add("web", 3)
		}
	})
	var joined sync.WaitGroup
	for range 50 {
		joined.Go(func() {
			r, err := f.Subscribe(ctx, store.EventFilter{Deployment: "d-web"}, &store.Position{})
			if err != nil {
				t.Error(err)
				return
			}
			defer r.Close()
			if got := names(t, r, all); !slices.Equal(got, upTo(1, all)) {
				t.Errorf("got %d events", len(got))
			}
		})
	}
	joined.Wait()
	cancel()
	running.Wait()
}
