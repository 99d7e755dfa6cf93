package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

// everything is a file with each kind, in the wrong order.
const everything = `
service:
  name: web
  taskDefinition: web
  desiredCount: 2
  deploymentConfiguration:
    strategy: CANARY
    deploymentConfigName: tenth
---
taskDefinition:
  family: web
  containerDefinitions: [{name: web, command: [serve]}]
---
deploymentConfig: {name: tenth, strategy: CANARY, canaryConfiguration: {canaryPercent: 10}}
---
hook: {name: smoke, webhook: {url: "http://127.0.0.1:9000/"}}
---
alarm: {name: web-5xx, namespace: n, metricName: m, statistic: SUM, period: 10s, evaluationPeriods: 1, comparisonOperator: GREATER_THAN_THRESHOLD}
---
targetGroup: {name: web-a, healthCheck: {type: TCP}}
---
cluster: {name: staging}
`

func write(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestApplyMakesWhatIsMissingAndLeavesTheRest(t *testing.T) {
	t.Parallel()
	f, address := start(t)
	f.drive = succeed
	file := write(t, "all.yaml", everything)
	s := slipway(t, address, "apply", "-f", file)
	s.want(t, 0)
	want := `cluster staging created
targetGroup web-a created
alarm web-5xx created
hook smoke created
deploymentConfig tenth created
taskDefinition web created, is web:1
service web created, deployment d-1 began; follow it with: slipway watch d-1
`
	if s.out != want {
		t.Errorf("got\n%swant\n%s", s.out, want)
	}
	f.eventually(t, func() bool { return f.find("d-1").GetFinishTime() != nil })
	s = slipway(t, address, "apply", "-f", file)
	s.want(t, 0)
	for line := range strings.SplitSeq(strings.TrimSpace(s.out), "\n") {
		if !strings.Contains(line, " unchanged") && !strings.HasPrefix(line, "cluster staging") {
			t.Errorf("applied again: %s", line)
		}
	}
	if n := len(f.definitions); n != 1 {
		t.Errorf("there are %d revisions of the task definition, want 1", n)
	}
}

func TestApplyUpdatesWhatTheDocumentHas(t *testing.T) {
	t.Parallel()
	f, address := start(t)
	f.addService("web")
	file := write(t, "web.yaml", "service: {name: web, desiredCount: 0}")
	slipway(t, address, "apply", "-f", file).want(t, 0, "service web changed\n")
	if got := f.updates[0].GetUpdateMask().GetPaths(); !slices.Equal(got, []string{"desired_count"}) {
		t.Errorf("the mask is %v", got)
	}
	if n := f.service("", "web").GetDesiredCount(); n != 0 {
		t.Errorf("the desired count is %d", n)
	}
	file = write(t, "web.json", `{"taskDefinition":{"family":"web","containerDefinitions":[{"name":"x"}]}} {"service":{"name":"web","taskDefinition":"web"}}`)
	slipway(t, address, "apply", "-f", file).want(t, 0, "taskDefinition web created, is web:3", "deployment d-2 began")
	slipway(t, address, "apply", "-f", write(t, "x.yaml", "service: {name: web, taskDefinition: 'web:1'}")).
		want(t, 2, "x.yaml:1:1: service web: deployment d-2 of web is at work", "slipway watch d-2", "--supersede")
	slipway(t, address, "apply", "--supersede", "-f", write(t, "x.yaml", "service: {name: web, taskDefinition: 'web:1'}")).want(t, 0, "deployment d-3 began")
}

func TestApplyTellsWhereAFileIsWrong(t *testing.T) {
	t.Parallel()
	f, address := start(t)
	file := write(t, "web.yaml", "service:\n  name: web\n  desiredCout: 2\n")
	slipway(t, address, "apply", "-f", file).want(t, 2, `web.yaml:3:3: unknown field "desiredCout" in service; did you mean "desiredCount"?`)
	file = write(t, "rules.yaml", "targetGroup:\n  name: web-a\n  healthCheck:\n    healthyThreshold: 1\n    interval: 1s\n---\ncluster: {name: '!'}\n")
	s := slipway(t, address, "apply", "-f", file)
	s.want(t, 2, "rules.yaml:7:11: cluster.name: ", "2 of 2 documents were not applied")
	file = write(t, "rules.yaml", "targetGroup:\n  name: web-a\n  healthCheck:\n    healthyThreshold: 1\n    interval: 1s\n")
	slipway(t, address, "apply", "-f", file).want(t, 2,
		"rules.yaml:4:5: target_group.health_check.healthy_threshold: must be 2 to 10",
		"rules.yaml:5:5: health_check.interval: must be above the timeout")
	if len(f.groups) > 0 {
		t.Error("a wrong file was applied")
	}
}

func TestApplyRefusesToChangeADeploymentConfiguration(t *testing.T) {
	t.Parallel()
	_, address := start(t)
	text := "deploymentConfig: {name: a, strategy: BLUE_GREEN}\n---\ndeploymentConfig: {name: b, strategy: LINEAR, linearConfiguration: {stepPercent: 20}}\n"
	slipway(t, address, "apply", "-f", write(t, "c.yaml", text)).want(t, 0, "a created", "b created")
	text = strings.ReplaceAll(text, "stepPercent: 20", "stepPercent: 25")
	slipway(t, address, "apply", "-f", write(t, "c.yaml", text)).want(t, 2, "deploymentConfig a unchanged", "c.yaml:3:1: deploymentConfig b: it exists with another definition")
}

func TestApplyReadsStdinAndAnswersAsTheAPI(t *testing.T) {
	t.Parallel()
	_, address := start(t)
	stdin := terminal{stdin: "cluster: {name: a}\n---\ntaskDefinition: {family: web, containerDefinitions: [{name: web}]}\n"}
	s := stdin.slipway(t.Context(), address, "apply", "-f", "-", "-o", "json")
	s.want(t, 0)
	decoder := json.NewDecoder(strings.NewReader(s.out))
	var cluster struct{ Cluster struct{ Name string } }
	var definition struct{ TaskDefinition struct{ Revision int } }
	if err := decoder.Decode(&cluster); err != nil || cluster.Cluster.Name != "a" {
		t.Errorf("first answer: %v %+v", err, cluster)
	}
	if err := decoder.Decode(&definition); err != nil || definition.TaskDefinition.Revision != 1 {
		t.Errorf("second answer: %v %+v", err, definition)
	}
	s = stdin.slipway(t.Context(), address, "apply", "-f", "-", "-o", "yaml")
	s.want(t, 0, "---\ncluster:\n  name: a\n---\ntaskDefinition:\n  family: web\n  revision: 1\n")
	for decoder, n := yaml.NewDecoder(strings.NewReader(s.out)), 0; n < 2; n++ {
		if err := decoder.Decode(&map[string]any{}); err != nil {
			t.Errorf("document %d: %v", n, err)
		}
	}
}

func TestApplyUsesTheClusterThatIsSet(t *testing.T) {
	t.Parallel()
	f, address := start(t)
	f.addDefinition("web")
	staging := terminal{env: map[string]string{"SLIPWAY_CLUSTER": "staging"}}
	staging.slipway(t.Context(), address, "apply", "-f", write(t, "w.yaml", "service: {name: web, taskDefinition: web}")).want(t, 0, "service web created")
	if f.service("staging", "web") == nil {
		t.Error("the service is not in the cluster of the environment")
	}
	slipway(t, address, "apply", "-f", write(t, "w.yaml", "service: {cluster: prod, name: web, taskDefinition: web}")).want(t, 0)
	if f.service("prod", "web") == nil {
		t.Error("the service is not in the cluster of the file")
	}
}

func TestApplyLeavesALoadBalancerThatIsTheSameOutOfTheMask(t *testing.T) {
	t.Parallel()
	f, address := start(t)
	s := f.addService("web")
	s.LoadBalancer = &orchestratorpb.LoadBalancer{TargetGroup: "a", ProductionListener: "127.0.0.1:80", ContainerPort: 8080}
	text := "service: {name: web, desiredCount: 3, loadBalancer: {targetGroup: a, productionListener: '127.0.0.1:80'}}"
	slipway(t, address, "apply", "-f", write(t, "w.yaml", text)).want(t, 0)
	slipway(t, address, "apply", "-f", write(t, "w.yaml", strings.ReplaceAll(text, "Group: a", "Group: b"))).want(t, 0)
	for i, want := range [][]string{{"desired_count"}, {"desired_count", "load_balancer"}} {
		if got := f.updates[i].GetUpdateMask().GetPaths(); !slices.Equal(got, want) {
			t.Errorf("update %d has the mask %v, want %v", i, got, want)
		}
	}
}
