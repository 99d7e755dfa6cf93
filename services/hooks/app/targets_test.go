package app_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/durationpb"

	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	"github.com/slipway-deploy/slipway/platform/postgres/postgrestest"
	"github.com/slipway-deploy/slipway/services/hooks/app"
)

const (
	hookSecret      = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	otherHookSecret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
)

func lambdaTarget(function, qualifier string) *hookspb.Hook_Lambda {
	return &hookspb.Hook_Lambda{Lambda: &hookspb.LambdaTarget{Function: function, Qualifier: qualifier}}
}

func execTarget(command string, args ...string) *hookspb.Hook_Exec {
	return &hookspb.Hook_Exec{Exec: &hookspb.ExecTarget{Command: command, Args: args}}
}

func signed(url string, secrets ...string) *hookspb.Hook {
	hook := webhookHook(url)
	hook.GetWebhook().Secrets = secrets
	return hook
}

func (s *service) mustRegister(t *testing.T, hook *hookspb.Hook) *hookspb.Hook {
	t.Helper()
	hook.Name = "smoke"
	resp, err := s.RegisterHook(t.Context(), &hookspb.RegisterHookRequest{Hook: hook})
	if err != nil {
		t.Fatal(err)
	}
	return resp.GetHook()
}

// Secrets go in and never come out; they stay when a definition that was read is registered again, and change the etag
// when they change.
func TestSecretsAreWriteOnly(t *testing.T) {
	s := startNew(t)
	const url = "https://hooks.example.com/"
	first := s.mustRegister(t, signed(url, hookSecret))
	steps := []struct {
		what      string
		hook      *hookspb.Hook
		count     int32
		unchanged bool
	}{
		{"the same again", signed(url, hookSecret), 1, true},
		{"as it was read", first, 1, true},
		{"two while they change", signed(url, otherHookSecret, hookSecret), 2, false},
		{"the new one alone", signed(url, otherHookSecret), 1, false},
		{"another endpoint", signed(url + "x"), 0, false},
		{"signed again", signed(url+"x", hookSecret), 1, false},
		{"not signed any more", &hookspb.Hook{Target: &hookspb.Hook_Webhook{Webhook: &hookspb.WebhookTarget{Url: url + "x", Unsigned: true}}}, 0, false},
	}
	etag := first.GetEtag()
	for _, step := range steps {
		got := s.mustRegister(t, step.hook)
		if got.GetWebhook().GetSecretCount() != step.count || (got.GetEtag() == etag) != step.unchanged {
			t.Errorf("%s: %v after etag %s", step.what, got, etag)
		}
		etag, step.hook.Etag = got.GetEtag(), ""
		read, err := s.GetHook(t.Context(), &hookspb.GetHookRequest{Name: "smoke"})
		if err != nil {
			t.Fatal(err)
		}
		if text := protojson.Format(read) + protojson.Format(got); strings.Contains(text, "whsec_") {
			t.Errorf("%s: %s", step.what, text)
		}
		first.Etag = ""
	}
}

// verifying answers only what is signed with the secret.
func verifying(secret string) func(int, http.ResponseWriter, *http.Request, string) {
	return func(_ int, w http.ResponseWriter, r *http.Request, body string) {
		receiver, err := standardwebhooks.NewWebhook(secret)
		if err == nil {
			err = receiver.Verify([]byte(body), r.Header)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, `{"hookStatus":"SUCCEEDED"}`)
	}
}

func TestAWebhookCanVerifyWhoCallsAlsoWhileSecretsChange(t *testing.T) {
	s := startNew(t)
	answer := verifying(hookSecret)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			answer(1, w, r, string(body))
		}
	}))
	t.Cleanup(server.Close)
	call := func(id string) *hookspb.Invocation {
		s.invoke(t, invocation(id))
		return s.end(t, id)
	}
	s.register(t, signed(server.URL, hookSecret))
	if i := call("d-1/1"); i.GetState() != hookspb.Invocation_STATE_SUCCEEDED {
		t.Errorf("with its secret: %v", i)
	}
	s.register(t, signed(server.URL, otherHookSecret))
	if i := call("d-1/2"); i.GetState() != hookspb.Invocation_STATE_FAILED || !strings.Contains(i.GetReason(), "401") {
		t.Errorf("with another secret: %v", i)
	}
	s.register(t, signed(server.URL, otherHookSecret, hookSecret))
	if i := call("d-1/3"); i.GetState() != hookspb.Invocation_STATE_SUCCEEDED {
		t.Errorf("with both: %v", i)
	}
}

// fakeLambda speaks the Invoke API.
func fakeLambda(t *testing.T, answer func(n int, w http.ResponseWriter)) (url string, got chan string) {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	got = make(chan string, 10)
	n := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		n++
		got <- r.Method + " " + r.URL.RequestURI() + " " + r.Header.Get("X-Amz-Invocation-Type") + " " + string(body)
		answer(n, w)
	}))
	t.Cleanup(server.Close)
	return server.URL, got
}

