package lease_test

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/slipway-deploy/slipway/platform/lease"
	"github.com/slipway-deploy/slipway/platform/postgres"
	"github.com/slipway-deploy/slipway/platform/postgres/postgrestest"
)

func TestOneMemberTakesAllShardsAtOnce(t *testing.T) {
	db := newDB(t)
	one := join(t, db, "one")
	took := eventually(t, "all shards are held", func() bool { return one.count() == lease.Shards })
	if took > 300*time.Millisecond {
		t.Errorf("it took %v", took)
	}
	if one.working() != lease.Shards || one.Members() != 1 {
		t.Errorf("%d shards were acquired by %d members", one.working(), one.Members())
	}
}

func TestShardsAreSharedEvenlyAsMembersComeAndGo(t *testing.T) {
	db := newDB(t)
	one := join(t, db, "one")
	eventually(t, "the first has all", func() bool { return one.count() == lease.Shards })
	two := join(t, db, "two")
	took := eventually(t, "two share", func() bool { return one.count() == 32 && two.count() == 32 })
	three := join(t, db, "three")
	took += eventually(t, "three share", func() bool {
		return one.count()+two.count()+three.count() == lease.Shards && max(one.count(), two.count(), three.count()) == 22
	})
	two.stop()
	took += eventually(t, "two share again", func() bool { return one.count() == 32 && three.count() == 32 })
	if took > 550*time.Millisecond { // no lease had to end for it
		t.Errorf("sharing took %v, longer than the messages need", took)
	}
	if two.count() != 0 || two.working() != 0 {
		t.Errorf("the one that left holds %d shards and works on %d", two.count(), two.working())
	}
	if all := append(one.Held(), three.Held()...); len(all) != len(slices.Compact(slices.Sorted(slices.Values(all)))) {
		t.Error("a shard is held twice")
	}
}

// A frozen member keeps nothing: another takes over when the lease ends, under a higher generation, and the frozen one knows so
// by itself from the moment it wakes.
func TestAFrozenMemberLosesItsShards(t *testing.T) {
	db := newDB(t)
	one, two := join(t, db, "one"), join(t, db, "two")
	eventually(t, "two share", func() bool { return one.count() == 32 && two.count() == 32 })
	shard := one.Held()[0]
	before, _ := one.Generation(shard)

	if err := two.Tell(t.Context(), "freeze:one"); err != nil {
		t.Fatal(err)
	}
	took := eventually(t, "the other has all", func() bool { return two.count() == lease.Shards })
	if took > 900*time.Millisecond {
		t.Errorf("fail-over took %v with a lease of 600ms", took)
	}
	if after, _ := two.Generation(shard); after != before+1 {
		t.Errorf("the generation went from %d to %d", before, after)
	}
	if one.count() != 0 || one.Holds(shard) {
		t.Error("the frozen one still believes in its lease")
	}
	if rows := write(t, db, shard, before, "one"); rows != 0 {
		t.Error("a write under the old generation changed something")
	}
	if rows := write(t, db, shard, before+1, "two"); rows != 1 {
		t.Error("a write under the new generation changed nothing")
	}
	close(one.frozen)
	eventually(t, "two share again", func() bool { return one.count() == 32 && two.count() == 32 && one.working() == 32 })
}

// write is a write as the package's comment asks for it.
func write(t *testing.T, db *postgres.DB, shard int, generation int64, holder string) int64 {
	t.Helper()
	tag, err := db.Pool.Exec(t.Context(), `
UPDATE lease_members SET member = member WHERE member = $3 AND EXISTS (
    SELECT FROM shard_leases WHERE shard = $1 AND generation = $2 AND holder = $3 FOR KEY SHARE)`, shard, generation, holder)
	if err != nil {
		t.Fatal(err)
	}
	return tag.RowsAffected()
}

