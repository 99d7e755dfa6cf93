package handler

import (
	"context"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/slipway-deploy/slipway/services/hooks/internal/event"
	"github.com/slipway-deploy/slipway/services/hooks/internal/invocation"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func seconds(s float64) *time.Duration {
	d := time.Duration(s * float64(time.Second))
	return &d
}

func begun(t *testing.T) invocation.Invocation {
	t.Helper()
	i, err := invocation.New(invocation.Spec{
		ID: "d-1/PRODUCTION_TRAFFIC_SHIFT/2/smoke", Service: "default/web", Deployment: "d-1", Stage: "PRODUCTION_TRAFFIC_SHIFT", Step: 2,
		Execution: invocation.Execution{
			ServiceARN: "default/web", TargetServiceRevisionARN: "default/web/2",
			ProductionTrafficWeights: map[string]float64{"default/web/1": 66.6, "default/web/2": 33.4},
		},
		Details: invocation.Details{"suite": "<smoke>"},
	}, invocation.Hook{Name: "smoke"}, time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// The names are those of an Amazon ECS lifecycle hook's event; the weights of the other listener are {}, not absent.
func TestRequestHasTheFieldNamesOfECS(t *testing.T) {
	got, err := Names{}.Request(begun(t))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"executionId":"d-1/PRODUCTION_TRAFFIC_SHIFT/2/smoke","lifecycleStage":"PRODUCTION_TRAFFIC_SHIFT","resourceArn":"default/web/d-1",` +
		`"executionDetails":{"serviceArn":"default/web","targetServiceRevisionArn":"default/web/2","testTrafficWeights":{},` +
		`"productionTrafficWeights":{"default/web/1":66.6,"default/web/2":33.4}},"hookDetails":{"suite":"<smoke>"}}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	i := begun(t)
	i.Details = nil
	if got, err = (Names{}).Request(i); err != nil || strings.Contains(got, "hookDetails") {
		t.Errorf("without details: %s, %v", got, err)
	}
}

// CodeDeploy's handlers get two ids and nothing else.
func TestRequestHasTheFieldNamesOfCodeDeploy(t *testing.T) {
	i := begun(t)
	i.Contract = invocation.CodeDeploy
	got, err := Names{}.Request(i)
	want := `{"DeploymentId":"d-1","LifecycleEventHookExecutionId":"d-1/PRODUCTION_TRAFFIC_SHIFT/2/smoke"}`
	if err != nil || got != want {
		t.Errorf("got  %s, %v\nwant %s", got, err, want)
	}
}

func TestRequestHasARNsWhenTheOperatorWantsThem(t *testing.T) {
	got, err := Names{ARNs: &event.Place{Account: "123456789012", Region: "eu-north-1"}}.Request(begun(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"resourceArn":"arn:aws:ecs:eu-north-1:123456789012:service-deployment/default/web/d-1"`,
		`"serviceArn":"arn:aws:ecs:eu-north-1:123456789012:service/default/web"`,
		`"targetServiceRevisionArn":"arn:aws:ecs:eu-north-1:123456789012:service-revision/default/web/2"`,
		`"testTrafficWeights":{}`,
		`"arn:aws:ecs:eu-north-1:123456789012:service-revision/default/web/1":66.6`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s lacks %s", got, want)
		}
	}
}

func TestParseAnswer(t *testing.T) {
	tests := map[string]struct {
		body string
		want invocation.Answer
	}{
		"succeeded":             {`{"hookStatus":"SUCCEEDED"}`, invocation.Answer{Status: "SUCCEEDED"}},
		"failed with a reason":  {`{"hookStatus":"FAILED","reason":"disk full"}`, invocation.Answer{Status: "FAILED", Reason: "disk full"}},
		"in progress":           {`{"hookStatus":"IN_PROGRESS"}`, invocation.Answer{Status: "IN_PROGRESS"}},
		"with a delay":          {`{"hookStatus":"IN_PROGRESS","callBackDelay":45}`, invocation.Answer{Status: "IN_PROGRESS", Delay: seconds(45)}},
		"a fraction":            {`{"hookStatus":"IN_PROGRESS","callBackDelay":0.25}`, invocation.Answer{Status: "IN_PROGRESS", Delay: seconds(0.25)}},
		"zero":                  {`{"hookStatus":"IN_PROGRESS","callBackDelay":0}`, invocation.Answer{Status: "IN_PROGRESS", Delay: seconds(0)}},
		"null":                  {`{"hookStatus":"IN_PROGRESS","callBackDelay":null,"hookDetails":null}`, invocation.Answer{Status: "IN_PROGRESS"}},
		"a huge delay":          {`{"hookStatus":"IN_PROGRESS","callBackDelay":1e300}`, invocation.Answer{Status: "IN_PROGRESS", Delay: seconds(invocation.MaxTimeout.Seconds())}},
		"a negative delay":      {`{"hookStatus":"IN_PROGRESS","callBackDelay":-1}`, invocation.Answer{Status: "IN_PROGRESS", Delay: seconds(-1)}},
		"the wrong delay key":   {`{"hookStatus":"IN_PROGRESS","callBackDelaySeconds":5}`, invocation.Answer{Status: "IN_PROGRESS"}},
		"with details":          {`{"hookStatus":"IN_PROGRESS","hookDetails":{"run":17}}`, invocation.Answer{Status: "IN_PROGRESS", Details: invocation.Details{"run": 17.0}}},
		"a delay in a string":   {`{"hookStatus":"IN_PROGRESS","callBackDelay":"30"}`, invocation.Answer{Status: "IN_PROGRESS", Broken: `answered callBackDelay "30"; a number of seconds is expected`}},
		"details in a list":     {`{"hookStatus":"IN_PROGRESS","hookDetails":[1]}`, invocation.Answer{Status: "IN_PROGRESS", Broken: `answered hookDetails [1]; a JSON object is expected`}},
		"details of a result":   {`{"hookStatus":"FAILED","hookDetails":{"run":17}}`, invocation.Answer{Status: "FAILED", Details: invocation.Details{"run": 17.0}}},
		"broken but not needed": {`{"hookStatus":"SUCCEEDED","callBackDelay":"30","hookDetails":[1]}`, invocation.Answer{Status: "SUCCEEDED"}},
		"no status":             {`{}`, invocation.Answer{}},
		"a null status":         {`{"hookStatus":null}`, invocation.Answer{}},
		"another case":          {`{"hookstatus":"SUCCEEDED"}`, invocation.Answer{}},
		"another status":        {`{"hookStatus":"OK"}`, invocation.Answer{Status: "OK"}},
		"a number":              {`{"hookStatus":1}`, invocation.Answer{Status: "1"}},
		"not an object":         {`"SUCCEEDED"`, invocation.Answer{Broken: `answered what is not a JSON object: "SUCCEEDED"`}},
		"JSON's null":           {`null`, invocation.Answer{Broken: `answered what is not a JSON object: null`}},
		"nothing":               {``, invocation.Answer{Broken: `answered what is not a JSON object: (nothing)`}},
		"not storable":          {"\x00\xff", invocation.Answer{Broken: "answered what is not a JSON object: \uFFFD\uFFFD"}},
		"a NUL in the status":   {`{"hookStatus":"\u0000"}`, invocation.Answer{Status: "\uFFFD"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := parseAnswer([]byte(tt.body)); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

func TestForeignTextIsBounded(t *testing.T) {
	a := parseAnswer([]byte(`{"hookStatus":"` + strings.Repeat("é", 5000) + `"}`))
	if len(a.Status) > maxStatus+10 || strings.ToValidUTF8(a.Status, "?") != a.Status {
		t.Errorf("a status of %d bytes: %s", len(a.Status), a.Status)
	}
	if got := clean(strings.Repeat("é", MaxAnswer)); len(got) > MaxAnswer+3 {
		t.Errorf("%d bytes kept", len(got))
	}
}

func TestATargetOfNoKindIsNotCalledAgain(t *testing.T) {
	r := NewCaller(Config{}, quiet()).Call(context.Background(), Call{Attempt: 1, Timeout: time.Second})
	if u, ok := r.Event.(invocation.Unanswered); !ok || !u.Final {
		t.Errorf("%+v", r)
	}
}