func TestALambdaFunctionIsAHook(t *testing.T) {
	url, got := fakeLambda(t, func(n int, w http.ResponseWriter) {
		switch n {
		case 1:
			w.Header().Set("X-Amzn-Errortype", "TooManyRequestsException")
			w.WriteHeader(http.StatusTooManyRequests)
			fmt.Fprint(w, `{"message":"Rate exceeded"}`)
		case 2:
			fmt.Fprint(w, `{"hookStatus":"IN_PROGRESS","callBackDelay":0.1,"hookDetails":{"run":17}}`)
		default:
			fmt.Fprint(w, `{"hookStatus":"SUCCEEDED"}`)
		}
	})
	s := start(t, postgrestest.URL(t), func(c *app.Config) { c.Targets.LambdaEndpoint, c.Targets.LambdaRegion = url, "eu-north-1" })
	hook := s.mustRegister(t, &hookspb.Hook{Target: lambdaTarget("smoke", "live")})
	if hook.GetCallTimeout().AsDuration() != 15*time.Minute || hook.GetLambda().GetQualifier() != "live" {
		t.Errorf("registered %v", hook)
	}
	s.invoke(t, invocation(id))
	s.wantSucceeded(t, id)
	var last string
	for range 3 {
		last = wait(t, "a call", got)
	}
	const begin = "POST /2015-03-31/functions/smoke/invocations?Qualifier=live RequestResponse "
	var body map[string]any
	if text, ok := strings.CutPrefix(last, begin); !ok || json.Unmarshal([]byte(text), &body) != nil {
		t.Fatalf("called %s", last)
	}
	if body["executionId"] != id || body["resourceArn"] != "default/web/d-1" || !reflect.DeepEqual(body["hookDetails"], map[string]any{"run": 17.0}) {
		t.Errorf("called with %v", body)
	}
	if a := s.attempts(t, id); len(a) != 3 || a[0].GetError() != "TooManyRequestsException: Rate exceeded" {
		t.Errorf("recorded %v", a)
	}
}

func TestAnErrorOfALambdaFunctionFailsTheHook(t *testing.T) {
	url, _ := fakeLambda(t, func(_ int, w http.ResponseWriter) {
		w.Header().Set("X-Amz-Function-Error", "Unhandled")
		fmt.Fprint(w, `{"errorType":"ValueError","errorMessage":"no such page"}`)
	})
	s := start(t, postgrestest.URL(t), func(c *app.Config) { c.Targets.LambdaEndpoint, c.Targets.LambdaRegion = url, "eu-north-1" })
	s.register(t, &hookspb.Hook{Target: lambdaTarget("smoke", "")})
	s.invoke(t, invocation(id))
	if i := s.wantFailed(t, id); i.GetReason() != "attempt 1: the function failed: Unhandled: ValueError: no such page" {
		t.Errorf("reason %q", i.GetReason())
	}
}

func TestACommandIsAHookWhereTheOperatorAllowsIt(t *testing.T) {
	directory := t.TempDir()
	path := filepath.Join(directory, "smoke")
	const text = `#!/bin/sh
echo checking "$1" >&2
case "$(cat)" in
*'"lifecycleStage":"POST_SCALE_UP"'*) echo '{"hookStatus":"SUCCEEDED","reason":"'"$1"'"}' ;;
*) exit 3 ;;
esac
`
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	s := startNew(t, func(c *app.Config) { c.Targets.AllowedCommands = []string{directory} })
	s.register(t, &hookspb.Hook{Target: execTarget(path, "the page")})
	s.invoke(t, invocation(id))
	if i := s.wantSucceeded(t, id); i.GetReason() != "attempt 1 answered SUCCEEDED: the page" {
		t.Errorf("reason %q", i.GetReason())
	}
	other := invocation("d-1/other")
	other.LifecycleStage = "SCALE_UP"
	s.invoke(t, other)
	if i := s.wantFailed(t, "d-1/other"); i.GetReason() != "attempt 1: the command failed: exit status 3: checking the page" {
		t.Errorf("reason %q", i.GetReason())
	}
}

