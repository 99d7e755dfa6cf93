package manifest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

// one parses the only document of a text.
func one(t *testing.T, file, text string) Document {
	t.Helper()
	docs, wrong := Parse(file, []byte(text))
	if len(wrong) > 0 {
		t.Fatalf("mistakes:\n%v", wrong)
	}
	if len(docs) != 1 {
		t.Fatalf("got %d documents, want 1", len(docs))
	}
	return docs[0]
}

func TestYAMLAndJSONGiveTheSameMessage(t *testing.T) {
	t.Parallel()
	want := &orchestratorpb.UpdateServiceRequest{}
	text := `{"service":{"name":"web","taskDefinition":"web","desiredCount":2,
	"deploymentConfiguration":{"strategy":"STRATEGY_CANARY","bakeTime":"90s","minimumHealthyPercent":0,
	"canaryConfiguration":{"canaryPercent":2.5},
	"lifecycleHooks":[{"hook":"smoke","lifecycleStages":["LIFECYCLE_STAGE_POST_SCALE_UP"],"hookDetails":{"n":[1,true,null,"x\ud83d\ude00"]}}]}},
	"updateMask":"desiredCount,deploymentConfiguration"}`
	if err := protojson.Unmarshal([]byte(text), want); err != nil {
		t.Fatal(err)
	}
	yaml := `
service:
  name: web
  task_definition: web
  desiredCount: 2
  deploymentConfiguration:
    strategy: CANARY
    bakeTime: 1m30s
    minimumHealthyPercent: 0
    canaryConfiguration: {canaryPercent: 2.5}
    lifecycleHooks:
    - hook: smoke
      lifecycleStages: [POST_SCALE_UP]
      hookDetails: {n: [1, true, null, "x😀"]}
updateMask: desiredCount,deploymentConfiguration
`
	for file, text := range map[string]string{"a.json": strings.ReplaceAll(text, "\n\t", "\n\t\t"), "stdin": text, "a.yaml": yaml} {
		got := one(t, file, text)
		if got.Kind != Service || got.Name != "web" {
			t.Errorf("%s: kind %s name %q", file, got.Kind, got.Name)
		}
		if !proto.Equal(got.Request, want) {
			t.Errorf("%s:\n got %v\nwant %v", file, got.Request, want)
		}
	}
}

func TestEachKindBecomesItsRequest(t *testing.T) {
	t.Parallel()
	text := `
taskDefinition:
  family: web
  containerDefinitions:
  - name: web
    command: [python3, -m, http.server, $PORT]
    stopTimeout: 2s
    essential: false
---
# a document without anything in it is no document
---
cluster: {name: staging}
---
{"targetGroup": {"name": "web-a", "healthCheck": {"type": "HTTP", "interval": "500ms"}}}
---
alarm:
  name: web-5xx
  period: 1m
  threshold: 0x10
  comparisonOperator: GREATER_THAN_THRESHOLD
  treatMissingData: NOT_BREACHING
---
hook: {name: smoke, webhook: {url: "http://127.0.0.1:9000/"}, callTimeout: 1h}
---
deploymentConfig: {name: tenth, strategy: LINEAR, linearConfiguration: {stepPercent: 10}}
`
	docs, wrong := Parse("all.yaml", []byte(text))
	if len(wrong) > 0 {
		t.Fatal(wrong)
	}
	want := map[Kind]string{
		TaskDefinition:   `{"taskDefinition":{"family":"web","containerDefinitions":[{"name":"web","command":["python3","-m","http.server","$PORT"],"stopTimeout":"2s","essential":false}]}}`,
		Cluster:          `{"cluster":{"name":"staging"}}`,
		TargetGroup:      `{"targetGroup":{"name":"web-a","healthCheck":{"type":"TYPE_HTTP","interval":"0.5s"}}}`,
		Alarm:            `{"alarm":{"name":"web-5xx","period":"60s","threshold":16,"comparisonOperator":"COMPARISON_OPERATOR_GREATER_THAN_THRESHOLD","treatMissingData":"TREAT_MISSING_DATA_NOT_BREACHING"}}`,
		Hook:             `{"hook":{"name":"smoke","webhook":{"url":"http://127.0.0.1:9000/"},"callTimeout":"3600s"}}`,
		DeploymentConfig: `{"deploymentConfig":{"name":"tenth","strategy":"STRATEGY_LINEAR","linearConfiguration":{"stepPercent":10}}}`,
	}
	types := map[Kind]proto.Message{
		TaskDefinition: &orchestratorpb.RegisterTaskDefinitionRequest{}, Cluster: &orchestratorpb.CreateClusterRequest{},
		TargetGroup: &healthcheckpb.CreateTargetGroupRequest{}, Alarm: &alarmspb.PutMetricAlarmRequest{},
		Hook: &hookspb.RegisterHookRequest{}, DeploymentConfig: &orchestratorpb.CreateDeploymentConfigRequest{},
	}
	if len(docs) != len(want) {
		t.Fatalf("got %d documents, want %d", len(docs), len(want))
	}
	for _, doc := range docs {
		message := types[doc.Kind]
		if err := protojson.Unmarshal([]byte(want[doc.Kind]), message); err != nil {
			t.Fatal(err)
		}
		if !proto.Equal(doc.Request, message) {
			t.Errorf("%s:\n got %v\nwant %v", doc.Kind, doc.Request, message)
		}
	}
}

