package app_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	"github.com/slipway-deploy/slipway/platform/grpcclient"
	"github.com/slipway-deploy/slipway/platform/postgres/postgrestest"
	"github.com/slipway-deploy/slipway/services/hooks/app"
)

const eventSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// eventful is a hooks service with the client of its subscriptions.
type eventful struct {
	*service
	hookspb.SubscriptionServiceClient
}

// quick makes pauses short.
func quick(c *app.Config) {
	c.Events.FirstRetry, c.Events.LastRetry = 5*time.Millisecond, 20*time.Millisecond
	c.Failures, c.Open = 1000, 10*time.Millisecond
}

func startEventful(t *testing.T, url string, o *orchestrator, change ...func(*app.Config)) *eventful {
	t.Helper()
	s := start(t, url, append([]func(*app.Config){quick, func(c *app.Config) {
		if o != nil {
			c.Events.Orchestrator = grpcclient.Config{Target: o.address}
		}
	}}, change...)...)
	conn, err := grpcclient.Dial(grpcclient.Config{Target: s.app.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &eventful{s, hookspb.NewSubscriptionServiceClient(conn)}
}

func startNewEventful(t *testing.T, o *orchestrator, change ...func(*app.Config)) *eventful {
	t.Helper()
	t.Parallel()
	return startEventful(t, postgrestest.URL(t), o, change...)
}

func (s *eventful) put(t *testing.T, sub *hookspb.Subscription) *hookspb.Subscription {
	t.Helper()
	resp, err := s.PutSubscription(t.Context(), &hookspb.PutSubscriptionRequest{Subscription: sub})
	if err != nil {
		t.Fatal(err)
	}
	return resp.GetSubscription()
}

func (s *eventful) subscribe(t *testing.T, name, url string) {
	t.Helper()
	s.put(t, httpsTo(name, url))
}

func httpsTo(name, url string) *hookspb.Subscription {
	return &hookspb.Subscription{Name: name, Target: &hookspb.Subscription_Https{
		Https: &hookspb.HttpsEventTarget{Url: url, Secrets: []string{eventSecret}},
	}}
}

func (s *eventful) deliveries(t *testing.T, req *hookspb.ListDeliveriesRequest) []*hookspb.Delivery {
	t.Helper()
	req.PageSize = 100
	resp, err := s.ListDeliveries(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return resp.GetDeliveries()
}

// awaitState waits until a subscription has so many deliveries in a state, and returns them, oldest first.
func (s *eventful) awaitState(t *testing.T, name string, state hookspb.Delivery_State, n int) []*hookspb.Delivery {
	t.Helper()
	var found []*hookspb.Delivery
	until(t, fmt.Sprintf("%d deliveries of %s are %s", n, name, state), func() bool {
		found = s.deliveries(t, &hookspb.ListDeliveriesRequest{Subscription: name, State: state})
		return len(found) == n
	})
	slices.Reverse(found)
	return found
}

// happened is an event that a subscriber received.
type happened struct {
	ID         string   `json:"id"`
	DetailType string   `json:"detail-type"`
	Source     string   `json:"source"`
	Resources  []string `json:"resources"`
	Detail     struct {
		EventName    string `json:"eventName"`
		DeploymentID string `json:"deploymentId"`
		Reason       string `json:"reason"`
	} `json:"detail"`
	raw         string
	contentType string
}

func (h happened) label() string { return h.Detail.DeploymentID + " " + h.Detail.Reason }

func labels(list []happened) []string {
	all := make([]string, len(list))
	for n, h := range list {
		all[n] = h.label()
	}
	return all
}

// subscriber is a real HTTP server that checks signatures. answer is called with the event and the count of calls, from 1.
type subscriber struct {
	url string
	mu  sync.Mutex
	got []happened
}

func newSubscriber(t *testing.T, answer func(n int, h happened, w http.ResponseWriter)) *subscriber {
	t.Helper()
	s := &subscriber{}
	hook, err := standardwebhooks.NewWebhook(eventSecret)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		if err := hook.Verify(body, r.Header); err != nil {
			t.Errorf("the signature: %v", err)
		}
		h := happened{raw: string(body), contentType: r.Header.Get("Content-Type")}
		if err := json.Unmarshal(body, &h); err != nil || h.ID != r.Header.Get("webhook-id") {
			t.Errorf("%s, webhook-id %q: %v", body, r.Header.Get("webhook-id"), err)
		}
		s.mu.Lock()
		s.got = append(s.got, h)
		n := len(s.got)
		s.mu.Unlock()
		answer(n, h, w)
	}))
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func takes(int, happened, http.ResponseWriter) {}

func fails(_ int, _ happened, w http.ResponseWriter) { w.WriteHeader(http.StatusInternalServerError) }

func (s *subscriber) received() []happened {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]happened(nil), s.got...)
}