// What a hook returned at one stage is sent to it at the next, and to no other hook and in no other deployment.
func TestDetailsAreCarriedFromStageToStage(t *testing.T) {
	s := startNew(t)
	h := newWebhook(t, says(`{"hookStatus":"SUCCEEDED","hookDetails":{"run":17}}`))
	other := webhookHook(h.url)
	other.Name = "other"
	s.register(t, webhookHook(h.url))
	s.register(t, other)
	call := func(id, hook, deployment string) any {
		i := invocation(id)
		i.Hook, i.Deployment, i.HookDetails = hook, deployment, details(t, map[string]any{"suite": "smoke", "run": 0})
		s.invoke(t, i)
		s.wantSucceeded(t, id)
		calls := h.calls()
		var body map[string]any
		if err := json.Unmarshal([]byte(calls[len(calls)-1].body), &body); err != nil {
			t.Fatal(err)
		}
		return body["hookDetails"].(map[string]any)["run"]
	}
	for _, tt := range []struct {
		id, hook, deployment string
		want                 float64
	}{
		{"1", "smoke", "d-1", 0}, {"2", "smoke", "d-1", 17}, {"3", "smoke", "d-1", 17}, {"4", "other", "d-1", 0}, {"5", "smoke", "d-2", 0},
	} {
		if got := call(tt.id, tt.hook, tt.deployment); got != tt.want {
			t.Errorf("call %s of %s in %s has run %v, want %v", tt.id, tt.hook, tt.deployment, got, tt.want)
		}
	}
}

func TestHandlersSeeARNsWhenTheOperatorWantsThem(t *testing.T) {
	s := startNew(t, func(c *app.Config) { c.Targets.ARNs, c.Events.Region = true, "eu-north-1" })
	h := newWebhook(t, says(`{"hookStatus":"SUCCEEDED"}`))
	s.register(t, webhookHook(h.url))
	s.invoke(t, invocation(id))
	s.wantSucceeded(t, id)
	const want = `"resourceArn":"arn:aws:ecs:eu-north-1:000000000000:service-deployment/default/web/d-1"`
	if body := h.calls()[0].body; !strings.Contains(body, want) || !strings.Contains(body, `000000000000:service-revision/default/web/2"`) {
		t.Errorf("called with %s", body)
	}
}

// Two hooks that lead to one endpoint share its circuit; another endpoint on the same server has one of its own.
func TestHooksOfOneEndpointShareItsCircuit(t *testing.T) {
	s := startNew(t, func(c *app.Config) { c.Failures, c.Open = 1, time.Hour })
	h := newWebhook(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/dead" {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, `{"hookStatus":"SUCCEEDED"}`)
	})
	for name, url := range map[string]string{"first": h.url + "/dead?a", "second": h.url + "/dead?b", "third": h.url + "/well"} {
		hook := webhookHook(url)
		hook.Name = name
		s.register(t, hook)
	}
	invoke := func(hook string) {
		i := invocation(hook)
		i.Hook = hook
		s.invoke(t, i)
	}
	invoke("first")
	s.await(t, "first", func(i *hookspb.Invocation) bool { return strings.Contains(i.GetReason(), "503") })
	invoke("second")
	i := s.await(t, "second", func(i *hookspb.Invocation) bool { return strings.Contains(i.GetReason(), "postponed") })
	if want := "the circuit of WEBHOOK " + h.url + "/dead is open"; !strings.Contains(i.GetReason(), want) {
		t.Errorf("reason %q, want %q", i.GetReason(), want)
	}
	invoke("third")
	s.wantSucceeded(t, "third")
}

func TestInvocationsOfOneServiceCanBeWatchedAndListed(t *testing.T) {
	s := startNew(t)
	s.register(t, webhookHook(newWebhook(t, says(`{"hookStatus":"SUCCEEDED"}`)).url))
	other := invocation("d-2/x")
	other.Service, other.Deployment = "default/api", "d-2"
	s.invoke(t, other)
	s.wantSucceeded(t, "d-2/x")
	s.invoke(t, invocation(id))
	s.wantSucceeded(t, id)
	stream, err := s.WatchInvocations(t.Context(), &hookspb.WatchInvocationsRequest{Service: "default/api"})
	if err != nil {
		t.Fatal(err)
	}
	seen, err := stream.Recv()
	if err != nil || len(seen.GetInvocations()) != 1 || seen.GetInvocations()[0].GetId() != "d-2/x" || !seen.GetSnapshot() {
		t.Errorf("watched %v, %v", seen, err)
	}
	both := invocation("d-1/again")
	both.Timeout = durationpb.New(time.Hour)
	s.invoke(t, both)
	s.wantSucceeded(t, "d-1/again")
	other.Id = "d-2/y"
	s.invoke(t, other)
	for done := false; !done; {
		seen, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range seen.GetInvocations() {
			if i.GetService() != "default/api" {
				t.Errorf("watched %v", i)
			}
			done = i.GetId() == "d-2/y"
		}
	}
	list, err := s.ListInvocations(t.Context(), &hookspb.ListInvocationsRequest{Service: "default/api"})
	if err != nil || len(list.GetInvocations()) != 2 || list.GetInvocations()[0].GetId() != "d-2/y" {
		t.Errorf("listed %v, %v", list, err)
	}
}
