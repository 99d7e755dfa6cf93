package eventbridge_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"
	"time"

	"github.com/slipway-deploy/slipway/drivers/event"
	"github.com/slipway-deploy/slipway/drivers/event/eventbridge"
)

// serve speaks EventBridge's JSON protocol: it answers each call so, and hands out the bodies.
func serve(t *testing.T, code int, answer string) (string, <-chan string) {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	got := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPost || r.URL.Path != "/" || r.Header.Get("X-Amz-Target") != "AWSEvents.PutEvents" ||
			r.Header.Get("Content-Type") != "application/x-amz-json-1.1" {
			t.Errorf("%s %s %v: %v", r.Method, r.URL, r.Header, err)
		}
		got <- string(body)
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.WriteHeader(code)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	return server.URL, got
}

func send(t *testing.T, to event.Target, detail string) event.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	to.Address, to.Region = "deployments", "eu-north-1"
	return eventbridge.New(event.NewClient(event.ClientConfig{})).Send(ctx, to, event.Message{
		ID: "8a3c-1", Source: "aws.ecs", DetailType: "ECS Service Action", Resources: []string{"arn:a"},
		Detail: []byte(detail), Time: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC),
	})
}

const taken = `{"Entries":[{"EventId":"e-1"}],"FailedEntryCount":0}`

func wantBody(t *testing.T, got, want string) {
	t.Helper()
	var a, b any
	if json.Unmarshal([]byte(got), &a) != nil || json.Unmarshal([]byte(want), &b) != nil || !reflect.DeepEqual(a, b) {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

func TestAnEventIsPut(t *testing.T) {
	endpoint, got := serve(t, http.StatusOK, taken)
	if r := send(t, event.Target{Endpoint: endpoint}, `{"eventType":"INFO"}`); !r.Delivered {
		t.Fatalf("%+v", r)
	}
	wantBody(t, <-got, `{"Entries":[{"EventBusName":"deployments","Source":"slipway.ecs","DetailType":"ECS Service Action",
		"Detail":"{\"slipwayEventId\":\"8a3c-1\",\"eventType\":\"INFO\"}","Resources":["arn:a"],"Time":1777636800}]}`)
	if r := send(t, event.Target{Endpoint: endpoint, KeepSource: true}, `{}`); !r.Delivered {
		t.Fatalf("%+v", r)
	}
	wantBody(t, <-got, `{"Entries":[{"EventBusName":"deployments","Source":"aws.ecs","DetailType":"ECS Service Action",
		"Detail":"{\"slipwayEventId\":\"8a3c-1\"}","Resources":["arn:a"],"Time":1777636800}]}`)
}

// EventBridge answers 200 when it takes nothing.
func TestAnEntryThatFailedIsTriedAgain(t *testing.T) {
	endpoint, _ := serve(t, http.StatusOK, `{"Entries":[{"ErrorCode":"ThrottlingException","ErrorMessage":"slow down"}],"FailedEntryCount":1}`)
	if r := send(t, event.Target{Endpoint: endpoint}, `{}`); r != (event.Result{Reason: "ThrottlingException: slow down"}) {
		t.Errorf("%+v", r)
	}
	endpoint, got := serve(t, http.StatusInternalServerError, `{"__type":"InternalException","message":"oh"}`)
	if r := send(t, event.Target{Endpoint: endpoint}, `{}`); r != (event.Result{Reason: "InternalException: oh"}) {
		t.Errorf("%+v", r)
	}
	<-got
	if len(got) != 0 {
		t.Error("the SDK tried again by itself")
	}
}
