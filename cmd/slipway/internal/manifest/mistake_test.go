package manifest

import (
	"strings"
	"testing"
)

func TestMistakesNamePlaceAndMend(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, file, text, want string }{
		{
			"unknown field", "web.yaml", "# c\nservice:\n  name: web\n  taskDefinition: web\n\n  loadBalancer: {targetGroup: a}\n  desiredCout: 2\n",
			`web.yaml:7:3: unknown field "desiredCout" in service; did you mean "desiredCount"?`,
		},
		{
			"unknown field below", "web.yaml", "service:\n  deploymentConfiguration:\n    canaryConfiguration:\n      percent: 2\n",
			`web.yaml:4:7: unknown field "percent" in service.deploymentConfiguration.canaryConfiguration; it may be one of canaryPercent, canaryBakeTime`,
		},
		{
			"unknown field in a list", "t.yaml", "taskDefinition:\n  containerDefinitions:\n  - name: a\n  - nme: b\n",
			`t.yaml:4:5: unknown field "nme" in taskDefinition.containerDefinitions[1]; did you mean "name"?`,
		},
		{"unknown kind", "a.yaml", "services: {name: web}", `a.yaml:1:1: unknown field "services" in the document; did you mean "service"?`},
		{"two kinds", "a.yaml", "service: {name: web}\ncluster: {name: c}", `a.yaml:2:1: service and cluster in one document; put them into two, with "---" between them`},
		{"no object", "a.yaml", "- 1", "a.yaml:1:1: a document must be an object with one of the keys alarm, cluster, "},
		{"text for a number", "a.yaml", "service:\n  desiredCount: two", `a.yaml:2:17: service.desiredCount must be a whole number from -2147483648 to 2147483647, not the string "two"`},
		{"half a number", "a.yaml", "service: {desiredCount: 2.5}", `a.yaml:1:25: service.desiredCount must be a whole number from -2147483648 to 2147483647, not 2.5`},
		{"too large", "a.yaml", "service: {desiredCount: 3000000000}", "must be a whole number from -2147483648 to 2147483647, not 3000000000"},
		{
			"number for text", "a.yaml", "taskDefinition: {containerDefinitions: [{environment: [{name: PORT, value: 8080}]}]}",
			`a.yaml:1:76: taskDefinition.containerDefinitions[0].environment[0].value must be a string, not 8080; put it in quotes: "8080"`,
		},
		{"text for a switch", "a.yaml", "service: {deploymentConfiguration: {alarms: {enable: on}}}", `enable must be true or false, not the string "on"`},
		{"enum", "a.yaml", "service: {deploymentConfiguration: {strategy: ROLING}}", `strategy has no value "ROLING"; did you mean "ROLLING"?`},
		{"enum in lower case", "a.yaml", "service: {deploymentConfiguration: {strategy: canary}}", `strategy has no value "canary"; did you mean "CANARY"?`},
		{"enum far off", "a.yaml", "service: {deploymentConfiguration: {strategy: recreate}}", "it may be one of ROLLING, BLUE_GREEN, LINEAR, CANARY, STEPS"},
		{"duration without unit", "a.yaml", "hook: {callTimeout: 30}", `a.yaml:1:21: hook.callTimeout must be a duration such as "30s" or "5m", not 30`},
		{"scalar for an object", "a.yaml", "service: {loadBalancer: web-a}", `service.loadBalancer must be an object, not the string "web-a"`},
		{"scalar for a list", "a.yaml", "taskDefinition: {containerDefinitions: {name: web}}", "taskDefinition.containerDefinitions must be a list, not an object"},
		{"list for a scalar", "a.yaml", "service: {name: [web]}", "service.name must be a string, not a list"},
		{"twice", "a.yaml", "service:\n  desiredCount: 1\n  desired_count: 2\n", `a.yaml:3:3: field "desiredCount" is there twice`},
		{"one of two", "a.yaml", "hook:\n  grpc: {address: a:1}\n  webhook: {url: b}\n", `a.yaml:3:3: "grpc" and "webhook" exclude each other`},
		{"merge key", "a.yaml", "service:\n  <<: {name: web}\n", `a.yaml:2:3: merge keys ("<<") are not taken`},
		{"field mask", "a.yaml", "service: {name: a}\nupdateMask: desired_count\n", "a.yaml:2:13: updateMask must be names with commas between them"},
		{"broken YAML", "a.yaml", "service:\n  name: web\n bad\n", "a.yaml:3:1: not valid YAML: "},
		{"broken JSON", "a.json", "{\n\t\"service\": {\n\t\t\"name\": web\n}}", "a.json:3:11: not valid JSON: "},
		{"JSON cut short", "a.json", "{\"service\": {\n", "a.json:2:1: not valid JSON: it ends in the middle of a value"},
		{"JSON unknown field", "a.json", "{\n\t\"service\": {\n\t\t\"nam\": \"web\"}}", `a.json:3:3: unknown field "nam" in service; did you mean "name"?`},
		{"alias without end", "a.yaml", "hook: {name: a}\nrequestId: &a [*a]\n", "requestId must be a string, not a list"},
		{"details without end", "a.yaml", "service: {deploymentConfiguration: {lifecycleHooks: [{hookDetails: &a {x: *a}}]}}", "too large or nested too deep"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			docs, wrong := Parse(test.file, []byte(test.text))
			if len(wrong) == 0 {
				t.Fatalf("no mistake found in %q: %v", test.text, docs)
			}
			if got := wrong.Error(); !strings.Contains(got, test.want) {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestAllMistakesAreToldInOrder(t *testing.T) {
	t.Parallel()
	text := "service:\n  nam: web\n  desiredCount: x\n---\ncluster:\n  title: c\n"
	_, err := Read([]string{"-"}, strings.NewReader(text))
	if err == nil {
		t.Fatal("no mistake found")
	}
	lines := strings.Split(err.Error(), "\n")
	for i, want := range []string{"stdin:2:3: unknown", "stdin:3:17: service.desiredCount", `stdin:6:3: unknown field "title"`} {
		if i >= len(lines) || !strings.HasPrefix(lines[i], want) {
			t.Fatalf("line %d does not begin with %q:\n%v", i, want, err)
		}
	}
}

func FuzzParseNeverPanics(f *testing.F) {
	f.Add("a.yaml", "service:\n  name: web\n---\n{hook: {name: a}}\n")
	f.Add("a.json", `{"alarm":{"dimensions":[{"name":1}]}}`)
	f.Fuzz(func(t *testing.T, file, text string) {
		docs, wrong := Parse(file, []byte(text))
		for _, m := range wrong {
			if m.At.Line < 1 || m.At.Column < 1 || m.Text == "" {
				t.Errorf("mistake without place or text: %+v", m)
			}
		}
		for _, d := range docs {
			if d.Request == nil || d.At.Line < 1 {
				t.Errorf("document without request or place: %+v", d)
			}
		}
	})
}
