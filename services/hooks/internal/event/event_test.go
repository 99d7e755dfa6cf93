package event

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	here = Place{Account: "123456789012", Region: "eu-north-1"}
	noon = time.Date(2026, 5, 1, 12, 0, 0, 123_000_000, time.UTC)
)

func fact(name, kind, reason string, detail map[string]string) Fact {
	return Fact{Cluster: "prod", Service: "web", Deployment: "d-7", Sequence: 3, Type: kind, Name: name, Reason: reason, Detail: detail, Time: noon}
}

func of(t *testing.T, f Fact, about About) []Event {
	t.Helper()
	events, err := OfOrchestrator(here, f, about)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func wantDetail(t *testing.T, e Event, want string) {
	t.Helper()
	if string(e.Detail) != want {
		t.Errorf("%s:\n%s\nwant\n%s", e.Type, e.Detail, want)
	}
}

func wantResources(t *testing.T, e Event, want ...string) {
	t.Helper()
	if !slices.Equal(e.Resources, want) {
		t.Errorf("%s: resources %q, want %q", e.Type, e.Resources, want)
	}
}

const (
	serviceARN    = "arn:aws:ecs:eu-north-1:123456789012:service/prod/web"
	deploymentARN = "arn:aws:ecs:eu-north-1:123456789012:service-deployment/prod/web/d-7"
)

func TestADeploymentsEventIsECSs(t *testing.T) {
	e := of(t, fact("SERVICE_DEPLOYMENT_FAILED", "ERROR", "ECS deployment circuit breaker: tasks failed to start.", nil), About{})[0]
	if e.Type != "ECS Deployment State Change" || e.Source != "aws.ecs" || e.OrderKey != "d-7" {
		t.Errorf("%+v", e)
	}
	wantResources(t, e, serviceARN)
	wantDetail(t, e, `{"eventType":"ERROR","eventName":"SERVICE_DEPLOYMENT_FAILED","deploymentId":"d-7","updatedAt":"2026-05-01T12:00:00Z",`+
		`"reason":"ECS deployment circuit breaker: tasks failed to start."}`)
}

// ECS tells of a rollback as of the deployment that it returns to.
func TestARollbacksEventsAreOfTheDeploymentThatIsReturnedTo(t *testing.T) {
	back := map[string]string{"rollback": "true"}
	about := About{RollbackTo: "d-5", BreakerTrips: true}
	begin := of(t, fact("SERVICE_DEPLOYMENT_IN_PROGRESS", "INFO", "rolling back to web/4", back), about)[0]
	wantDetail(t, begin, `{"eventType":"INFO","eventName":"SERVICE_DEPLOYMENT_IN_PROGRESS","deploymentId":"d-5","updatedAt":"2026-05-01T12:00:00Z",`+
		`"reason":"ECS deployment circuit breaker: rolling back to deploymentId d-5."}`)
	end := of(t, fact("SERVICE_DEPLOYMENT_COMPLETED", "INFO", "ECS deployment d-5 completed.", back), about)[0]
	wantDetail(t, end, `{"eventType":"INFO","eventName":"SERVICE_DEPLOYMENT_COMPLETED","deploymentId":"d-5","updatedAt":"2026-05-01T12:00:00Z",`+
		`"reason":"ECS deployment d-5 completed."}`)
	if begin.OrderKey != "d-7" || end.OrderKey != "d-7" {
		t.Error("the order is lost")
	}
	failed := of(t, fact("SERVICE_DEPLOYMENT_FAILED", "ERROR", "the rollback did not end", back), about)[0]
	wantDetail(t, failed, `{"eventType":"ERROR","eventName":"SERVICE_DEPLOYMENT_FAILED","deploymentId":"d-7","updatedAt":"2026-05-01T12:00:00Z",`+
		`"reason":"the rollback did not end"}`)
}

func TestAServicesEventIsECSs(t *testing.T) {
	f := fact("SERVICE_DESIRED_COUNT_UPDATED", "INFO", "desired count 2 -> 4", nil)
	f.Deployment = ""
	e := of(t, f, About{})[0]
	if e.Type != "ECS Service Action" || e.Source != "aws.ecs" || e.OrderKey != "prod/web" || e.Subject != "prod/web" {
		t.Errorf("%+v", e)
	}
	wantResources(t, e, serviceARN)
	wantDetail(t, e, `{"eventType":"INFO","eventName":"SERVICE_DESIRED_COUNT_UPDATED","clusterArn":"arn:aws:ecs:eu-north-1:123456789012:cluster/prod",`+
		`"createdAt":"2026-05-01T12:00:00.123Z","reason":"desired count 2 -> 4","desiredCount":4}`)
}

func TestAHooksEventIsECSs(t *testing.T) {
	f := fact("HOOK_AWAITING_ACTION", "INFO", "waiting", map[string]string{"hookId": "d-7/POST_SCALE_UP/0/pause-1", "lifecycleStage": "POST_SCALE_UP"})
	e := of(t, f, About{HookType: "PAUSE", HookExpire: noon.Add(time.Hour)})[0]
	if e.Type != "ECS Hook State Change" || e.Source != "aws.ecs" {
		t.Errorf("%+v", e)
	}
	wantResources(t, e, deploymentARN)
	wantDetail(t, e, `{"eventType":"INFO","eventName":"HOOK_AWAITING_ACTION","hookId":"d-7/POST_SCALE_UP/0/pause-1","hookType":"PAUSE",`+
		`"expiresAt":"2026-05-01T13:00:00.123Z","lifecycleStage":"POST_SCALE_UP","clusterArn":"arn:aws:ecs:eu-north-1:123456789012:cluster/prod",`+
		`"serviceArn":"`+serviceARN+`","serviceDeploymentArn":"`+deploymentARN+`","updatedAt":"2026-05-01T12:00:00.123Z","reason":"waiting"}`)
}

func TestWhatECSHasNoEventForIsSlipways(t *testing.T) {
	e := of(t, fact("TRAFFIC_SHIFTED", "INFO", "10 %", map[string]string{"step": "1"}), About{})[0]
	if e.Type != "Slipway Event" || e.Source != "slipway" {
		t.Errorf("%+v", e)
	}
	wantResources(t, e, serviceARN, deploymentARN)
	wantDetail(t, e, `{"eventType":"INFO","eventName":"TRAFFIC_SHIFTED","clusterArn":"arn:aws:ecs:eu-north-1:123456789012:cluster/prod",`+
		`"serviceArn":"`+serviceARN+`","deploymentId":"d-7","createdAt":"2026-05-01T12:00:00.123Z","reason":"10 %","attributes":{"step":"1"}}`)
}

func TestACodeDeployDeploymentHasASecondEvent(t *testing.T) {
	codeDeploy := About{CodeDeploy: true}
	tests := map[string]struct {
		fact  Fact
		about About
		want  string // "" for none
	}{
		"begins":                       {fact("SERVICE_DEPLOYMENT_IN_PROGRESS", "INFO", "", nil), codeDeploy, "START"},
		"succeeds":                     {fact("SERVICE_DEPLOYMENT_COMPLETED", "INFO", "", nil), codeDeploy, "SUCCESS"},
		"fails":                        {fact("SERVICE_DEPLOYMENT_FAILED", "ERROR", "", map[string]string{"errorCode": "TIMEOUT"}), codeDeploy, "FAILURE"},
		"is stopped by an alarm":       {fact("SERVICE_DEPLOYMENT_FAILED", "ERROR", "", map[string]string{"errorCode": "ALARM_ACTIVE"}), codeDeploy, "STOP"},
		"is stopped":                   {fact("SERVICE_DEPLOYMENT_STOPPED", "WARN", "", nil), codeDeploy, "STOP"},
		"waits for its turn":           {fact("SERVICE_DEPLOYMENT_QUEUED", "INFO", "", nil), codeDeploy, "QUEUED"},
		"is ready":                     {fact("HOOK_AWAITING_ACTION", "INFO", "", map[string]string{"hookId": "d-7/READY_WAIT"}), codeDeploy, "READY"},
		"pauses":                       {fact("HOOK_AWAITING_ACTION", "INFO", "", map[string]string{"hookId": "d-7/BAKE_TIME/0/pause-1"}), codeDeploy, ""},
		"is not CodeDeploy's":          {fact("SERVICE_DEPLOYMENT_IN_PROGRESS", "INFO", "", nil), About{}, ""},
		"rolls back in itself":         {fact("SERVICE_DEPLOYMENT_COMPLETED", "INFO", "", map[string]string{"rollback": "true"}), codeDeploy, ""},
		"rolls back as one of its own": {fact("SERVICE_DEPLOYMENT_COMPLETED", "INFO", "", map[string]string{"rollback": "true"}), About{CodeDeploy: true, RollbackOf: "d-6"}, "SUCCESS"},
	}
	for name, tt := range tests {
		events := of(t, tt.fact, tt.about)
		if tt.want == "" {
			if len(events) != 1 {
				t.Errorf("%s: %d events", name, len(events))
			}
			continue
		}
		if len(events) != 2 || events[1].ID == events[0].ID {
			t.Fatalf("%s: %+v", name, events)
		}
		var detail map[string]string
		if err := json.Unmarshal(events[1].Detail, &detail); err != nil || detail["state"] != tt.want {
			t.Errorf("%s: %s, want %s", name, events[1].Detail, tt.want)
		}
	}
	e := of(t, tests["begins"].fact, codeDeploy)[1]
	wantResources(t, e, "arn:aws:codedeploy:eu-north-1:123456789012:application:AppECS-prod-web",
		"arn:aws:codedeploy:eu-north-1:123456789012:deploymentgroup:AppECS-prod-web/DgpECS-prod-web")
	if e.Type != "CodeDeploy Deployment State-change Notification" || e.Source != "aws.codedeploy" || e.OrderKey != "d-7" {
		t.Errorf("%+v", e)
	}
	if want := regexp.MustCompile(`^{"instanceGroupId":"[0-9a-f-]{36}","region":"eu-north-1","application":"AppECS-prod-web",` +
		`"deploymentGroup":"DgpECS-prod-web","deploymentId":"d-7","state":"START"}$`); !want.Match(e.Detail) {
		t.Errorf("%s", e.Detail)
	}
}

func alarmFact() AlarmFact {
	return AlarmFact{
		Alarm: "web-5xx", Time: noon,
		State:    AlarmState{Value: "ALARM", Reason: "Threshold Crossed", ReasonData: `{"version":"1.0"}`, Time: noon},
		Previous: AlarmState{Value: "OK", Time: noon.Add(-time.Hour)},
		Configuration: AlarmConfiguration{Description: "too many errors", Metrics: []AlarmMetric{{
			ID: "m1", Namespace: "AWS/ApplicationELB", Name: "Errors", Dimensions: map[string]string{"Service": "web"}, Period: time.Minute,
			Stat: "Sum", ReturnData: true,
		}}},
	}
}

func TestACompositeAlarmsEventIsCloudWatchs(t *testing.T) {
	e, err := OfAlarm(here, AlarmFact{
		Alarm: "web-bad", Time: noon, Previous: AlarmState{Value: "OK"},
		State: AlarmState{Value: "ALARM", Reason: "r", Time: noon, SuppressedBy: "WaitPeriod", SuppressedReason: "it waits"},
		Configuration: AlarmConfiguration{
			Rule: "ALARM(a) OR ALARM(b)", Suppressor: "works", SuppressorWait: 2 * time.Minute, SuppressorExtension: 3 * time.Minute,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	wantDetail(t, e, `{"alarmName":"web-bad","configuration":{"alarmRule":"ALARM(a) OR ALARM(b)","actionsSuppressor":"works",`+
		`"actionsSuppressorWaitPeriod":120,"actionsSuppressorExtensionPeriod":180},"previousState":{"value":"OK"},`+
		`"state":{"actionsSuppressedBy":"WaitPeriod","actionsSuppressedReason":"it waits","value":"ALARM","reason":"r",`+
		`"timestamp":"2026-05-01T12:00:00.123+0000"}}`)
}

func TestAnAlarmOnMetricMathTellsItsExpressions(t *testing.T) {
	f := alarmFact()
	f.Configuration.Metrics = append(f.Configuration.Metrics[:1:1], AlarmMetric{ID: "e1", Expression: "m1 * 2", Label: "twice", ReturnData: true})
	e, err := OfAlarm(here, f)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"id":"e1","expression":"m1 * 2","label":"twice","returnData":true}]}`; !strings.Contains(string(e.Detail), want) {
		t.Errorf("%s lacks %s", e.Detail, want)
	}
}

func TestAnAlarmsEventIsCloudWatchs(t *testing.T) {
	e, err := OfAlarm(here, alarmFact())
	if err != nil {
		t.Fatal(err)
	}
	if e.Type != "CloudWatch Alarm State Change" || e.Source != "aws.cloudwatch" {
		t.Errorf("%+v", e)
	}
	wantResources(t, e, "arn:aws:cloudwatch:eu-north-1:123456789012:alarm:web-5xx")
	wantDetail(t, e, `{"alarmName":"web-5xx","configuration":{"description":"too many errors","metrics":[{"id":"m1","metricStat":{"metric":`+
		`{"dimensions":{"Service":"web"},"name":"Errors","namespace":"AWS/ApplicationELB"},"period":60,"stat":"Sum"},"returnData":true}]},`+
		`"previousState":{"value":"OK","timestamp":"2026-05-01T11:00:00.123+0000"},"state":{"value":"ALARM","reason":"Threshold Crossed",`+
		`"reasonData":"{\"version\":\"1.0\"}","timestamp":"2026-05-01T12:00:00.123+0000"}}`)
}

func TestTheSameFactIsTheSameEvent(t *testing.T) {
	f := fact("SERVICE_DEPLOYMENT_IN_PROGRESS", "INFO", "", nil)
	first, again := of(t, f, About{CodeDeploy: true}), of(t, f, About{CodeDeploy: true})
	uuid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	seen := map[string]bool{}
	for n := range first {
		if first[n].ID != again[n].ID || !uuid.MatchString(first[n].ID) {
			t.Errorf("%s and %s", first[n].ID, again[n].ID)
		}
		seen[first[n].ID] = true
	}
	for _, change := range []func(*Fact){
		func(f *Fact) { f.Sequence++ }, func(f *Fact) { f.Deployment = "d-8" }, func(f *Fact) { f.Service = "shop" },
		func(f *Fact) { f.Cluster = "test" }, func(f *Fact) { f.Time = f.Time.Add(time.Second) },
	} {
		other := f
		change(&other)
		if id := of(t, other, About{})[0].ID; seen[id] {
			t.Errorf("%+v has an id that is taken", other)
		}
	}
}

func TestTheEnvelopeIsEventBridges(t *testing.T) {
	e := of(t, fact("SERVICE_STEADY_STATE", "INFO", "<steady> & well", nil), About{})[0]
	got, err := e.EventBridge()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"version":"0","id":"` + e.ID + `","detail-type":"ECS Service Action","source":"aws.ecs","account":"123456789012",` +
		`"time":"2026-05-01T12:00:00Z","region":"eu-north-1","resources":["` + serviceARN + `"],"detail":` + string(e.Detail) + `}`
	if string(got) != want || !strings.Contains(want, "<steady> & well") {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

func TestACloudEventHasWhatCloudEventsAskFor(t *testing.T) {
	e, err := OfAlarm(here, alarmFact())
	if err != nil {
		t.Fatal(err)
	}
	e.Resources[0] += " ü"
	envelope, err := e.EventBridge()
	if err != nil {
		t.Fatal(err)
	}
	got, err := CloudEvent(envelope, "web-5xx")
	if err != nil {
		t.Fatal(err)
	}
	want := `{"specversion":"1.0","id":"` + e.ID + `","type":"slipway.cloudwatch.alarm-state-change",` +
		`"source":"arn:aws:cloudwatch:eu-north-1:123456789012:alarm:web-5xx%20%C3%BC","subject":"web-5xx","time":"2026-05-01T12:00:00Z",` +
		`"datacontenttype":"application/json","detailtype":"CloudWatch Alarm State Change","eventsource":"aws.cloudwatch",` +
		`"account":"123456789012","region":"eu-north-1","data":` + string(e.Detail) + `}`
	if string(got) != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	for detailType, want := range map[string]string{
		DeploymentStateChange: "slipway.ecs.deployment-state-change", ServiceAction: "slipway.ecs.service-action",
		HookStateChange: "slipway.ecs.hook-state-change",
	} {
		if got := cloudType(SourceECS, detailType); got != want {
			t.Errorf("%s: %s, want %s", detailType, got, want)
		}
	}
	if got := cloudType(SourceCodeDeploy, CodeDeployStateChange); got != "slipway.codedeploy.deployment-state-change-notification" {
		t.Error(got)
	}
	if got := cloudType(SourceSlipway, SlipwayEvent); got != "slipway.event" {
		t.Error(got)
	}
}
