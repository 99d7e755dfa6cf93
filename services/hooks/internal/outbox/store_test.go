package outbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	"github.com/slipway-deploy/slipway/migrations/hooks"
	"github.com/slipway-deploy/slipway/platform/postgres"
	"github.com/slipway-deploy/slipway/platform/postgres/postgrestest"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/hooks/internal/event"
	"github.com/slipway-deploy/slipway/services/hooks/internal/subscription"
)

// holding is a compiler of patterns that match events that hold them.
func holding(pattern []byte) (subscription.Matcher, error) { return contains(pattern), nil }

type contains string

func (c contains) Match(e []byte) (bool, error) { return strings.Contains(string(e), string(c)), nil }

type bundle struct {
	*Store
	db *postgres.DB
	t  *testing.T
}

func open(t *testing.T) *bundle {
	t.Helper()
	t.Parallel()
	db := postgrestest.New(t, "hooks", hooks.FS)
	b := &bundle{New(db, holding), db, t}
	if _, mine, err := b.FeedLease(t.Context(), "f", "a", time.Hour); err != nil || !mine {
		t.Fatalf("%t, %v", mine, err)
	}
	return b
}

func (b *bundle) exec(sql string, args ...any) {
	b.t.Helper()
	if _, err := b.db.Pool.Exec(b.t.Context(), sql, args...); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bundle) count(sql string) (n int) {
	b.t.Helper()
	if err := b.db.Pool.QueryRow(b.t.Context(), sql).Scan(&n); err != nil {
		b.t.Fatal(err)
	}
	return n
}

