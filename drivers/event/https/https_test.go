package https_test

import (
	"context"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/slipway-deploy/slipway/drivers/event"
	"github.com/slipway-deploy/slipway/drivers/event/https"
)

const (
	oldSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	newSecret = "whsec_c2xpcHdheS1zbGlwd2F5LXNsaXB3YXktc2xpcA=="
)

var message = event.Message{
	ID: "8a3c-1", Body: []byte(`{"version":"0"}`), ContentType: "application/cloudevents+json",
}

type received struct {
	header http.Header
	method string
	body   string
}

// serve returns the URL of a server that answers so, and what it receives.
func serve(t *testing.T, answer http.HandlerFunc) (string, <-chan received) {
	t.Helper()
	got := make(chan received, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		got <- received{r.Header.Clone(), r.Method, string(body)}
		answer(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL, got
}

func send(t *testing.T, url string, secrets ...string) event.Result {
	t.Helper()
	s := https.New(event.NewClient(event.ClientConfig{}), time.Now)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return s.Send(ctx, event.Target{Address: url, Secrets: secrets}, message)
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func TestAnEventIsSignedForBothSecrets(t *testing.T) {
	url, got := serve(t, status(http.StatusNoContent))
	if r := send(t, url, oldSecret, newSecret); !r.Delivered {
		t.Fatalf("%+v", r)
	}
	r := <-got
	if r.method != http.MethodPost || r.body != `{"version":"0"}` || r.header.Get("Content-Type") != "application/cloudevents+json" ||
		r.header.Get("webhook-id") != "8a3c-1" {
		t.Errorf("%+v", r)
	}
	for _, secret := range []string{oldSecret, newSecret} {
		hook, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			t.Fatal(err)
		}
		if err := hook.Verify([]byte(r.body), r.header); err != nil {
			t.Errorf("%s: %v", secret, err)
		}
		if err := hook.Verify([]byte("another"), r.header); err == nil {
			t.Error("the signature is good for anything")
		}
	}
}

func TestWhatAnAnswerMeans(t *testing.T) {
	for code, want := range map[int]event.Result{
		200: {Delivered: true},
		202: {Delivered: true},
		301: {Reason: "answered HTTP status 301 Moved Permanently"},
		404: {Reason: "answered HTTP status 404 Not Found"},
		410: {Reason: "answered HTTP status 410 Gone", Final: true},
		429: {Reason: "answered HTTP status 429 Too Many Requests", After: 7 * time.Second},
		500: {Reason: "answered HTTP status 500 Internal Server Error"},
	} {
		url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if code == 429 {
				w.Header().Set("Retry-After", "7")
			}
			if code == 301 {
				w.Header().Set("Location", "/elsewhere")
			}
			if r.URL.Path == "/elsewhere" {
				t.Error("a redirect was followed")
			}
			w.WriteHeader(code)
		})
		if got := send(t, url, oldSecret); got != want {
			t.Errorf("%d: %+v, want %+v", code, got, want)
		}
	}
}

func TestRetryAfterMayBeATime(t *testing.T) {
	url, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", time.Now().Add(time.Minute).UTC().Format(http.TimeFormat))
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	if got := send(t, url, oldSecret); got.After < 50*time.Second || got.After > time.Minute {
		t.Errorf("%+v", got)
	}
}

func TestALongAnswerIsNotRead(t *testing.T) {
	url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil { // until the connection is closed
			if _, err := w.Write(make([]byte, 32<<10)); err != nil {
				return
			}
		}
	})
	if got := send(t, url, oldSecret); !got.Delivered {
		t.Errorf("%+v", got)
	}
}

func TestWhatIsSilentIsGivenUp(t *testing.T) {
	url, _ := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	s := https.New(event.NewClient(event.ClientConfig{}), time.Now)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	got := s.Send(ctx, event.Target{Address: url, Secrets: []string{oldSecret}}, message)
	if got != (event.Result{Reason: "no answer in time"}) {
		t.Errorf("%+v", got)
	}
}

func TestNoReasonShowsTheURLOrASecret(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	bad := "whsec_" + base64.StdEncoding.EncodeToString([]byte("hunter2")) + "!"
	for _, got := range []event.Result{
		send(t, "http://"+l.Addr().String()+"/?token=hunter2", oldSecret), // nobody listens
		send(t, "http://127.0.0.1:1/", bad),
		send(t, "http://127.0.0.1:1/"),
	} {
		if got.Delivered || got.Reason == "" || strings.Contains(got.Reason, "hunter2") || strings.Contains(got.Reason, bad) {
			t.Errorf("%+v", got)
		}
	}
}

// A name that is checked when it is put may lead elsewhere later.
func TestHTTPStaysOnThisMachine(t *testing.T) {
	got := send(t, "http://192.0.2.1/", oldSecret)
	if !got.Final || !strings.Contains(got.Reason, "loopback") {
		t.Errorf("%+v", got)
	}
}
