package lease

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/platform/postgres"
)

// One statement says that the replica is here, renews what it holds and takes what is free, up to its fair share. No part of it
// waits for a lock of another replica's: what another is taking at this moment is lost, or not free. A write that is under way
// under the shard's generation holds up those who would take the shard, but not its holder (FOR KEY SHARE against FOR UPDATE and
// FOR NO KEY UPDATE).
//
// A replica whose session has ended, for it holds a lock while it is there, and that has not renewed for half of a lease is dead: its
// leases are free before their end. One that is alive but has lost its session stops by then (see Run).
const beatSQL = `
WITH me AS (
    INSERT INTO lease_members (member, expire_time) VALUES (@holder, now() + @duration::interval)
    ON CONFLICT (member) DO UPDATE SET expire_time = excluded.expire_time
    RETURNING member
), gone AS (
    DELETE FROM lease_members WHERE @joining AND member <> @holder AND expire_time < now() - interval '1 minute'
), dead AS MATERIALIZED (
    SELECT member FROM lease_members WHERE CASE WHEN member <> @holder AND expire_time > now()
        THEN pg_try_advisory_xact_lock(hashtextextended(@channel || '/' || member, 0)) END
), others AS (
    SELECT count(*) AS n FROM lease_members WHERE member <> @holder
        AND expire_time > CASE WHEN member IN (SELECT member FROM dead) THEN now() + @duration::interval / 2 ELSE now() END
), foreign_leases AS (
    SELECT expire_time - CASE WHEN holder IN (SELECT member FROM dead) THEN @duration::interval / 2 ELSE interval '0' END AS end_time
    FROM shard_leases WHERE holder NOT IN ('', @holder)
), mine AS (
    SELECT l.shard FROM shard_leases l JOIN unnest(@held::int[], @generations::bigint[]) AS h (shard, generation)
        ON h.shard = l.shard AND h.generation = l.generation
    WHERE l.holder = @holder FOR NO KEY UPDATE OF l SKIP LOCKED
), renewed AS (
    UPDATE shard_leases l SET expire_time = now() + @duration::interval FROM mine WHERE l.shard = mine.shard RETURNING l.shard
), free AS (
    SELECT shard FROM shard_leases
    WHERE (holder IN ('', @holder) OR expire_time <= now() OR (holder IN (SELECT member FROM dead) AND expire_time <= now() + @duration::interval / 2))
        AND shard <> ALL (@held::int[])
        AND (NOT @alone OR (NOT EXISTS (SELECT FROM foreign_leases WHERE end_time > now()) AND pg_try_advisory_xact_lock(hashtextextended(@channel, 0))))
    ORDER BY shard
    LIMIT greatest(ceil(@shards::float8 / CASE WHEN @alone THEN 1 ELSE (SELECT n FROM others) + 1 END)::bigint - (SELECT count(*) FROM renewed), 0)
    FOR UPDATE SKIP LOCKED
), taken AS (
    UPDATE shard_leases l SET holder = @holder, generation = l.generation + 1, expire_time = now() + @duration::interval
    FROM free WHERE l.shard = free.shard RETURNING l.shard, l.generation
)
SELECT coalesce((SELECT array_agg(shard) FROM renewed), '{}') AS renewed,
    coalesce((SELECT array_agg(shard ORDER BY shard) FROM taken), '{}') AS taken,
    coalesce((SELECT array_agg(generation ORDER BY shard) FROM taken), '{}') AS generations,
    (SELECT n FROM others) + 1 AS members,
    (SELECT count(pg_notify(@channel, '')) FROM me WHERE @joining) AS told,
    (SELECT extract(epoch FROM min(end_time) - now())::float8 FROM foreign_leases WHERE end_time > now()) AS next,
    clock_timestamp() AS clock`

// presentSQL is the lock that says that the replica's session is there.
const presentSQL = `SELECT pg_try_advisory_lock(hashtextextended(@channel || '/' || @holder, 0))`

type beat struct {
	Renewed     []int
	Taken       []int
	Generations []int64
	Members     int
	Told        int
	Next        *float64 // seconds until the first lease of another replica ends, if nobody renews it; nil when there is none
	Clock       time.Time
}

