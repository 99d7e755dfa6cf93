package handler

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/slipway-deploy/slipway/services/hooks/internal/invocation"
)

func post(t *testing.T, url string, cfg Config, timeout time.Duration) Reply {
	t.Helper()
	return NewCaller(cfg, quiet()).Call(t.Context(), Call{
		Target: invocation.Target{Kind: invocation.Webhook, Address: url}, Invocation: "d-1/X/0/smoke", Attempt: 3,
		Request: `{"executionId":"d-1/X/0/smoke"}`, Timeout: timeout,
	})
}

func webhookThat(t *testing.T, f http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return server.URL
}

func TestAWebhookReceivesTheIdentityOfTheAttempt(t *testing.T) {
	got := make(chan *http.Request, 1)
	body := make(chan string, 1)
	url := webhookThat(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got <- r
		body <- string(b)
		fmt.Fprint(w, `{"hookStatus":"SUCCEEDED"}`)
	})
	r := post(t, url+"/hook?x=y", Config{}, 5*time.Second)
	if want := (invocation.Answered{Attempt: 3, Answer: invocation.Answer{Status: "SUCCEEDED"}}); !reflect.DeepEqual(r.Event, want) {
		t.Errorf("%+v", r)
	}
	if r.Response != `{"hookStatus":"SUCCEEDED"}` || r.HookStatus != "SUCCEEDED" || r.Error != "" {
		t.Errorf("%+v", r)
	}
	req := <-got
	if b := <-body; req.Method != http.MethodPost || req.URL.String() != "/hook?x=y" || b != `{"executionId":"d-1/X/0/smoke"}` {
		t.Errorf("%s %s %s", req.Method, req.URL, b)
	}
	for header, want := range map[string]string{
		"Slipway-Invocation-Id": "d-1/X/0/smoke", "Slipway-Attempt": "3", "Webhook-Id": "d-1/X/0/smoke/3", "Content-Type": "application/json",
	} {
		if v := req.Header.Get(header); v != want {
			t.Errorf("%s: %q, want %q", header, v, want)
		}
	}
}

func TestWhatAWebhookAnswers(t *testing.T) {
	long := strings.Repeat("x", MaxAnswer+1)
	tests := map[string]struct {
		status int
		body   string
		want   invocation.Event
	}{
		"200 succeeded":         {200, `{"hookStatus":"SUCCEEDED"}`, answered(invocation.Answer{Status: "SUCCEEDED"})},
		"202 empty":             {202, ``, answered(invocation.Answer{Status: "IN_PROGRESS", Accepted: true})},
		"202 with its own body": {202, `accepted`, answered(invocation.Answer{Status: "IN_PROGRESS", Accepted: true})},
		"202 with a delay":      {202, `{"callBackDelay":2}`, answered(invocation.Answer{Status: "IN_PROGRESS", Delay: seconds(2)})},
		"202 with details":      {202, `{"hookDetails":{"run":1}}`, answered(invocation.Answer{Status: "IN_PROGRESS", Accepted: true, Details: invocation.Details{"run": 1.0}})},
		"202 with a status":     {202, `{"hookStatus":"FAILED"}`, answered(invocation.Answer{Status: "FAILED"})},
		"204":                   {204, ``, answered(invocation.Answer{Broken: "answered what is not a JSON object: (nothing)"})},
		"200 too long":          {200, long, answered(invocation.Answer{Broken: "answered more than 65536 bytes"})},
		"302":                   {302, ``, unanswered("answered HTTP status 302 Found", true)},
		"404":                   {404, `nothing here`, unanswered("answered HTTP status 404 Not Found", true)},
		"408":                   {408, ``, unanswered("answered HTTP status 408 Request Timeout", false)},
		"429":                   {429, ``, unanswered("answered HTTP status 429 Too Many Requests", false)},
		"500 with an answer":    {500, `{"hookStatus":"SUCCEEDED"}`, unanswered("answered HTTP status 500 Internal Server Error", false)},
		"503 too long":          {503, long, unanswered("answered HTTP status 503 Service Unavailable", false)},
		"599":                   {599, ``, unanswered("answered HTTP status 599", false)},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			url := webhookThat(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tt.status)
				fmt.Fprint(w, tt.body)
			})
			r := post(t, url, Config{}, 5*time.Second)
			if !reflect.DeepEqual(r.Event, tt.want) {
				t.Errorf("got  %+v\nwant %+v", r.Event, tt.want)
			}
			if len(r.Response) > MaxAnswer || !strings.HasPrefix(tt.body, r.Response) || (tt.body != "" && tt.status != 204 && r.Response == "") {
				t.Errorf("%d bytes of the answer kept", len(r.Response))
			}
		})
	}
}

func answered(a invocation.Answer) invocation.Event {
	return invocation.Answered{Attempt: 3, Answer: a}
}

func unanswered(text string, final bool) invocation.Event {
	return invocation.Unanswered{Attempt: 3, Error: text, Final: final}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	reached := make(chan struct{}, 1)
	other := webhookThat(t, func(http.ResponseWriter, *http.Request) { reached <- struct{}{} })
	url := webhookThat(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other, http.StatusTemporaryRedirect)
	})
	post(t, url, Config{}, 5*time.Second)
	if len(reached) != 0 {
		t.Error("the redirect was followed")
	}
}

