package subscription

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const goodSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func https(url string) Subscription {
	return Subscription{Name: "s", Target: Target{Kind: HTTPS, Address: url, Secrets: Secrets{goodSecret}}, MaximumRetries: 3}
}

func TestDefaultsAreEventBridges(t *testing.T) {
	s, broken := New(https("https://example.com/"), false)
	if broken != nil || s.Format != EventBridgeFormat || s.MaximumAge != 24*time.Hour || s.CallTimeout != 10*time.Second {
		t.Errorf("%+v, %v", s, broken)
	}
	s, broken = New(Subscription{Name: "s", Target: Target{Kind: EventBridge}}, false)
	if broken != nil || s.Target.Address != "default" {
		t.Errorf("%+v, %v", s, broken)
	}
	s, broken = New(Subscription{Name: "s", Target: Target{Kind: SNS, Address: "arn:aws:sns:eu-north-1:123456789012:t.fifo"}}, false)
	if broken != nil || s.Target.Region != "eu-north-1" {
		t.Errorf("%+v, %v", s, broken)
	}
}

func TestBadDefinitionsNameTheField(t *testing.T) {
	tests := map[string]struct {
		s     Subscription
		field string
	}{
		"a name with a space":   {Subscription{Name: "a b", Target: Target{Kind: GRPCStream}}, "name"},
		"a long name":           {Subscription{Name: strings.Repeat("a", 65), Target: Target{Kind: GRPCStream}}, "name"},
		"a short age":           {Subscription{Name: "s", Target: Target{Kind: GRPCStream}, MaximumAge: 59 * time.Second}, "maximum_event_age"},
		"a long age":            {Subscription{Name: "s", Target: Target{Kind: GRPCStream}, MaximumAge: 25 * time.Hour}, "maximum_event_age"},
		"many retries":          {Subscription{Name: "s", Target: Target{Kind: GRPCStream}, MaximumRetries: 186}, "maximum_retry_attempts"},
		"a long call":           {Subscription{Name: "s", Target: Target{Kind: GRPCStream}, CallTimeout: 2 * time.Minute}, "call_timeout"},
		"no target":             {Subscription{Name: "s"}, "target"},
		"http to elsewhere":     {https("http://example.com/"), "https.url"},
		"a password":            {https("https://a:b@example.com/"), "https.url"},
		"an unmarked secret":    {Subscription{Name: "s", Target: Target{Kind: HTTPS, Address: "https://a/", Secrets: Secrets{"hunter2"}}}, "https.secrets[0]"},
		"a short secret":        {Subscription{Name: "s", Target: Target{Kind: HTTPS, Address: "https://a/", Secrets: Secrets{goodSecret, "whsec_aGk="}}}, "https.secrets[1]"},
		"no topic":              {Subscription{Name: "s", Target: Target{Kind: SNS, Address: "arn:aws:sqs:a:123456789012:q"}}, "sns.topic_arn"},
		"http to an AWS":        {Subscription{Name: "s", Target: Target{Kind: EventBridge, Endpoint: "http://example.com"}}, "event_bridge.endpoint_url"},
		"a bus with a space":    {Subscription{Name: "s", Target: Target{Kind: EventBridge, Address: "a b"}}, "event_bridge.event_bus_name"},
		"CloudEvents for a bus": {Subscription{Name: "s", Format: CloudEventsFormat, Target: Target{Kind: EventBridge}}, "format"},
	}
	for name, tt := range tests {
		_, broken := New(tt.s, false)
		if len(broken) != 1 || broken[0].Field != tt.field || broken[0].Rule == "" {
			t.Errorf("%s: %v, want a violation of %s", name, broken, tt.field)
		}
	}
	if _, broken := New(https("http://example.com/"), true); broken != nil {
		t.Errorf("http:// that is allowed: %v", broken)
	}
}

