package client_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/slipway-deploy/slipway/client"
)

const (
	webhookSecret    = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	newWebhookSecret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
)

// signed is a call as the hooks service makes it.
func signed(t *testing.T, body, secret string, at time.Time) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/hook", strings.NewReader(body))
	r.Header.Set("Slipway-Attempt", "2")
	if secret == "" {
		return r
	}
	signer, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := signer.Sign("d-1/x/2", at, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("webhook-id", "d-1/x/2")
	r.Header.Set("webhook-timestamp", strconv.FormatInt(at.Unix(), 10))
	r.Header.Set("webhook-signature", signature)
	return r
}

const ecsBody = `{"executionId":"d-1/x","lifecycleStage":"POST_SCALE_UP","resourceArn":"default/web/d-1",` +
	`"executionDetails":{"serviceArn":"default/web","targetServiceRevisionArn":"default/web/2","testTrafficWeights":{},` +
	`"productionTrafficWeights":{"default/web/2":10}},"hookDetails":{"suite":"smoke"},"something":"new"}`

func TestAWebhookTakesOnlyWhatIsSigned(t *testing.T) {
	t.Parallel()
	h := client.NewWebhook(func(context.Context, client.Invocation) (client.Result, error) { return client.Succeeded(), nil },
		webhookSecret, newWebhookSecret)
	now := time.Now()
	otherBody := signed(t, ecsBody, webhookSecret, now)
	otherBody.Body = io.NopCloser(strings.NewReader(ecsBody + " "))
	for name, tt := range map[string]struct {
		request *http.Request
		want    int
	}{
		"the old secret":     {signed(t, ecsBody, webhookSecret, now), http.StatusOK},
		"the new secret":     {signed(t, ecsBody, newWebhookSecret, now), http.StatusOK},
		"another secret":     {signed(t, ecsBody, "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", now), http.StatusUnauthorized},
		"no signature":       {signed(t, ecsBody, "", now), http.StatusUnauthorized},
		"an old one again":   {signed(t, ecsBody, webhookSecret, now.Add(-10*time.Minute)), http.StatusUnauthorized},
		"another body":       {otherBody, http.StatusUnauthorized},
		"no request of ours": {signed(t, `[]`, webhookSecret, now), http.StatusBadRequest},
		"a huge one":         {signed(t, strings.Repeat(" ", 2<<20), webhookSecret, now), http.StatusBadRequest},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, tt.request)
		if w.Code != tt.want {
			t.Errorf("%s: %d %s, want %d", name, w.Code, w.Body, tt.want)
		}
	}
	if err := client.VerifyWebhook(http.Header{}, nil); err == nil {
		t.Error("without a secret everything is valid")
	}
	if err := client.VerifyWebhook(http.Header{}, nil, "whsec_secret text"); err == nil || strings.Contains(err.Error(), "text") {
		t.Errorf("with a secret that is none: %v", err)
	}
}

func TestWhatAWebhookSeesAndAnswers(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		result client.Result
		err    error
		code   int
		body   string
	}{
		"succeeded":   {client.Succeeded(), nil, 200, `{"hookStatus":"SUCCEEDED"}`},
		"failed":      {client.Failed("no disk"), nil, 200, `{"hookStatus":"FAILED","reason":"no disk"}`},
		"in progress": {client.InProgress(1500*time.Millisecond, map[string]any{"run": 17}), nil, 200, `{"callBackDelay":1.5,"hookDetails":{"run":17},"hookStatus":"IN_PROGRESS"}`},
		"accepted":    {client.Accepted(), nil, 202, `{}`},
		"an error":    {client.Result{}, fmt.Errorf("broken"), 200, `{"hookStatus":"FAILED","reason":"broken"}`},
		"unavailable": {client.Result{}, fmt.Errorf("no host: %w", client.Unavailable), 503, "no host: Unavailable\n"},
		"no JSON":     {client.InProgress(0, map[string]any{"f": t.Fail}), nil, 200, `{"hookStatus":"FAILED","reason":"the details of a hook's result: json: unsupported type: func()"}`},
	} {
		var got client.Invocation
		h := client.NewWebhook(func(_ context.Context, i client.Invocation) (client.Result, error) {
			got = i
			return tt.result, tt.err
		})
		w := httptest.NewRecorder()
		h.ServeHTTP(w, signed(t, ecsBody, "", time.Time{}))
		if w.Code != tt.code || !strings.EqualFold(w.Body.String(), tt.body) {
			t.Errorf("%s: %d %s, want %d %s", name, w.Code, w.Body, tt.code, tt.body)
		}
		want := client.Invocation{
			ID: "d-1/x", Attempt: 2, Stage: "POST_SCALE_UP", Deployment: "d-1", Service: "default/web", ServiceRevision: "default/web/2",
			ProductionTrafficWeights: map[string]float64{"default/web/2": 10}, Details: map[string]any{"suite": "smoke"},
		}
		if fmt.Sprint(got) != fmt.Sprint(want) { // no weights are {} or absent
			t.Errorf("%s: saw %+v, want %+v", name, got, want)
		}
	}
	var got client.Invocation
	h := client.NewWebhook(func(_ context.Context, i client.Invocation) (client.Result, error) {
		got = i
		return client.Succeeded(), nil
	})
	h.ServeHTTP(httptest.NewRecorder(), signed(t, `{"DeploymentId":"d-1","LifecycleEventHookExecutionId":"d-1/x"}`, "", time.Time{}))
	if got.ID != "d-1/x" || got.Deployment != "d-1" || got.Attempt != 2 || !got.ReportBack {
		t.Errorf("of CodeDeploy's contract it saw %+v", got)
	}
}
