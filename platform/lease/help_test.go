package lease_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/slipway-deploy/slipway/platform/lease"
	"github.com/slipway-deploy/slipway/platform/postgres"
	"github.com/slipway-deploy/slipway/platform/postgres/postgrestest"
)

const schema = "work"

// tables are those of the package's comment.
func tables() fstest.MapFS {
	return fstest.MapFS{
		"000001_leases.up.sql": {Data: []byte(`
CREATE TABLE shard_leases (
    shard       int PRIMARY KEY CHECK (shard >= 0),
    holder      text NOT NULL DEFAULT '',
    generation  bigint NOT NULL DEFAULT 0,
    expire_time timestamptz NOT NULL DEFAULT '-infinity'
);
INSERT INTO shard_leases (shard) SELECT generate_series(0, 63);
CREATE TABLE lease_members (
    member      text PRIMARY KEY,
    expire_time timestamptz NOT NULL
);`)},
		"000001_leases.down.sql": {Data: []byte(`DROP TABLE lease_members; DROP TABLE shard_leases;`)},
	}
}

func newDB(t *testing.T) *postgres.DB {
	t.Helper()
	return postgrestest.New(t, schema, tables())
}

// member is a replica at work.
type member struct {
	*lease.Leases
	stop context.CancelFunc
	done chan struct{}
	told chan string

	mu     sync.Mutex
	held   map[int]bool // by what Acquired and Lost said
	frozen chan struct{}
}

// join starts a member. A message "freeze:<name>" stops it as SIGSTOP would: it does nothing until thaw.
func join(t *testing.T, db *postgres.DB, name string, with ...func(*lease.Config)) *member {
	t.Helper()
	m := &member{done: make(chan struct{}), told: make(chan string, 16), held: map[int]bool{}, frozen: make(chan struct{})}
	cfg := lease.Config{Holder: name, Duration: 600 * time.Millisecond, Log: slog.New(slog.NewTextHandler(t.Output(), nil)).With("member", name)}
	cfg.Acquired = func(shards []int) { m.note(shards, true) }
	cfg.Lost = func(shards []int) { m.note(shards, false) }
	cfg.Told = func(message string) {
		if message == "freeze:"+name {
			<-m.frozen
			return
		}
		m.told <- message
	}
	for _, change := range with {
		change(&cfg)
	}
	m.Leases = lease.New(db, cfg)
	ctx, cancel := context.WithCancel(t.Context())
	m.stop = func() { cancel(); <-m.done }
	go func() {
		defer close(m.done)
		m.Run(ctx)
	}()
	t.Cleanup(m.stop)
	return m
}

func (m *member) note(shards []int, held bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, shard := range shards {
		if m.held[shard] == held {
			panic("a shard is acquired or lost twice")
		}
		m.held[shard] = held
	}
}

// working is how many shards the callbacks say are held.
func (m *member) working() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, held := range m.held {
		if held {
			n++
		}
	}
	return n
}

func (m *member) count() int { return len(m.Held()) }

// eventually polls until the condition holds, and returns how long that took.
func eventually(t *testing.T, what string, holds func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatalf("never: %s", what)
		}
	}
	return time.Since(began)
}
