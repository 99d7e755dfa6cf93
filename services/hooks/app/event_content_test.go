package app_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/grpcclient"
	"github.com/slipway-deploy/slipway/platform/postgres/postgrestest"
	"github.com/slipway-deploy/slipway/services/hooks/app"
)

// detail is the detail of an event as a map.
func detail(t *testing.T, raw string) map[string]any {
	t.Helper()
	var e struct{ Detail map[string]any }
	if err := json.Unmarshal([]byte(raw), &e); err != nil {
		t.Fatal(err)
	}
	return e.Detail
}

func TestACodeDeployDeploymentIsToldTwice(t *testing.T) {
	o := newOrchestrator(t)
	o.put(&orchestratorpb.Deployment{Id: "d-1", DeploymentConfiguration: &orchestratorpb.DeploymentConfiguration{
		DeploymentConfigName: "CodeDeployDefault.ECSCanary10Percent5Minutes",
	}})
	s := startNewEventful(t, o)
	to := newSubscriber(t, takes)
	s.subscribe(t, "all", to.url)
	o.say("d-1", "SERVICE_DEPLOYMENT_IN_PROGRESS", "ECS deployment d-1 in progress.", nil)
	got := to.await(t, 2)
	if got[0].Source != "aws.ecs" || got[1].Source != "aws.codedeploy" || got[0].ID == got[1].ID ||
		got[1].DetailType != "CodeDeploy Deployment State-change Notification" || detail(t, got[1].raw)["state"] != "START" {
		t.Errorf("%s\n%s", got[0].raw, got[1].raw)
	}
}

