package app_test

import (
	"fmt"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/slipway-deploy/slipway/services/hooks/app"
)

func durationOf(d time.Duration) *durationpb.Duration { return durationpb.New(d) }

// Two replicas on one database, one of which is stopped in the middle with calls under way: each invocation succeeds,
// attempts are numbered without a gap, and no attempt was ever sent with two identities.
func TestTwoReplicasNeverGiveAnAttemptTwoIdentities(t *testing.T) {
	one := startNew(t, shortLease, withFewWorkers)
	other := start(t, one.url, shortLease, withFewWorkers)
	const all, rounds = 40, 4
	var count atomic.Int64
	half := make(chan struct{})
	h := newWebhook(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		if count.Add(1) == all*rounds/2 {
			close(half)
		}
		attempt, _ := strconv.Atoi(r.Header.Get("Slipway-Attempt"))
		switch attempt {
		case rounds:
			fmt.Fprint(w, `{"hookStatus":"SUCCEEDED"}`)
		default:
			fmt.Fprintf(w, `{"hookStatus":"IN_PROGRESS","callBackDelay":0.1,"hookDetails":{"round":%d}}`, attempt)
		}
	})
	one.register(t, webhookHook(h.url))
	for n := range all {
		i := invocation(fmt.Sprint("d-1/", n))
		i.Service = fmt.Sprint("default/s", n%7)
		[]*service{one, other}[n%2].invoke(t, i)
	}
	wait(t, "half of the calls", half)
	one.stop()
	for n := range all {
		other.wantSucceeded(t, fmt.Sprint("d-1/", n))
	}
	bodies := map[string]string{}
	for _, call := range h.calls() {
		key := call.id + "#" + call.attempt
		if body, sent := bodies[key]; sent && body != call.body {
			t.Errorf("%s was sent as %s and as %s", key, body, call.body)
		}
		bodies[key] = call.body
	}
	if len(bodies) != all*rounds {
		t.Errorf("%d attempts were sent, want %d", len(bodies), all*rounds)
	}
	for n := range all {
		id := fmt.Sprint("d-1/", n)
		number := int32(0)
		for _, a := range other.attempts(t, id) {
			if a.GetIgnored() {
				continue
			}
			number++
			if a.GetAttempt() != number || bodies[fmt.Sprintf("%s#%d", id, number)] != a.GetRequest() {
				t.Errorf("%s: recorded %v as number %d", id, a, number)
			}
		}
		if number != rounds {
			t.Errorf("%s: %d attempts recorded", id, number)
		}
	}
}

func withFewWorkers(c *app.Config) { c.Workers = 8 }