func TestASilentWebhookIsGivenUpAfterItsTimeout(t *testing.T) {
	url := webhookThat(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then does the server notice that the client is gone
		<-r.Context().Done()
	})
	r := post(t, url, Config{}, 50*time.Millisecond)
	if want := begunThen(unanswered("no answer within 50ms", false)); !reflect.DeepEqual(r.Event, want) {
		t.Errorf("%+v, want %+v", r.Event, want)
	}
}

func TestAnAnswerThatBreaksOffIsNoAnswer(t *testing.T) {
	url := webhookThat(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		fmt.Fprint(w, `{"hookStatus":`)
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	r := post(t, url, Config{}, 5*time.Second)
	if u, ok := r.Event.(invocation.Unanswered); !ok || u.Final || !u.Begun || !strings.Contains(u.Error, "broke off") {
		t.Errorf("%+v", r.Event)
	}
}

func TestAConnectionClosedWithoutAnAnswerIsNoAnswer(t *testing.T) {
	url := webhookThat(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	if r := post(t, url, Config{}, 5*time.Second); !reflect.DeepEqual(r.Event, begunThen(unanswered("the connection was closed without an answer", false))) {
		t.Errorf("%+v", r.Event)
	}
}

func TestARefusedConnectionIsNoAnswer(t *testing.T) {
	r := post(t, "http://"+closedPort(t)+"/?token=secret", Config{}, 5*time.Second)
	if u, ok := r.Event.(invocation.Unanswered); !ok || u.Final || u.Begun || !strings.Contains(u.Error, "refused") || strings.Contains(u.Error, "secret") {
		t.Errorf("%+v", r.Event)
	}
}

func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// A URL may have passed when it was registered and lead elsewhere now: the address that is dialled is what counts.
func TestPlainHTTPIsDialledOnLoopbackOnly(t *testing.T) {
	r := post(t, "http://192.0.2.1/hook", Config{}, time.Second)
	if u, ok := r.Event.(invocation.Unanswered); !ok || !u.Final || !strings.Contains(u.Error, "loopback") {
		t.Errorf("%+v", r.Event)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	allowed := NewCaller(Config{AllowHTTP: true}, quiet()).Call(ctx, Call{
		Target: invocation.Target{Kind: invocation.Webhook, Address: "http://192.0.2.1/hook"}, Attempt: 3, Timeout: time.Second,
	})
	if u, ok := allowed.Event.(invocation.Unanswered); !ok || u.Final {
		t.Errorf("allowed: %+v", allowed.Event)
	}
}

func TestAWebhookOverTLSIsCheckedWithTheGivenAuthorities(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"hookStatus":"SUCCEEDED"}`) }))
	server.Config.ErrorLog = nil
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	if r := post(t, server.URL, Config{RootCAs: roots}, 5*time.Second); r.HookStatus != "SUCCEEDED" {
		t.Errorf("%+v", r)
	}
	r := post(t, server.URL, Config{RootCAs: x509.NewCertPool()}, 5*time.Second)
	if u, ok := r.Event.(invocation.Unanswered); !ok || !strings.Contains(u.Error, "certificate") {
		t.Errorf("an unknown authority: %+v", r)
	}
}

// begunThen is an event after which the handler may have begun.
func begunThen(e invocation.Event) invocation.Event {
	u := e.(invocation.Unanswered)
	u.Begun = true
	return u
}

// What is sent is signed with each secret at the time of the sending, under the attempt's id; a resend has the same id.
func TestAWebhookIsSignedAsStandardWebhooksSays(t *testing.T) {
	now := time.Now()
	secrets := []string{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"}
	type sent struct {
		header http.Header
		body   []byte
	}
	got := make(chan sent, 2)
	url := webhookThat(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- sent{r.Header, body}
		fmt.Fprint(w, `{"hookStatus":"SUCCEEDED"}`)
	})
	caller := NewCaller(Config{Now: func() time.Time { return now }}, quiet())
	call := Call{
		Target: invocation.Target{Kind: invocation.Webhook, Address: url, Secrets: secrets}, Invocation: "d-1/X/0/smoke", Attempt: 3,
		Request: `{"executionId":"d-1/X/0/smoke"}`, Timeout: 5 * time.Second,
	}
	for range 2 {
		if r := caller.Call(t.Context(), call); r.HookStatus != "SUCCEEDED" {
			t.Fatalf("%+v", r)
		}
		r := <-got
		if r.header.Get("webhook-id") != "d-1/X/0/smoke/3" || r.header.Get("webhook-timestamp") != strconv.FormatInt(now.Unix(), 10) {
			t.Errorf("%v", r.header)
		}
		for _, secret := range secrets {
			receiver, err := standardwebhooks.NewWebhook(secret)
			if err != nil {
				t.Fatal(err)
			}
			if err := receiver.Verify(r.body, r.header); err != nil {
				t.Errorf("a receiver that knows one secret: %v", err)
			}
			if receiver.Verify(append(r.body, ' '), r.header) == nil {
				t.Error("another body is taken")
			}
		}
		now = now.Add(time.Minute)
	}
	call.Target.Secrets = nil
	caller.Call(t.Context(), call)
	if r := <-got; r.header.Get("webhook-signature") != "" {
		t.Errorf("without a secret: %v", r.header)
	}
}