func TestSecretsAreNotShown(t *testing.T) {
	s := https("https://example.com/")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(verb, s); strings.Contains(got, "MfKQ9r8") {
			t.Errorf("%s shows %s", verb, got)
		}
	}
	bad := s
	bad.Target.Secrets = Secrets{"whsec_hunter2hunter2"}
	if _, broken := New(bad, false); len(broken) != 1 || strings.Contains(broken[0].Rule, "hunter2") {
		t.Errorf("%v", broken)
	}
}

var (
	noon    = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	seconds = Backoff{First: time.Second, Last: 10 * time.Minute}
)

func TestWhatBecomesOfADelivery(t *testing.T) {
	s := Subscription{MaximumRetries: 3, MaximumAge: time.Hour}
	fresh := Progress{Expire: noon.Add(time.Hour)}
	failed := Outcome{Reason: "answered HTTP status 500"}
	tests := map[string]struct {
		p    Progress
		o    Outcome
		now  time.Time
		want Verdict
	}{
		"taken":           {fresh, Outcome{Delivered: true}, noon, Verdict{State: Delivered, Attempts: 1}},
		"failed":          {fresh, failed, noon, Verdict{State: Pending, Attempts: 1, Reason: failed.Reason, Next: noon.Add(time.Second)}},
		"failed again":    {Progress{Attempts: 2, Expire: fresh.Expire}, failed, noon, Verdict{State: Pending, Attempts: 3, Reason: failed.Reason, Next: noon.Add(4 * time.Second)}},
		"no retries left": {Progress{Attempts: 3, Expire: fresh.Expire}, failed, noon, Verdict{State: DeadLetter, Attempts: 4, Reason: "given up after 3 retries: answered HTTP status 500"}},
		"gone":            {fresh, Outcome{Final: true, Reason: "gone"}, noon, Verdict{State: DeadLetter, Attempts: 1, Reason: "gone"}},
		"asked to wait":   {fresh, Outcome{Reason: "429", After: time.Minute}, noon, Verdict{State: Pending, Attempts: 1, Reason: "429", Next: noon.Add(time.Minute)}},
		"asked for ever":  {Progress{Expire: noon.Add(20 * time.Hour)}, Outcome{Reason: "429", After: 10 * time.Hour}, noon, Verdict{State: Pending, Attempts: 1, Reason: "429", Next: noon.Add(time.Hour)}},
		"one last time":   {fresh, failed, fresh.Expire.Add(-time.Millisecond), Verdict{State: Pending, Attempts: 1, Reason: failed.Reason, Next: fresh.Expire}},
		"too old":         {fresh, failed, fresh.Expire, Verdict{State: DeadLetter, Attempts: 1, Reason: "given up after 1h0m0s: answered HTTP status 500"}},
		"taken at last":   {fresh, Outcome{Delivered: true}, fresh.Expire.Add(time.Second), Verdict{State: Delivered, Attempts: 1}},
		"postponed":       {fresh, Outcome{Postponed: true, After: 9 * time.Second, Reason: "open"}, noon, Verdict{State: Pending, Reason: "open", Next: noon.Add(9 * time.Second)}},
		"postponed, old":  {fresh, Outcome{Postponed: true, Reason: "open"}, fresh.Expire, Verdict{State: DeadLetter, Reason: "given up after 1h0m0s: open"}},
	}
	for name, tt := range tests {
		if got := Decide(s, tt.p, tt.o, seconds, tt.now, 0); got != tt.want {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
	}
	if got := Expired(s, fresh); got.State != DeadLetter || got.Attempts != 0 {
		t.Errorf("%+v", got)
	}
}

// Whatever a target does, a delivery ends: it has at most its retries and one, none is made long after its age, and no
// pause is longer than the longest.
func TestADeliveryEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Subscription{
			MaximumRetries: rapid.IntRange(0, MaximumRetries).Draw(t, "retries"),
			MaximumAge:     time.Duration(rapid.Int64Range(int64(MinimumAge), int64(MaximumAge)).Draw(t, "age")),
		}
		now := noon
		p := Progress{Expire: now.Add(s.MaximumAge)}
		for steps := 0; ; steps++ {
			if steps > 5000 {
				t.Fatal("it goes on and on")
			}
			o := Outcome{Reason: "no", Postponed: rapid.IntRange(0, 9).Draw(t, "postponed") == 0, After: 0}
			if o.Postponed {
				o.After = 10 * time.Second
			}
			v := Decide(s, p, o, seconds, now, rapid.Float64Range(0, 1).Draw(t, "jitter"))
			if v.State == DeadLetter {
				if v.Attempts > s.MaximumRetries+1 {
					t.Fatalf("%d attempts of %d retries", v.Attempts, s.MaximumRetries)
				}
				return
			}
			if v.Next.Before(now) || v.Next.After(p.Expire) || v.Next.Sub(now) > seconds.Last {
				t.Fatalf("next %s after %s, expires %s", v.Next.Sub(now), now, p.Expire)
			}
			p.Attempts, now = v.Attempts, v.Next
		}
	})
}