func (s *subscriber) await(t *testing.T, n int) []happened {
	t.Helper()
	until(t, fmt.Sprintf("%d events arrive", n), func() bool { return len(s.received()) >= n })
	return s.received()
}

func TestEventsAreDeliveredInOrderAndSigned(t *testing.T) {
	o := newOrchestrator(t)
	s := startNewEventful(t, o)
	to := newSubscriber(t, takes)
	s.subscribe(t, "all", to.url)
	var want []string
	for n := range 20 {
		o.say("d-1", "TRAFFIC_SHIFTED", fmt.Sprint(n), nil)
		want = append(want, fmt.Sprintf("d-1 %d", n))
	}
	o.say("d-1", "SERVICE_DEPLOYMENT_COMPLETED", "ECS deployment d-1 completed.", nil)
	got := to.await(t, 21)
	if labels := labels(got); !slices.Equal(labels, append(want, "d-1 ECS deployment d-1 completed.")) {
		t.Errorf("%q", labels)
	}
	last := got[20]
	if last.DetailType != "ECS Deployment State Change" || last.Source != "aws.ecs" || last.Detail.EventName != "SERVICE_DEPLOYMENT_COMPLETED" ||
		!slices.Equal(last.Resources, []string{"arn:aws:ecs:local:000000000000:service/default/web"}) || last.contentType != "application/json" {
		t.Errorf("%s", last.raw)
	}
	done := s.awaitState(t, "all", hookspb.Delivery_STATE_DELIVERED, 21)
	if d := done[20]; d.GetEventId() != last.ID || d.GetEvent() != last.raw || d.GetAttempts() != 1 || d.GetEndTime() == nil || d.GetOrderKey() != "d-1" {
		t.Errorf("%v", d)
	}
}

