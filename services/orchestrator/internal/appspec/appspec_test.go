package appspec

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

const whole = `
version: 0.0
Resources:
  - TargetService:
      Type: AWS::ECS::Service
      Properties:
        TaskDefinition: "arn:aws:ecs:eu-west-1:123456789012:task-definition/web:3"
        LoadBalancerInfo:
          ContainerName: app
          ContainerPort: 8080
        PlatformVersion: LATEST
        NetworkConfiguration:
          AwsvpcConfiguration: {Subnets: [a], SecurityGroups: [b], AssignPublicIp: ENABLED}
        CapacityProviderStrategy: [{Base: 1, CapacityProvider: FARGATE, Weight: 1}]
Hooks:
  - BeforeInstall: "a"
  - AfterInstall: "b"
  - AfterAllowTestTraffic: "c"
  - PreTrafficHook: "d"
  - AfterAllowTraffic: "arn:aws:lambda:eu-west-1:123456789012:function:check:live"
`

func TestAWholeFileIsRead(t *testing.T) {
	t.Parallel()
	got, err := Parse([]byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	const at = "Resources[0].TargetService.Properties."
	want := &AppSpec{
		Service:        "Resources[0].TargetService.Properties",
		TaskDefinition: "arn:aws:ecs:eu-west-1:123456789012:task-definition/web:3", ContainerName: "app", ContainerPort: 8080,
		Hooks: []Hook{
			{BeforeInstall, "a", "Hooks[0].BeforeInstall"},
			{AfterInstall, "b", "Hooks[1].AfterInstall"},
			{AfterAllowTestTraffic, "c", "Hooks[2].AfterAllowTestTraffic"},
			{BeforeAllowTraffic, "d", "Hooks[3].PreTrafficHook"},
			{AfterAllowTraffic, "arn:aws:lambda:eu-west-1:123456789012:function:check:live", "Hooks[4].AfterAllowTraffic"},
		},
		Ignored: []string{at + "PlatformVersion", at + "NetworkConfiguration", at + "CapacityProviderStrategy"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestNamesAreTakenOutOfARNs(t *testing.T) {
	t.Parallel()
	for arn, want := range map[string]string{
		"arn:aws:ecs:eu-west-1:123456789012:task-definition/web:3": "web:3", "web:3": "web:3", "web": "web",
	} {
		if got := DefinitionName(arn); got != want {
			t.Errorf("%s: %s", arn, got)
		}
	}
	for _, arn := range []string{
		"check", "check:live", "function:check", "123456789012:function:check", "123456789012:function:check:7",
		"arn:aws:lambda:eu-west-1:123456789012:function:check", "arn:aws:lambda:eu-west-1:123456789012:function:check:live",
	} {
		if got := FunctionName(arn); got != "check" {
			t.Errorf("%s: %s", arn, got)
		}
	}
}

func TestJSONIsReadAlike(t *testing.T) {
	t.Parallel()
	got, err := Parse([]byte(`{"version":0.0,"Resources":[{"S":{"Type":"AWS::ECS::Service","Properties":{"TaskDefinition":"web",
		"LoadBalancerInfo":{"ContainerName":"app","ContainerPort":80}}}}],"Hooks":[{"AfterInstall":"x"}]}`))
	if err != nil || got.TaskDefinition != "web" || got.ContainerPort != 80 || len(got.Hooks) != 1 || got.Ignored != nil {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestSmallKeysAndNoHooksAreTaken(t *testing.T) {
	t.Parallel()
	small := strings.NewReplacer("Resources:", "resources:", "Hooks:", "hooks:").Replace(whole)
	if got, err := Parse([]byte(small)); err != nil || len(got.Hooks) != 5 {
		t.Errorf("%+v, %v", got, err)
	}
	head, _, _ := strings.Cut(whole, "  - BeforeInstall")
	if got, err := Parse([]byte(head)); err != nil || len(got.Hooks) != 0 {
		t.Errorf("Hooks: without any: %+v, %v", got, err)
	}
}

func TestEveryRuleNamesItsPlace(t *testing.T) {
	t.Parallel()
	const at = "Resources[0].TargetService"
	for _, c := range []struct{ from, to, path, rule string }{
		{"version: 0.0", "version: 1.0", "version", "must be 0.0"},
		{"version: 0.0", "x: 1", "version", "is needed"},
		{"Type: AWS::ECS::Service", "Type: AWS::Lambda::Function", at + ".Type", "AWS::ECS::Service"},
		{"TaskDefinition:", "taskDefinition:", at + ".Properties.taskDefinition", "did you mean TaskDefinition?"},
		{"ContainerName: app", "ContainerName: ''", at + ".Properties.LoadBalancerInfo.ContainerName", "not empty"},
		{"ContainerPort: 8080", `ContainerPort: "8080"`, at + ".Properties.LoadBalancerInfo.ContainerPort", "1 to 65535"},
		{"          ContainerPort: 8080\n", "", at + ".Properties.LoadBalancerInfo.ContainerPort", "is needed"},
		{", AssignPublicIp: ENABLED", "", at + ".Properties.NetworkConfiguration.AwsvpcConfiguration.AssignPublicIp", "is needed"},
		{"AssignPublicIp: ENABLED", "AssignPublicIp: yes", at + ".Properties.NetworkConfiguration.AwsvpcConfiguration.AssignPublicIp", "ENABLED or DISABLED"},
		{"TaskDefinition:", "TaskDefintion:", at + ".Properties.TaskDefintion", "did you mean TaskDefinition?"},
		{"- AfterInstall:", "- AllowTraffic:", "Hooks[1].AllowTraffic", "is no lifecycle event with a hook; known here are BeforeInstall, "},
		{"- AfterInstall:", "- AfterInstal:", "Hooks[1].AfterInstal", "did you mean AfterInstall?"},
		{"- AfterInstall:", "- BeforeAllowTraffic:", "Hooks[3].PreTrafficHook", "second hook for BeforeAllowTraffic"},
		{"- AfterAllowTraffic:", "- AfterInstall:", "Hooks[4].AfterInstall", "second hook for AfterInstall"},
		{"- AfterInstall: \"b\"", "- AfterInstall: [b]", "Hooks[1].AfterInstall", "must be a string"},
		{"  - AfterInstall: \"b\"\n", "  - {AfterInstall: b, BeforeInstall: c}\n", "Hooks[1]", "one key"},
		{"Hooks:\n", "Hooks: {}\nX:\n", "Hooks", "must be a list"},
		{"Hooks:\n", "version: 0.0\nHooks:\n", "version", "is there twice"},
		{"Hooks:\n", "  - Other: {}\nHooks:\n", "Resources", "exactly one service"},
	} {
		_, err := Parse([]byte(strings.Replace(whole, c.from, c.to, 1)))
		refused, ok := errors.AsType[*Error](err)
		if !ok {
			t.Errorf("%q for %q is taken (%v)", c.to, c.from, err)
			continue
		}
		found := false
		for _, v := range refused.Violations {
			found = found || v.Path == c.path && strings.Contains(v.Rule, c.rule)
		}
		if !found {
			t.Errorf("%q for %q: %v, want %s: %s", c.to, c.from, refused.Violations, c.path, c.rule)
		}
	}
	for _, bad := range []string{"", "[]", "a: [", whole + "---\n" + whole, strings.Repeat("#", MaxSize+1)} {
		if _, err := Parse([]byte(bad)); err == nil {
			t.Errorf("%.10q is taken", bad)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(whole)
	f.Fuzz(func(t *testing.T, content string) {
		if spec, err := Parse([]byte(content)); (spec == nil) == (err == nil) {
			t.Fatalf("%v, %v", spec, err)
		}
	})
}