// texts is a compiler whose matchers are for events that hold one of the pattern's strings.
func texts(compiled *[]string) Compiler {
	return func(pattern []byte) (Matcher, error) {
		if bytes.Contains(pattern, []byte("bad")) {
			return nil, errors.New("it is bad")
		}
		*compiled = append(*compiled, string(bytes.TrimSpace(pattern)))
		return same(bytes.TrimSpace(pattern)), nil
	}
}

type same []byte

func (s same) Match(event []byte) (bool, error) { return bytes.Equal(s, event), nil }

func TestTheAliasOfECSsDetailTypeIsTaken(t *testing.T) {
	tests := map[string][]string{
		`{"detail-type":["ECS Service Deployment State Change"]}`: {
			`{"detail-type":["ECS Service Deployment State Change"]}`, `{"detail-type":["ECS Deployment State Change"]}`,
		},
		`{"$or":[{"detail-type":["x","ECS Service Deployment State Change"]},{"detail":{"n":[3e2]}}]}`: {
			`{"$or":[{"detail-type":["x","ECS Service Deployment State Change"]},{"detail":{"n":[3e2]}}]}`,
			`{"$or":[{"detail-type":["x","ECS Deployment State Change"]},{"detail":{"n":[3e2]}}]}`,
		},
		`{"detail-type":["ECS Deployment State Change"]}`: {`{"detail-type":["ECS Deployment State Change"]}`},
		// Only where detail types are compared with it.
		`{"detail":{"reason":["ECS Service Deployment State Change"]}}`: {`{"detail":{"reason":["ECS Service Deployment State Change"]}}`},
		`{"detail-type":[{"anything-but":"ECS Service Deployment State Change"}]}`: {
			`{"detail-type":[{"anything-but":"ECS Service Deployment State Change"}]}`,
		},
	}
	for pattern, want := range tests {
		var compiled []string
		f, err := NewFilter(pattern, texts(&compiled))
		if err != nil || !slices.Equal(compiled, want) {
			t.Errorf("%s compiles %q, want %q; %v", pattern, compiled, want, err)
		}
		for _, event := range want {
			if ok, err := f.Match([]byte(event)); !ok || err != nil {
				t.Errorf("%s does not match %s: %v", pattern, event, err)
			}
		}
		if ok, _ := f.Match([]byte("{}")); ok {
			t.Errorf("%s matches anything", pattern)
		}
	}
}

func TestNoPatternMatchesEverything(t *testing.T) {
	f, err := NewFilter("", nil)
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := f.Match([]byte("{}")); !ok || err != nil {
		t.Errorf("%t, %v", ok, err)
	}
	if _, err := NewFilter("bad", texts(new([]string))); err == nil {
		t.Error("a bad pattern is taken")
	}
}