func TestDurationsKeepTheirLength(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"30s": 30 * time.Second, "0.5s": 500 * time.Millisecond, "5m": 5 * time.Minute, "1h30m": 90 * time.Minute,
		"24h": 24 * time.Hour, "1ms": time.Millisecond, "100us": 100 * time.Microsecond, "0s": 0,
	} {
		doc := one(t, "a.yaml", fmt.Sprintf("hook: {name: h, callTimeout: %s}", text))
		if got := doc.Request.(*hookspb.RegisterHookRequest).GetHook().GetCallTimeout().AsDuration(); got != want {
			t.Errorf("%s became %s", text, got)
		}
	}
}

func TestADocumentKnowsWhatItSetsAndWhere(t *testing.T) {
	t.Parallel()
	doc := one(t, "web.yaml", "service:\n  name: web\n  desiredCount: 0\n  loadBalancer:\n    targetGroup: a\n")
	for path, want := range map[string]bool{
		"service.desired_count": true, "service.load_balancer.target_group": true, "service.task_definition": false,
	} {
		if doc.Has(path) != want {
			t.Errorf("Has(%q) is %v", path, !want)
		}
	}
	for path, want := range map[string]string{
		"service.load_balancer.target_group":        "web.yaml:5:5",
		"load_balancer.target_group":                "web.yaml:5:5",
		"service.load_balancer.production_listener": "web.yaml:4:3",
		"service.task_definition":                   "web.yaml:1:1",
		"no.such":                                   "web.yaml:1:1",
	} {
		if got := doc.Find(path).String(); got != want {
			t.Errorf("Find(%q) is %s, want %s", path, got, want)
		}
	}
}

func TestReadOrdersWhatItFinds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"1.yaml":     "service: {name: web}\n---\ntaskDefinition: {family: web}\n",
		"2.yml":      "taskDefinition: {family: api}\n---\nhook: {name: h}\n",
		"3.json":     `{"cluster":{"name":"c"}} {"targetGroup":{"name":"a"}}`,
		"readme.txt": "not read",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	docs, err := Read([]string{dir, "-"}, strings.NewReader("alarm: {name: x}"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range docs {
		got = append(got, string(d.Kind)+"/"+d.Name)
	}
	want := []string{"cluster/c", "targetGroup/a", "alarm/x", "hook/h", "taskDefinition/web", "taskDefinition/api", "service/web"}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestReadSaysWhatItCannotRead(t *testing.T) {
	t.Parallel()
	empty := t.TempDir()
	for path, want := range map[string]string{
		"/no/such": "cannot read /no/such: no such file or directory",
		empty:      "has no .yaml, .yml or .json file",
		"-":        "no document in it",
	} {
		_, err := Read([]string{path}, strings.NewReader("# nothing\n"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q in it", path, err, want)
		}
	}
}