// A write that began under a lease ends under it: its holder goes on holding, and nobody takes the shard meanwhile.
func TestAWriteUnderALeaseIsNotOvertaken(t *testing.T) {
	db := newDB(t)
	one := join(t, db, "one")
	eventually(t, "all shards are held", func() bool { return one.count() == lease.Shards })
	generation, _ := one.Generation(63)
	tx, err := db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(t.Context()) }()
	_, err = tx.Exec(t.Context(), `SELECT FROM shard_leases WHERE shard = 63 AND generation = $1 AND holder = 'one' FOR KEY SHARE`, generation)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		before := renewed(t, db)
		eventually(t, "leases are renewed", func() bool { return renewed(t, db).After(before) })
	}
	if now, _ := one.Generation(63); now != generation {
		t.Fatal("the holder lost a shard to its own write")
	}
	two := join(t, db, "two") // which gets the last ones
	eventually(t, "two share, but for one", func() bool { return one.count() == 32 && two.count() == 31 })
	if two.Holds(63) {
		t.Error("a shard was taken under a write")
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "two share", func() bool { return two.count() == 32 })
}

func TestAMemberThatIsCutOffStopsBeforeAnotherBegins(t *testing.T) {
	db := newDB(t)
	way := postgrestest.NewRelay(t, db.URL)
	far, err := postgres.Open(t.Context(), way.URL(), schema, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(far.Close)
	one, two := join(t, far, "one"), join(t, db, "two")
	eventually(t, "two share", func() bool { return one.count() == 32 && two.count() == 32 })

	way.Cut()
	eventually(t, "the one that is cut off stops", func() bool {
		if one.count() > 0 && two.count() > 32 {
			t.Fatal("both work on the same shards")
		}
		return one.count() == 0 && one.working() == 0
	})
	eventually(t, "the other has all", func() bool { return two.count() == lease.Shards })
	way.Mend()
	eventually(t, "two share again", func() bool { return one.count() == 32 && two.count() == 32 })
}

// A clock that is set, forwards or back, is no matter.
func TestAWrongClockDoesNoHarm(t *testing.T) {
	db := newDB(t)
	wrong := func(by time.Duration) func(*lease.Config) {
		return func(c *lease.Config) { c.Now = func() time.Time { return time.Now().Add(by) } }
	}
	one, two := join(t, db, "one", wrong(10*time.Minute)), join(t, db, "two", wrong(-10*time.Minute))
	eventually(t, "two share", func() bool { return one.count() == 32 && two.count() == 32 })
	for range 3 { // renewals
		before := renewed(t, db)
		eventually(t, "leases are renewed", func() bool { return renewed(t, db).After(before) })
		if one.count() != 32 || two.count() != 32 {
			t.Fatalf("they hold %d and %d", one.count(), two.count())
		}
	}
	for _, m := range []*member{one, two, join(t, db, "three")} {
		<-m.Joined()
		if off := time.Until(m.Time()); off.Abs() > 300*time.Millisecond {
			t.Errorf("the time of %s is off by %s", m.Holder(), off)
		}
	}
}

func renewed(t *testing.T, db *postgres.DB) (at time.Time) {
	t.Helper()
	if err := db.Pool.QueryRow(t.Context(), `SELECT min(expire_time) FROM shard_leases`).Scan(&at); err != nil {
		t.Fatal(err)
	}
	return at
}

// A replica that was killed and is started under its name takes its shards back at once, under a higher generation.
func TestTheSameHolderTakesItsShardsBackAtOnce(t *testing.T) {
	db := newDB(t)
	long := func(c *lease.Config) { c.Duration = time.Hour }
	_, err := db.Pool.Exec(t.Context(), `UPDATE shard_leases SET holder = 'one', generation = 7, expire_time = now() + interval '1 hour'`)
	if err != nil {
		t.Fatal(err)
	}
	one := join(t, db, "one", long)
	eventually(t, "all shards are held", func() bool { return one.count() == lease.Shards })
	if generation, _ := one.Generation(5); generation != 8 {
		t.Errorf("the generation is %d, want 8", generation)
	}
}

// Of replicas that cannot share one has everything, also when they begin at the same moment; the others are told.
func TestReplicasThatCannotShareTakeAllOrNothing(t *testing.T) {
	db := newDB(t)
	overtaken := make(chan string, 100)
	alone := func(name string) func(*lease.Config) {
		return func(c *lease.Config) { c.Alone, c.Overtaken = true, func() { overtaken <- name } }
	}
	members := map[string]*member{}
	for _, name := range []string{"one", "two", "three"} {
		members[name] = join(t, db, name, alone(name))
	}
	first, second := <-overtaken, ""
	for second = first; second == first; {
		second = <-overtaken
	}
	for name, m := range members {
		want := lease.Shards
		if name == first || name == second {
			want = 0
		}
		eventually(t, name+" has all or nothing", func() bool { return m.count() == want })
	}
	for name, m := range members {
		if name != first && name != second {
			m.stop()
		}
	}
	eventually(t, "one of the others has all", func() bool { return members[first].count()+members[second].count() == lease.Shards })
}

func TestALostConnectionIsOpenedAgainWithoutLosingAShard(t *testing.T) {
	db := newDB(t)
	one := join(t, db, "one", func(c *lease.Config) { c.Duration = 3 * time.Second })
	eventually(t, "all shards are held", func() bool { return one.count() == lease.Shards })
	if _, err := db.Pool.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%shard_leases%' AND pid <> pg_backend_pid()`); err != nil {
		t.Fatal(err)
	}
	before := renewed(t, db)
	eventually(t, "leases are renewed", func() bool { return renewed(t, db).After(before) })
	if one.count() != lease.Shards || one.working() != lease.Shards {
		t.Errorf("it holds %d shards", one.count())
	}
	if generation, _ := one.Generation(0); generation != 1 {
		t.Errorf("the generation is %d: the shard was lost and taken again", generation)
	}
}

