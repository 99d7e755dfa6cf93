// Package lease shares work among the replicas of a service. Work is hashed to a fixed number of shards, and each shard is
// leased to one replica at a time by a row in the service's schema.
//
// A lease is for efficiency: it keeps two replicas from doing the same work, most of the time. A replica that is stopped for
// longer than its lease, or whose write is on its way when the lease ends, can still write after another has taken over. Safety
// comes from the row that is written: from its own version, or from the shard's generation, which grows whenever the shard is
// taken. A write that carries it changes nothing when the shard has another:
//
//	UPDATE targets SET ... WHERE ... AND EXISTS (
//	    SELECT FROM shard_leases WHERE shard = $1 AND generation = $2 AND holder = $3 FOR KEY SHARE)
//
// Until its transaction ends, nobody takes the shard. Make that soon, in one statement, or open the database with
// postgres.Replicated: a replica that is stopped in the middle must not keep the shard.
//
// What is the time is said by the database alone: a replica's clock may be wrong by any amount. The replica itself measures how
// long ago it asked for the lease, with a clock that cannot be set, and stops before the lease ends in the database.
//
// Each schema that uses leases has these tables. The rows are made once and are as many as [Shards]:
//
//	CREATE TABLE shard_leases (
//	    shard       int PRIMARY KEY CHECK (shard >= 0),
//	    holder      text NOT NULL DEFAULT '', -- '' for nobody
//	    generation  bigint NOT NULL DEFAULT 0, -- grows whenever the shard is taken
//	    expire_time timestamptz NOT NULL DEFAULT '-infinity' -- by the database's clock
//	);
//	INSERT INTO shard_leases (shard) SELECT generate_series(0, 63);
//	CREATE TABLE lease_members (
//	    member      text PRIMARY KEY,
//	    expire_time timestamptz NOT NULL
//	);
package lease

import (
	"context"
	"crypto/rand"
	"fmt"
	"hash/fnv"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/platform/postgres"
)

// Shards is how many shards the work of a service has. It bounds the replicas that have work, and is the same in all of them.
const Shards = 64

// DefaultDuration is how long a lease lasts that nobody renews: how long work may rest when a replica dies.
const DefaultDuration = 2 * time.Second

// ShardOf returns the shard of a piece of work, [0, Shards).
func ShardOf(key string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key))
	return int(h.Sum32() % Shards)
}

// RandomName is a name for a replica that need not be known again: the machine's and something random.
func RandomName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host + "-" + strings.ToLower(rand.Text()[:8])
}

// Config is how a replica takes part. The functions are called one at a time, in the order of what happened, and must not
// block: no lease is renewed meanwhile.
type Config struct {
	// Holder names the replica; no two that run at once may have the same name. One that starts again under its old name
	// takes its shards back without waiting for the old leases to end.
	Holder   string
	Duration time.Duration    // of a lease; 0: DefaultDuration
	Now      func() time.Time // nil: time.Now; only differences count
	Log      *slog.Logger
	Acquired func(shards []int) // the replica holds them now
	Lost     func(shards []int) // the replica does not hold them any more, and stops its work on them
	// Alone is for a replica that cannot share: it takes every shard, and none while another holds one. Then Overtaken is
	// called, each time that it asks.
	Alone     bool
	Overtaken func()
	Told      func(message string) // some replica called Tell, maybe this one; messages may be missed, never relied on
}

// Leases is a replica's share of the shards. Its methods may be called from any goroutine.
type Leases struct {
	cfg     Config
	db      *postgres.DB
	channel string

	mu       sync.Mutex
	held     map[int]int64 // generation of each shard that is held
	deadline time.Time     // until when held counts
	asked    time.Time     // when it renewed last
	members  int
	skew     time.Duration // of the database's clock to ours, where it matters

	once   sync.Once
	joined chan struct{}
}

// New returns leases that hold nothing until Run.
func New(db *postgres.DB, cfg Config) *Leases {
	if cfg.Duration <= 0 {
		cfg.Duration = DefaultDuration
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Acquired == nil {
		cfg.Acquired = func([]int) {}
	}
	if cfg.Lost == nil {
		cfg.Lost = func([]int) {}
	}
	if cfg.Overtaken == nil {
		cfg.Overtaken = func() {}
	}
	if cfg.Told == nil {
		cfg.Told = func(string) {}
	}
	return &Leases{cfg: cfg, db: db, channel: db.Schema + "_leases", held: map[int]int64{}, joined: make(chan struct{})}
}

// Joined is closed when the database has answered for the first time, and the replica holds what was free.
func (l *Leases) Joined() <-chan struct{} { return l.joined }

// tolerance is by how much clocks may differ before it counts.
const tolerance = 250 * time.Millisecond

// Time is the time by the database's clock, which all replicas share, to a quarter of a second: what one replica says is due is due
// for the others too. Before Joined it is the replica's own.
func (l *Leases) Time() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cfg.Now().Add(l.skew)
}

// clock compares the clocks. The database's was read between asking and now.
func (l *Leases) clock(asked, read time.Time) {
	wait := l.cfg.Now().Sub(asked)
	skew := read.Sub(asked.Round(0).Add(wait / 2)) // without the monotonic reading
	l.mu.Lock()
	defer l.mu.Unlock()
	if diff := skew - l.skew; wait > tolerance || diff.Abs() <= tolerance {
		return
	}
	if skew.Abs() <= tolerance {
		skew = 0
	}
	l.cfg.Log.Warn("the clock differs from the database's, which counts", "by", skew.Round(time.Millisecond))
	l.skew = skew
}

// Holder is the replica's name.
func (l *Leases) Holder() string { return l.cfg.Holder }

// Holds reports whether the replica may work on a shard now.
func (l *Leases) Holds(shard int) bool {
	_, holds := l.Generation(shard)
	return holds
}

// Generation returns the generation under which the replica holds a shard, and false when it does not.
func (l *Leases) Generation(shard int) (int64, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	generation, held := l.held[shard]
	if !held || !l.cfg.Now().Before(l.deadline) {
		return 0, false
	}
	return generation, true
}

// Held returns the shards that the replica may work on now, in order.
func (l *Leases) Held() []int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.cfg.Now().Before(l.deadline) {
		return nil
	}
	return slices.Sorted(maps.Keys(l.held))
}

// Members is how many replicas there are, with this one, as far as it knows; 0 before it takes part.
func (l *Leases) Members() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.members
}

// Replicas returns the names of the replicas that take part now, as the schema says.
func Replicas(ctx context.Context, db *postgres.DB) ([]string, error) {
	rows, err := db.Pool.Query(ctx, "SELECT member FROM lease_members WHERE expire_time > now() ORDER BY member")
	if err != nil {
		return nil, fmt.Errorf("list replicas: %w", postgres.Classify(err))
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list replicas: %w", postgres.Classify(err))
	}
	return names, nil
}