// A failing delivery holds back its deployment's events and no others; each attempt has the same id.
func TestAFailingDeliveryIsTriedAgainInItsOrder(t *testing.T) {
	o := newOrchestrator(t)
	s := startNewEventful(t, o)
	release := make(chan struct{})
	to := newSubscriber(t, func(_ int, h happened, w http.ResponseWriter) {
		select {
		case <-release:
		default:
			if h.Detail.DeploymentID == "d-1" {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		}
	})
	s.subscribe(t, "all", to.url)
	o.say("d-1", "TRAFFIC_SHIFTED", "1", nil)
	o.say("d-1", "TRAFFIC_SHIFTED", "2", nil)
	o.say("d-2", "TRAFFIC_SHIFTED", "3", nil)
	until(t, "d-2's event arrives and d-1's is tried again", func() bool {
		count := map[string]int{}
		for _, l := range labels(to.received()) {
			count[l]++
		}
		return count["d-2 3"] == 1 && count["d-1 1"] >= 3
	})
	waiting := s.awaitState(t, "all", hookspb.Delivery_STATE_PENDING, 2)
	if d := waiting[0]; d.GetAttempts() < 2 || d.GetReason() != "answered HTTP status 503 Service Unavailable" || waiting[1].GetAttempts() != 0 {
		t.Errorf("%v", waiting)
	}
	close(release)
	s.awaitState(t, "all", hookspb.Delivery_STATE_DELIVERED, 3)
	ids, order := map[string]string{}, []string{}
	for _, h := range to.received() {
		if have := ids[h.label()]; have != "" && have != h.ID {
			t.Errorf("%s came with the ids %s and %s", h.label(), have, h.ID)
		} else if have == "" && h.Detail.DeploymentID == "d-1" {
			order = append(order, h.label())
		}
		ids[h.label()] = h.ID
	}
	if !slices.Equal(order, []string{"d-1 1", "d-1 2"}) {
		t.Errorf("came in the order %q", order)
	}
}

func TestADeadLetterIsKeptAndRedelivered(t *testing.T) {
	o := newOrchestrator(t)
	s := startNewEventful(t, o)
	var mu sync.Mutex
	broken := true
	to := newSubscriber(t, func(_ int, h happened, w http.ResponseWriter) {
		mu.Lock()
		defer mu.Unlock()
		if broken && h.Detail.Reason != "good" {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	sub, retries := httpsTo("few", to.url), int32(2)
	sub.MaximumRetryAttempts = &retries
	s.put(t, sub)
	o.say("d-1", "TRAFFIC_SHIFTED", "bad", nil)
	o.say("d-1", "TRAFFIC_SHIFTED", "worse", nil)
	o.say("d-1", "TRAFFIC_SHIFTED", "good", nil)
	dead := s.awaitState(t, "few", hookspb.Delivery_STATE_DEAD_LETTER, 2)
	s.awaitState(t, "few", hookspb.Delivery_STATE_DELIVERED, 1)
	if d := dead[0]; d.GetAttempts() != 3 || d.GetReason() != "given up after 2 retries: answered HTTP status 500 Internal Server Error" || d.GetEndTime() == nil {
		t.Errorf("%v", d)
	}
	if got := labels(to.received()); !slices.Equal(got, []string{"d-1 bad", "d-1 bad", "d-1 bad", "d-1 worse", "d-1 worse", "d-1 worse", "d-1 good"}) {
		t.Errorf("%q", got)
	}
	got, err := s.GetSubscription(t.Context(), &hookspb.GetSubscriptionRequest{Name: "few"})
	if err != nil || got.GetSubscription().GetDeadLetterCount() != 2 || got.GetSubscription().GetPendingCount() != 0 {
		t.Errorf("%v, %v", got, err)
	}
	mu.Lock()
	broken = false
	mu.Unlock()
	for range 2 { // the same request_id is the same answer
		r, err := s.RedeliverEvents(t.Context(), &hookspb.RedeliverEventsRequest{RequestId: "r-1", Subscription: "few"})
		if err != nil || r.GetCount() != 2 {
			t.Fatalf("%v, %v", r, err)
		}
	}
	s.awaitState(t, "few", hookspb.Delivery_STATE_DELIVERED, 3)
	again := to.received()[7:]
	if got := labels(again); !slices.Equal(got, []string{"d-1 bad", "d-1 worse"}) || again[0].ID != dead[0].GetEventId() {
		t.Errorf("%q", got)
	}
}

func TestWhatIsRedeliveredIsSelected(t *testing.T) {
	o := newOrchestrator(t)
	s := startNewEventful(t, o)
	to := newSubscriber(t, func(_ int, _ happened, w http.ResponseWriter) { w.WriteHeader(http.StatusGone) })
	s.subscribe(t, "a", to.url)
	s.subscribe(t, "b", to.url)
	o.say("d-1", "TRAFFIC_SHIFTED", "1", nil)
	o.say("d-2", "TRAFFIC_SHIFTED", "2", nil)
	one := s.awaitState(t, "a", hookspb.Delivery_STATE_DEAD_LETTER, 2)[0]
	s.awaitState(t, "b", hookspb.Delivery_STATE_DEAD_LETTER, 2)
	for name, tt := range map[string]struct {
		req  *hookspb.RedeliverEventsRequest
		want int64
	}{
		"an event, wherever":      {&hookspb.RedeliverEventsRequest{EventIds: []string{one.GetEventId()}}, 2},
		"an event, to one":        {&hookspb.RedeliverEventsRequest{EventIds: []string{one.GetEventId()}, Subscription: "b"}, 1},
		"before the first":        {&hookspb.RedeliverEventsRequest{EndTime: one.GetEventTime()}, 0},
		"since the first":         {&hookspb.RedeliverEventsRequest{StartTime: one.GetEventTime()}, 4},
		"an event that is no one": {&hookspb.RedeliverEventsRequest{EventIds: []string{"x"}}, 0},
	} {
		r, err := s.RedeliverEvents(t.Context(), tt.req)
		if err != nil || r.GetCount() != tt.want {
			t.Errorf("%s: %v, %v; want %d", name, r, err, tt.want)
		}
		s.awaitState(t, "a", hookspb.Delivery_STATE_DEAD_LETTER, 2)
		s.awaitState(t, "b", hookspb.Delivery_STATE_DEAD_LETTER, 2)
	}
}

// The service dies while an event is on its way: the next one sends it again, with the same id, and goes on in order.
func TestAnEventOnItsWaySurvivesTheService(t *testing.T) {
	t.Parallel()
	o := newOrchestrator(t)
	url := postgrestest.URL(t)
	arrived, dying := make(chan struct{}), make(chan struct{})
	to := newSubscriber(t, func(n int, _ happened, _ http.ResponseWriter) {
		if n == 1 {
			close(arrived)
			<-dying
		}
	})
	s := startEventful(t, url, o)
	s.subscribe(t, "all", to.url)
	o.say("d-1", "TRAFFIC_SHIFTED", "1", nil)
	o.say("d-1", "TRAFFIC_SHIFTED", "2", nil)
	wait(t, "the first event", arrived)
	s.awaitState(t, "all", hookspb.Delivery_STATE_PENDING, 2)
	s.stop()
	close(dying)
	o.say("d-1", "TRAFFIC_SHIFTED", "3", nil) // while nobody listens
	next := startEventful(t, url, o)
	next.awaitState(t, "all", hookspb.Delivery_STATE_DELIVERED, 3)
	got := to.received()
	if labels := labels(got); !slices.Equal(labels, []string{"d-1 1", "d-1 1", "d-1 2", "d-1 3"}) || got[0].ID != got[1].ID {
		t.Errorf("%q", labels)
	}
	if tokens := o.streams(); len(tokens) != 2 || tokens[0] != "" || tokens[1] == "" {
		t.Errorf("streams were opened with %q", tokens)
	}
}

func TestABrokenStreamIsResumed(t *testing.T) {
	o := newOrchestrator(t)
	s := startNewEventful(t, o)
	to := newSubscriber(t, takes)
	s.subscribe(t, "all", to.url)
	o.say("d-1", "TRAFFIC_SHIFTED", "1", nil)
	to.await(t, 1)
	o.breakStreams()
	o.say("d-1", "TRAFFIC_SHIFTED", "2", nil)
	if got := labels(to.await(t, 2)); !slices.Equal(got, []string{"d-1 1", "d-1 2"}) {
		t.Errorf("%q", got)
	}
}

// Two replicas share one database: each event is recorded and sent once.
func TestReplicasShareTheWork(t *testing.T) {
	t.Parallel()
	o := newOrchestrator(t)
	url := postgrestest.URL(t)
	to := newSubscriber(t, takes)
	first := startEventful(t, url, o)
	second := startEventful(t, url, o)
	first.subscribe(t, "all", to.url)
	for n := range 30 {
		o.say(fmt.Sprintf("d-%d", n%3), "TRAFFIC_SHIFTED", fmt.Sprint(n), nil)
	}
	second.awaitState(t, "all", hookspb.Delivery_STATE_DELIVERED, 30)
	if got := to.received(); len(got) != 30 {
		t.Errorf("%d events arrived", len(got))
	}
	if tokens := o.streams(); len(tokens) != 1 {
		t.Errorf("%d streams were opened", len(tokens))
	}
	first.stop() // the other reads on
	o.say("d-1", "TRAFFIC_SHIFTED", "last", nil)
	second.awaitState(t, "all", hookspb.Delivery_STATE_DELIVERED, 31)
}

// What happens between the service's first migration and its first word with the orchestrator is not lost.
func TestEventsBeforeTheFirstStreamAreRead(t *testing.T) {
	t.Parallel()
	o := newOrchestrator(t)
	o.say("d-0", "TRAFFIC_SHIFTED", "long ago", nil)
	o.events[0].Time.Seconds -= 3600
	to := newSubscriber(t, takes)
	url := postgrestest.URL(t)
	s := startEventful(t, url, nil)
	s.subscribe(t, "all", to.url)
	for n := range 5 {
		o.say("d-1", "TRAFFIC_SHIFTED", fmt.Sprint(n), nil)
	}
	if err := s.app.FollowOrchestrator(grpcclient.Config{Target: o.address}); err != nil {
		t.Fatal(err)
	}
	o.say("d-1", "TRAFFIC_SHIFTED", "5", nil)
	s.awaitState(t, "all", hookspb.Delivery_STATE_DELIVERED, 6)
	if got := labels(to.received()); !slices.Equal(got, []string{"d-1 0", "d-1 1", "d-1 2", "d-1 3", "d-1 4", "d-1 5"}) {
		t.Errorf("%q", got)
	}
}

// A dead endpoint's circuit opens; others get their events meanwhile.
func TestADeadEndpointCostsTheOthersNothing(t *testing.T) {
	o := newOrchestrator(t)
	s := startNewEventful(t, o, func(c *app.Config) { c.Failures, c.Open, c.Events.Workers = 3, time.Hour, 12 })
	ok, down := newSubscriber(t, takes), newSubscriber(t, fails)
	s.subscribe(t, "dead", down.url)
	s.subscribe(t, "well", ok.url)
	for n := range 40 {
		o.say(fmt.Sprintf("d-%d", n), "TRAFFIC_SHIFTED", fmt.Sprint(n), nil)
	}
	s.awaitState(t, "well", hookspb.Delivery_STATE_DELIVERED, 40)
	until(t, "all that are dead wait for the circuit", func() bool {
		for _, d := range s.deliveries(t, &hookspb.ListDeliveriesRequest{Subscription: "dead"}) {
			if d.GetState() != hookspb.Delivery_STATE_PENDING || d.GetNextAttemptTime().AsTime().Before(time.Now().Add(30*time.Minute)) {
				return false
			}
		}
		return true
	})
	if n := len(down.received()); n < 3 || n > 3+12 { // those that were on their way when it opened
		t.Errorf("%d calls of a dead endpoint", n)
	}
	// A new address is tried at once.
	s.subscribe(t, "dead", ok.url)
	s.awaitState(t, "dead", hookspb.Delivery_STATE_DELIVERED, 40)
}

// What is too old is given up; what waited behind it all the time is not sent any more.
func TestWhatIsTooOldIsGivenUp(t *testing.T) {
	o := newOrchestrator(t)
	s := startNewEventful(t, o)
	to := newSubscriber(t, fails)
	s.subscribe(t, "all", to.url)
	o.say("d-1", "TRAFFIC_SHIFTED", "1", nil)
	o.say("d-1", "TRAFFIC_SHIFTED", "2", nil)
	s.awaitState(t, "all", hookspb.Delivery_STATE_PENDING, 2)
	to.await(t, 1)
	if _, err := openDB(t, s.url).Pool.Exec(t.Context(), `UPDATE deliveries SET expire_time = now()`); err != nil {
		t.Fatal(err)
	}
	dead := s.awaitState(t, "all", hookspb.Delivery_STATE_DEAD_LETTER, 2)
	if dead[0].GetReason() != "given up after 24h0m0s: answered HTTP status 500 Internal Server Error" ||
		dead[1].GetReason() != "given up after 24h0m0s: its turn did not come" || dead[1].GetAttempts() != 0 {
		t.Errorf("%v", dead)
	}
	if got := to.received(); got[len(got)-1].label() != "d-1 1" {
		t.Errorf("%s was sent", got[len(got)-1].label())
	}
}