func TestARollbackIsToldAsECSDoes(t *testing.T) {
	o := newOrchestrator(t)
	o.put(&orchestratorpb.Deployment{
		Id: "d-2", TaskFailures: &orchestratorpb.TaskFailures{Status: orchestratorpb.TaskFailures_STATUS_TRIGGERED},
		Rollback: &orchestratorpb.Rollback{Deployment: "d-1"},
	})
	s := startNewEventful(t, o)
	to := newSubscriber(t, takes)
	s.subscribe(t, "all", to.url)
	back := map[string]string{"rollback": "true"}
	o.say("d-2", "SERVICE_DEPLOYMENT_FAILED", "ECS deployment circuit breaker: tasks failed to start.", nil)
	o.say("d-2", "SERVICE_DEPLOYMENT_IN_PROGRESS", "rolling back to web/1", back)
	o.say("d-2", "SERVICE_DEPLOYMENT_COMPLETED", "ECS deployment d-1 completed.", back)
	got := strings.Join(labels(to.await(t, 3)), "\n")
	want := "d-2 ECS deployment circuit breaker: tasks failed to start.\n" +
		"d-1 ECS deployment circuit breaker: rolling back to deploymentId d-1.\nd-1 ECS deployment d-1 completed."
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

func TestHooksAreToldWithTheirKindAndTheirEnd(t *testing.T) {
	o := newOrchestrator(t)
	expire := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	o.put(&orchestratorpb.Deployment{Id: "d-1", LifecycleHooks: []*orchestratorpb.LifecycleHookStatus{
		{HookId: "d-1/POST_SCALE_UP/0/pause-1", ExpireTime: timestamppb.New(expire)},
		{HookId: "d-1/POST_SCALE_UP/0/smoke", Hook: "smoke", ExpireTime: timestamppb.New(expire)},
	}})
	s := startNewEventful(t, o)
	s.register(t, webhookHook("https://hooks.example.com/"))
	to := newSubscriber(t, takes)
	s.subscribe(t, "all", to.url)
	for _, e := range []struct{ id, name, want, expire string }{
		{"d-1/POST_SCALE_UP/0/pause-1", "HOOK_AWAITING_ACTION", "PAUSE", "2030-01-02T03:04:05.000Z"},
		{"d-1/POST_SCALE_UP/0/smoke", "HOOK_IN_PROGRESS", "WEBHOOK", "2030-01-02T03:04:05.000Z"},
		{"d-1/BAKE_TIME/1/smoke", "HOOK_SUCCEEDED", "WEBHOOK", ""}, // the deployment has gone on
		{"d-1/BAKE_TIME/1/pause-1", "HOOK_TIMED_OUT", "PAUSE", ""},
	} {
		o.say("d-1", e.name, e.want, map[string]string{"hookId": e.id, "lifecycleStage": "POST_SCALE_UP"})
		list := to.await(t, len(to.received())+1)
		got := list[len(list)-1]
		d := detail(t, got.raw)
		ends, _ := d["expiresAt"].(string)
		if got.DetailType != "ECS Hook State Change" || d["hookType"] != e.want || d["hookId"] != e.id || ends != e.expire {
			t.Errorf("%s", got.raw)
		}
	}
}

func TestAlarmsAreTold(t *testing.T) {
	t.Parallel()
	a := newAlarms(t, &alarmspb.MetricAlarm{
		Name: "web-5xx", Description: "too many errors", Namespace: "Shop", MetricName: "Errors", Period: durationpb.New(time.Minute),
		Statistic: alarmspb.MetricAlarm_STATISTIC_SUM, Dimensions: []*alarmspb.Dimension{{Name: "Service", Value: "web"}},
	})
	followAlarms := func(c *app.Config) { c.Events.Alarms = grpcclient.Config{Target: a.address} }
	url := postgrestest.URL(t)
	s := startEventful(t, url, nil, followAlarms)
	to := newSubscriber(t, takes)
	s.subscribe(t, "all", to.url)
	a.change(alarmspb.MetricAlarm_STATE_INSUFFICIENT_DATA, alarmspb.MetricAlarm_STATE_OK, "fine", `{"n":1}`)
	a.change(alarmspb.MetricAlarm_STATE_OK, alarmspb.MetricAlarm_STATE_ALARM, "Threshold Crossed", `{"n":2}`)
	got := to.await(t, 2)
	first, second := detail(t, got[0].raw), detail(t, got[1].raw)
	if state := first["state"].(map[string]any); state["value"] != "OK" {
		t.Errorf("%s", got[0].raw)
	}
	if state := second["state"].(map[string]any); state["value"] != "ALARM" || state["reason"] != "Threshold Crossed" || state["timestamp"] == nil {
		t.Errorf("%s", got[1].raw)
	}
	if was := second["previousState"].(map[string]any); was["value"] != "OK" || was["timestamp"] == nil {
		t.Errorf("%s", got[1].raw)
	}
	want := `{"description":"too many errors","metrics":[{"id":"`
	if !strings.Contains(got[1].raw, want) || !strings.Contains(got[1].raw, `"metricStat":{"metric":{"dimensions":{"Service":"web"},"name":"Errors",`+
		`"namespace":"Shop"},"period":60,"stat":"Sum"},"returnData":true}]}`) {
		t.Errorf("%s", got[1].raw)
	}
	if got[1].DetailType != "CloudWatch Alarm State Change" || got[1].Source != "aws.cloudwatch" ||
		got[1].Resources[0] != "arn:aws:cloudwatch:local:000000000000:alarm:web-5xx" {
		t.Errorf("%s", got[1].raw)
	}
	s.stop() // what happens meanwhile is told of at the next start, and nothing twice
	data := `{"version":"1.0","oldState":{"stateValue":"ALARM","stateReason":"a","stateReasonData":{"x":1}},"newState":{"stateValue":"OK","stateReason":"b","stateReasonData":{"x":2}}}`
	a.change(alarmspb.MetricAlarm_STATE_ALARM, alarmspb.MetricAlarm_STATE_OK, "b", data)
	a.change(alarmspb.MetricAlarm_STATE_OK, alarmspb.MetricAlarm_STATE_ALARM, "again", `{"n":4}`)
	next := startEventful(t, url, nil, followAlarms)
	next.awaitState(t, "all", hookspb.Delivery_STATE_DELIVERED, 4)
	if got = to.received(); len(got) != 4 {
		t.Fatalf("%d events", len(got))
	}
	third := detail(t, got[2].raw)
	if state, was := third["state"].(map[string]any), third["previousState"].(map[string]any); state["reason"] != "b" ||
		state["reasonData"] != `{"x":2}` || was["reason"] != "a" {
		t.Errorf("%s", got[2].raw)
	}
}

func TestCloudEventsAndThePlaceAreChosen(t *testing.T) {
	o := newOrchestrator(t)
	s := startNewEventful(t, o, func(c *app.Config) { c.Events.Account, c.Events.Region = "123456789012", "eu-north-1" })
	to := newSubscriber(t, takes)
	sub := httpsTo("ce", to.url)
	sub.Format = hookspb.Subscription_FORMAT_CLOUDEVENTS
	s.put(t, sub)
	o.say("d-1", "SERVICE_DEPLOYMENT_COMPLETED", "ECS deployment d-1 completed.", nil)
	got := to.await(t, 1)[0]
	var ce map[string]any
	if err := json.Unmarshal([]byte(got.raw), &ce); err != nil {
		t.Fatal(err)
	}
	for field, want := range map[string]any{
		"specversion": "1.0", "type": "slipway.ecs.deployment-state-change", "subject": "d-1", "account": "123456789012",
		"source": "arn:aws:ecs:eu-north-1:123456789012:service/default/web", "datacontenttype": "application/json",
	} {
		if ce[field] != want {
			t.Errorf("%s is %v, want %v", field, ce[field], want)
		}
	}
	if data := ce["data"].(map[string]any); got.contentType != "application/cloudevents+json" || data["eventName"] != "SERVICE_DEPLOYMENT_COMPLETED" {
		t.Errorf("%s %s", got.contentType, got.raw)
	}
}

// amazon answers SNS and EventBridge as they do, and keeps what was asked.
func amazon(t *testing.T) (string, <-chan string) {
	t.Helper()
	got := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		if r.Header.Get("X-Amz-Target") == "AWSEvents.PutEvents" {
			got <- string(body)
			_, _ = io.WriteString(w, `{"Entries":[{"EventId":"e-1"}],"FailedEntryCount":0}`)
			return
		}
		form, err := url.ParseQuery(string(body))
		if err != nil {
			t.Error(err)
		}
		got <- form.Get("MessageGroupId") + " " + form.Get("MessageDeduplicationId") + " " + form.Get("Message")
		_, _ = io.WriteString(w, `<PublishResponse><PublishResult><MessageId>m-1</MessageId></PublishResult></PublishResponse>`)
	}))
	t.Cleanup(server.Close)
	return server.URL, got
}