// beat renews and takes, and returns how soon there may be something to take. The lease counts from before the question was
// sent, so it ends here before it ends in the database.
func (l *Leases) beat(ctx context.Context, conn *pgx.Conn) (time.Duration, error) {
	asked := l.cfg.Now()
	l.expire()
	l.mu.Lock()
	held := maps.Clone(l.held)
	joining := l.members == 0
	l.mu.Unlock()
	shards := slices.AppendSeq(make([]int, 0, Shards), maps.Keys(held)) // never nil, which would be NULL
	generations := make([]int64, len(shards))
	for i, shard := range shards {
		generations[i] = held[shard]
	}
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Duration/2)
	defer cancel()
	rows, err := conn.Query(ctx, beatSQL, pgx.NamedArgs{
		"holder": l.cfg.Holder, "duration": l.cfg.Duration, "held": shards, "generations": generations,
		"shards": Shards, "channel": l.channel, "joining": joining, "alone": l.cfg.Alone,
	})
	if err != nil {
		return 0, fmt.Errorf("renew leases: %w", postgres.Classify(err))
	}
	b, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[beat])
	if err != nil {
		return 0, fmt.Errorf("renew leases: %w", postgres.Classify(err))
	}
	l.clock(asked, b.Clock)
	l.settle(asked, shards, b)
	next := l.cfg.Duration / 3
	if b.Next != nil {
		next = min(next, time.Duration(*b.Next*float64(time.Second))+time.Millisecond)
	}
	if l.cfg.Alone {
		if b.Next != nil && len(b.Renewed)+len(b.Taken) == 0 {
			l.cfg.Overtaken()
		}
		return next, nil
	}
	return next, l.giveBack(ctx, conn, b.Members)
}

// settle takes over what the database said.
func (l *Leases) settle(asked time.Time, before []int, b beat) {
	var lost []int
	l.mu.Lock()
	ended := l.ended() // while the answer was on its way: lost, even if renewed, for work that asked has stopped by itself
	for _, shard := range before {
		if _, held := l.held[shard]; held && !slices.Contains(b.Renewed, shard) {
			lost = append(lost, shard)
			delete(l.held, shard)
		}
	}
	for i, shard := range b.Taken {
		l.held[shard] = b.Generations[i]
	}
	l.asked, l.deadline, l.members = asked, asked.Add(l.cfg.Duration), b.Members
	l.mu.Unlock()
	l.lost(ended, endedEarly)
	l.lost(lost, "another replica took them")
	if len(b.Taken) > 0 {
		l.cfg.Log.Info("shards acquired", "shards", len(b.Taken), "replicas", b.Members)
		l.cfg.Acquired(b.Taken)
	}
	l.once.Do(func() { close(l.joined) })
}

const endedEarly = "the leases ended before they were renewed"

// expire drops what the replica could not renew in time.
func (l *Leases) expire() {
	l.mu.Lock()
	ended := l.ended()
	l.mu.Unlock()
	l.lost(ended, endedEarly)
}

// ended takes the shards away when their time is over. The lock is held.
func (l *Leases) ended() []int {
	if l.members == 0 || l.cfg.Now().Before(l.deadline) {
		return nil
	}
	l.members = 0 // to the others it is gone
	ended := slices.Sorted(maps.Keys(l.held))
	clear(l.held)
	return ended
}

func (l *Leases) lost(shards []int, cause string) {
	if len(shards) > 0 {
		l.cfg.Log.Warn("shards lost", "shards", len(shards), "cause", cause)
		l.cfg.Lost(shards)
	}
}

const releaseSQL = `
WITH released AS (
    UPDATE shard_leases l SET holder = '', expire_time = '-infinity'
    FROM unnest(@held::int[], @generations::bigint[]) AS h (shard, generation)
    WHERE h.shard = l.shard AND h.generation = l.generation AND l.holder = @holder
    RETURNING l.shard
), gone AS (
    DELETE FROM lease_members WHERE @leaving AND member = @holder
) SELECT count(*), pg_notify(@channel, '') FROM released`

// giveBack releases what is above the fair share, so that others can take it.
func (l *Leases) giveBack(ctx context.Context, conn *pgx.Conn, members int) error {
	share := (Shards + members - 1) / members
	l.mu.Lock()
	shards := slices.Sorted(maps.Keys(l.held))
	l.mu.Unlock()
	if len(shards) <= share {
		return nil
	}
	shards = shards[share:]
	return l.release(ctx, conn, shards, l.drop(shards), false)
}

// drop ends the work on shards and returns their generations.
func (l *Leases) drop(shards []int) []int64 {
	generations := make([]int64, len(shards))
	l.mu.Lock()
	for i, shard := range shards {
		generations[i] = l.held[shard]
		delete(l.held, shard)
	}
	l.mu.Unlock()
	if len(shards) > 0 {
		l.cfg.Log.Info("shards given back", "shards", len(shards))
		l.cfg.Lost(shards)
	}
	return generations
}

// release lets others have shards on which nothing is done here any more.
func (l *Leases) release(ctx context.Context, conn *pgx.Conn, shards []int, generations []int64, leaving bool) error {
	_, err := conn.Exec(ctx, releaseSQL, pgx.NamedArgs{
		"holder": l.cfg.Holder, "held": shards, "generations": generations, "channel": l.channel, "leaving": leaving,
	})
	if err != nil {
		return fmt.Errorf("give leases back: %w", postgres.Classify(err))
	}
	return nil
}