func TestAMessageReachesEveryMember(t *testing.T) {
	db := newDB(t)
	one, two := join(t, db, "one"), join(t, db, "two")
	eventually(t, "two share", func() bool { return one.count() == 32 && two.count() == 32 })
	if err := one.Tell(t.Context(), "default/web"); err != nil {
		t.Fatal(err)
	}
	for _, m := range []*member{one, two} {
		select {
		case got := <-m.told:
			if got != "default/web" {
				t.Errorf("%s was told %q", m.Holder(), got)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%s was not told", m.Holder())
		}
	}
}

func TestKeysSpreadOverTheShards(t *testing.T) {
	var count [lease.Shards]int
	for i := range 64_000 {
		count[lease.ShardOf("default/service-"+strconv.Itoa(i))]++
	}
	if least, most := slices.Min(count[:]), slices.Max(count[:]); least < 800 || most > 1200 {
		t.Errorf("shards have between %d and %d of 64000 keys", least, most)
	}
}

// The leases of a process that died, and its session with it, are free before their end; those of one that only stands still are not.
func TestADeadMembersShardsAreTakenBeforeTheirEnd(t *testing.T) {
	t.Parallel()
	db := newDB(t)
	long := func(c *lease.Config) { c.Duration = 10 * time.Second }
	one, two := join(t, db, "one", long), join(t, db, "two", long)
	eventually(t, "two share", func() bool { return one.count() == 32 && two.count() == 32 })
	if err := two.Tell(t.Context(), "freeze:one"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is frozen", func() bool { return len(one.told) == 0 && len(two.told) == 1 })
	defer close(one.frozen)
	var end time.Time
	if err := db.Pool.QueryRow(t.Context(), `SELECT min(expire_time) FROM shard_leases WHERE holder = 'one'`).Scan(&end); err != nil {
		t.Fatal(err)
	}
	_, err := db.Pool.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()
		AND (classid::bigint << 32) + objid::bigint = hashtextextended('work_leases/one', 0)`)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the other has all", func() bool { return two.count() == lease.Shards })
	var now time.Time
	if err := db.Pool.QueryRow(t.Context(), `SELECT now()`).Scan(&now); err != nil {
		t.Fatal(err)
	}
	if !now.Before(end) {
		t.Errorf("they were taken %s after their end", now.Sub(end))
	}
}