func TestEventsGoToAmazonsServices(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	o := newOrchestrator(t)
	s := startEventful(t, postgrestest.URL(t), o)
	snsURL, published := amazon(t)
	busURL, put := amazon(t)
	s.put(t, &hookspb.Subscription{Name: "sns", Target: &hookspb.Subscription_Sns{Sns: &hookspb.SnsEventTarget{
		TopicArn: "arn:aws:sns:eu-north-1:123456789012:events.fifo", EndpointUrl: snsURL,
	}}})
	s.put(t, &hookspb.Subscription{Name: "bus", Target: &hookspb.Subscription_EventBridge{EventBridge: &hookspb.EventBridgeEventTarget{
		Region: "eu-north-1", EndpointUrl: busURL,
	}}})
	o.say("d-1", "SERVICE_DEPLOYMENT_COMPLETED", "ECS deployment d-1 completed.", nil)
	one := s.awaitState(t, "sns", hookspb.Delivery_STATE_DELIVERED, 1)[0]
	if got := wait(t, "a message", published); got != "d-1 "+one.GetEventId()+" "+one.GetEvent() {
		t.Errorf("%s", got)
	}
	s.awaitState(t, "bus", hookspb.Delivery_STATE_DELIVERED, 1)
	got := wait(t, "an entry", put)
	for _, want := range []string{
		`"Source":"slipway.ecs"`, `"DetailType":"ECS Deployment State Change"`, `"EventBusName":"default"`,
		`\"slipwayEventId\":\"` + one.GetEventId(), `"Resources":["arn:aws:ecs:local:000000000000:service/default/web"]`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s lacks %s", got, want)
		}
	}
}