func (b *bundle) subscribe(name, pattern string, kind subscription.TargetKind) Subscription {
	b.t.Helper()
	var put Subscription
	err := b.InTx(b.t.Context(), func(tx pgx.Tx) (err error) {
		put, err = b.SubscriptionPut(b.t.Context(), tx, name, "", func(*Subscription) (subscription.Subscription, error) {
			return subscription.Subscription{
				Name: name, Pattern: pattern, Format: subscription.EventBridgeFormat, Target: subscription.Target{Kind: kind, Address: "https://" + name},
				MaximumAge: time.Hour, MaximumRetries: 3, CallTimeout: time.Second,
			}, nil
		})
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return put
}

// happen is an event: its id ends with n, its key is the deployment.
func happen(n int, key string) event.Event {
	return event.Event{
		ID: fmt.Sprintf("00000000-0000-8000-8000-%012d", n), Type: event.SlipwayEvent, Source: "slipway", Time: time.Unix(1e9+int64(n), 0),
		Detail: json.RawMessage(fmt.Sprintf(`{"n":%d}`, n)), OrderKey: key, Subject: key,
	}
}

func (b *bundle) record(events ...event.Event) int {
	b.t.Helper()
	n, err := b.Record(b.t.Context(), Batch{Feed: "f", Owner: "a", Token: "t", Events: events})
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}

func (b *bundle) claim(owner string) []string {
	b.t.Helper()
	var all []string
	for _, c := range b.claims(owner, time.Minute) {
		all = append(all, c.Subscription.Name+" "+c.OrderKey+" "+c.EventID[len(c.EventID)-1:])
	}
	slices.Sort(all)
	return all
}

func (b *bundle) claims(owner string, lease time.Duration) []Claimed {
	b.t.Helper()
	list, _, err := b.Claim(b.t.Context(), Claim{Owner: owner, Lease: lease, Limit: 100, Each: 100})
	if err != nil {
		b.t.Fatal(err)
	}
	return list
}

func (b *bundle) settle(owner string, c Claimed, v subscription.Verdict) subscription.Verdict {
	b.t.Helper()
	got, err := b.Settle(b.t.Context(), owner, c, func(subscription.Progress, time.Time) subscription.Verdict { return v })
	if err != nil {
		b.t.Fatal(err)
	}
	return got
}

func want(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

var delivered = subscription.Verdict{State: subscription.Delivered, Attempts: 1}

func TestEventsAreRecordedOnceWithWhoHasThem(t *testing.T) {
	b := open(t)
	b.subscribe("all", "", subscription.HTTPS)
	b.subscribe("two", `"n":2`, subscription.HTTPS)
	if n := b.record(happen(1, "d-1"), happen(2, "d-1")); n != 3 {
		t.Errorf("%d deliveries", n)
	}
	if n := b.record(happen(2, "d-1")); n != 0 {
		t.Errorf("%d deliveries of what was recorded before", n)
	}
	b.subscribe("late", "", subscription.HTTPS)
	if n := b.record(happen(1, "d-1"), happen(2, "d-1")); n != 0 {
		t.Errorf("%d deliveries to who came late", n)
	}
	want(t, "claimed", b.claim("a"), "all d-1 1", "two d-1 2")
}

func TestAFeedIsReadByOne(t *testing.T) {
	b := open(t)
	if _, mine, err := b.FeedLease(t.Context(), "f", "b", time.Hour); err != nil || mine {
		t.Fatalf("%t, %v", mine, err)
	}
	_, err := b.Record(t.Context(), Batch{Feed: "f", Owner: "b", Token: "x", Events: []event.Event{happen(1, "d-1")}})
	if !errors.Is(err, ErrLeaseLost) || b.count(`SELECT count(*) FROM events`) != 0 {
		t.Errorf("%v", err)
	}
	b.record(happen(1, "d-1"))
	b.exec(`UPDATE event_feeds SET lease_expire_time = now() WHERE name = 'f'`)
	f, mine, err := b.FeedLease(t.Context(), "f", "b", time.Hour)
	if err != nil || !mine || f.Token != "t" || f.CreateTime.IsZero() {
		t.Errorf("%+v, %t, %v", f, mine, err)
	}
	if err := b.FeedRelease(t.Context(), "f", "a"); err != nil { // not its own
		t.Fatal(err)
	}
	if _, mine, _ := b.FeedLease(t.Context(), "f", "c", time.Hour); mine {
		t.Error("a lease was released by another")
	}
}

func TestALaneIsInOneHandAndInOrder(t *testing.T) {
	b := open(t)
	b.subscribe("s", "", subscription.HTTPS)
	b.record(happen(1, "d-1"), happen(2, "d-1"), happen(3, "d-2"))
	first := b.claims("a", time.Minute)
	if len(first) != 2 {
		t.Fatalf("%+v", first)
	}
	want(t, "in hand", b.claim("b"))
	slices.SortFunc(first, func(x, y Claimed) int { return strings.Compare(x.OrderKey, y.OrderKey) })
	b.settle("a", first[0], delivered)
	want(t, "after the first", b.claim("b"), "s d-1 2")
	b.settle("a", first[1], delivered)
	if n := b.count(`SELECT count(*) FROM lanes`); n != 1 {
		t.Errorf("%d lanes are left, want that of d-1", n)
	}
}

func TestARetryWaitsForItsTime(t *testing.T) {
	b := open(t)
	b.subscribe("s", "", subscription.HTTPS)
	b.record(happen(1, "d-1"), happen(2, "d-1"))
	c := b.claims("a", time.Minute)[0]
	b.settle("a", c, subscription.Verdict{State: subscription.Pending, Attempts: 1, Reason: "no", Next: c.At.Add(time.Hour)})
	want(t, "before its time", b.claim("a"))
	wait, some, err := b.NextDue(t.Context(), nil)
	if err != nil || !some || wait < 59*time.Minute || wait > time.Hour {
		t.Errorf("%s, %t, %v", wait, some, err)
	}
	list, err := b.DeliveryList(t.Context(), DeliveryFilter{}, 1e9, 10)
	if err != nil || len(list) != 2 || list[1].NextTime == nil || list[0].NextTime != nil || list[1].Reason != "no" || list[1].Attempts != 1 {
		t.Errorf("%+v, %v", list, err)
	}
	b.exec(`UPDATE lanes SET due_time = now()`)
	want(t, "at its time", b.claim("a"), "s d-1 1")
}

// A replica that lost its lane records what it delivered, and leaves the lane to the other.
func TestALostLaneIsLeftAlone(t *testing.T) {
	b := open(t)
	b.subscribe("s", "", subscription.HTTPS)
	b.record(happen(1, "d-1"), happen(2, "d-1"))
	mine := b.claims("a", time.Nanosecond)[0]
	yours := b.claims("b", time.Minute)[0]
	if mine.EventID != yours.EventID {
		t.Fatalf("%s and %s", mine.EventID, yours.EventID)
	}
	b.settle("a", mine, delivered)
	want(t, "held by b", b.claim("c"))
	failed := subscription.Verdict{State: subscription.Pending, Attempts: 1, Next: time.Now().Add(time.Hour)}
	if got := b.settle("b", yours, failed); got != (subscription.Verdict{}) {
		t.Errorf("what was delivered became %+v", got)
	}
	want(t, "then", b.claim("c"), "s d-1 2")
}

func TestLeasesAreRenewedAndReleased(t *testing.T) {
	b := open(t)
	b.subscribe("s", "", subscription.HTTPS)
	b.record(happen(1, "d-1"))
	b.claims("a", time.Nanosecond)
	if err := b.LeaseRenew(t.Context(), "a", time.Hour); err != nil {
		t.Fatal(err)
	}
	want(t, "renewed", b.claim("b"))
	if err := b.LeaseRelease(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	want(t, "released", b.claim("b"), "s d-1 1")
}

func TestNoSubscriptionTakesEverything(t *testing.T) {
	b := open(t)
	for _, name := range []string{"x", "y", "z"} {
		b.subscribe(name, "", subscription.HTTPS)
	}
	for n := range 5 {
		b.record(happen(n, fmt.Sprint("d-", n)))
	}
	list, claimed, err := b.Claim(t.Context(), Claim{Owner: "a", Lease: time.Minute, Limit: 100, Each: 2, Busy: []string{"y"}})
	if err != nil || claimed != 4 {
		t.Fatalf("%d, %v", claimed, err)
	}
	of := map[string]int{}
	for _, c := range list {
		of[c.Subscription.Name]++
	}
	if of["x"] != 2 || of["z"] != 2 {
		t.Errorf("%v", of)
	}
}

func (b *bundle) redeliver(r Redelivery) (n int64) {
	b.t.Helper()
	err := b.InTx(b.t.Context(), func(tx pgx.Tx) (err error) {
		n, err = b.Redeliver(b.t.Context(), tx, r)
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}

// What is redelivered goes behind what waits: the deployment's events stay one after the other.
func TestWhatIsRedeliveredGoesBehind(t *testing.T) {
	b := open(t)
	b.subscribe("s", "", subscription.HTTPS)
	b.record(happen(1, "d-1"))
	b.settle("a", b.claims("a", time.Minute)[0], subscription.Verdict{State: subscription.DeadLetter, Attempts: 4, Reason: "no"})
	b.record(happen(2, "d-1"))
	c := b.claims("a", time.Minute)[0]
	if n := b.redeliver(Redelivery{Subscription: "s"}); n != 1 {
		t.Fatalf("%d", n)
	}
	want(t, "while the second is on its way", b.claim("b"))
	b.settle("a", c, delivered)
	again := b.claims("b", time.Minute)
	if len(again) != 1 || again[0].EventID != happen(1, "").ID || again[0].Progress.Attempts != 0 || !again[0].Progress.Expire.After(again[0].At.Add(59*time.Minute)) {
		t.Errorf("%+v", again)
	}
	b.settle("b", again[0], delivered)
	if n := b.redeliver(Redelivery{Subscription: "s"}); n != 0 {
		t.Errorf("%d of what was delivered", n)
	}
	if n := b.redeliver(Redelivery{Delivered: true, From: happen(2, "").Time}); n != 1 {
		t.Errorf("%d of what was delivered since", n)
	}
}

func TestWhatIsKeptNoLongerIsDeleted(t *testing.T) {
	b := open(t)
	b.subscribe("s", "", subscription.HTTPS)
	for n := range 6 {
		b.record(happen(n, fmt.Sprint("d-", n)))
	}
	dead := subscription.Verdict{State: subscription.DeadLetter, Attempts: 1, Reason: "no"}
	for n, c := range b.claims("a", time.Minute) {
		v := dead
		if n == 0 {
			v = delivered
		}
		b.settle("a", c, v)
	}
	keep := Keep{Delivered: time.Hour, DeadLetters: 2 * time.Hour, Limit: 3}
	for {
		more, err := b.Prune(t.Context(), keep, 1)
		if err != nil {
			t.Fatal(err)
		}
		if !more {
			break
		}
	}
	if n := b.count(`SELECT count(*) FROM deliveries WHERE state = 'DEAD_LETTER'`); n != 3 {
		t.Errorf("%d dead letters, want the newest 3", n)
	}
	if b.count(`SELECT count(*) FROM deliveries`) != 4 || b.count(`SELECT count(*) FROM events`) != 6 {
		t.Error("too much was deleted")
	}
	b.exec(`UPDATE deliveries SET end_time = end_time - interval '90 minutes'`)
	b.exec(`UPDATE events SET create_time = create_time - interval '90 minutes'`)
	if _, err := b.Prune(t.Context(), keep, 100); err != nil {
		t.Fatal(err)
	}
	if b.count(`SELECT count(*) FROM deliveries`) != 3 || b.count(`SELECT count(*) FROM events`) != 3 {
		t.Errorf("%d deliveries and %d events are left", b.count(`SELECT count(*) FROM deliveries`), b.count(`SELECT count(*) FROM events`))
	}
}

func TestThereAreNotTooManySubscriptions(t *testing.T) {
	b := open(t)
	b.exec(`INSERT INTO subscriptions (name, pattern, format, target_kind, target_address, target_region, target_endpoint, keep_source, secrets,
		maximum_age, maximum_retries, call_timeout, create_time)
		SELECT 's' || n, '', 'EVENTBRIDGE', 'GRPC_STREAM', '', '', '', false, '{}', '1 h', 1, '1 s', now() FROM generate_series(1, 300) n`)
	b.subscribe("s7", "x", subscription.GRPCStream) // not one more
	err := b.InTx(t.Context(), func(tx pgx.Tx) error {
		_, err := b.SubscriptionPut(t.Context(), tx, "more", "", func(*Subscription) (subscription.Subscription, error) {
			t.Error("it was asked for")
			return subscription.Subscription{}, nil
		})
		return err
	})
	if p := problem.As(err); p == nil || p.Reason != ReasonLimitExceeded {
		t.Errorf("%v", err)
	}
}

func TestADeletedSubscriptionTakesItsDeliveriesWithIt(t *testing.T) {
	b := open(t)
	b.subscribe("s", "", subscription.HTTPS)
	b.record(happen(1, "d-1"))
	c := b.claims("a", time.Minute)[0]
	if err := b.InTx(t.Context(), func(tx pgx.Tx) error { return b.SubscriptionDelete(t.Context(), tx, "s") }); err != nil {
		t.Fatal(err)
	}
	if got := b.settle("a", c, delivered); got != (subscription.Verdict{}) {
		t.Errorf("%+v", got)
	}
	if b.count(`SELECT count(*) FROM deliveries`)+b.count(`SELECT count(*) FROM lanes`) != 0 {
		t.Error("something is left")
	}
}

var quoted = regexp.MustCompile(`'([A-Z_]+)'`)

// The states and kinds are spelled the same in Go, in the contract and in SQL.
func TestGoProtoAndSQLSpellTheSame(t *testing.T) {
	b := open(t)
	allowed := func(constraint string) (values []string) {
		var def string
		if err := b.db.Pool.QueryRow(t.Context(), `SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = $1`, constraint).Scan(&def); err != nil {
			t.Fatal(err)
		}
		for _, m := range quoted.FindAllStringSubmatch(def, -1) {
			values = append(values, m[1])
		}
		slices.Sort(values)
		return values
	}
	var states, kinds, contract []string
	for _, s := range subscription.States() {
		states = append(states, string(s))
	}
	for _, k := range subscription.TargetKinds() {
		kinds = append(kinds, string(k))
	}
	for n, name := range hookspb.Delivery_State_name {
		if n != 0 {
			contract = append(contract, strings.TrimPrefix(name, "STATE_"))
		}
	}
	slices.Sort(states)
	slices.Sort(kinds)
	slices.Sort(contract)
	want(t, "states in SQL", allowed("deliveries_state_check"), states...)
	want(t, "states in the contract", contract, states...)
	want(t, "kinds in SQL", allowed("subscriptions_target_kind_check"), kinds...)
}
