// Package appspec reads CodeDeploy's application specification for Amazon ECS, as YAML or JSON.
//
// It is pure: what the hooks and the task definition named in it mean is for the caller.
package appspec

import (
	"fmt"
	"strings"
)

// AppSpec is what a file asks for.
type AppSpec struct {
	Service        string // where its properties are, "Resources[0].TargetService.Properties"
	TaskDefinition string // as written: a name, family:revision or an ARN
	ContainerName  string
	ContainerPort  int
	Hooks          []Hook   // in the order of the file
	Ignored        []string // what is there for AWS alone, by path
}

// Hook is a hook called at a lifecycle event.
type Hook struct {
	Event string // one of Events
	Name  string // as written: a name or the ARN of a Lambda function
	Path  string // where it is, "Hooks[0].AfterInstall"
}

// The lifecycle events that can have a hook, in order (CodeDeploy: AppSpec 'hooks' section).
const (
	BeforeInstall         = "BeforeInstall"
	AfterInstall          = "AfterInstall"
	AfterAllowTestTraffic = "AfterAllowTestTraffic"
	BeforeAllowTraffic    = "BeforeAllowTraffic"
	AfterAllowTraffic     = "AfterAllowTraffic"
)

// Events lists the lifecycle events that can have a hook, in order.
func Events() []string {
	return []string{BeforeInstall, AfterInstall, AfterAllowTestTraffic, BeforeAllowTraffic, AfterAllowTraffic}
}

// eventOf is the event of a key of the hooks section. PreTrafficHook and PostTrafficHook are the names for Lambda deployments, which
// are often written for ECS too.
func eventOf(key string) (string, bool) {
	for _, event := range Events() {
		if key == event {
			return event, true
		}
	}
	switch key {
	case "PreTrafficHook":
		return BeforeAllowTraffic, true
	case "PostTrafficHook":
		return AfterAllowTraffic, true
	}
	return "", false
}

// Violation is a path in the file and the rule it breaks.
type Violation struct{ Path, Rule string }

// Error is the rules that a file breaks, the first 32.
type Error struct{ Violations []Violation }

// Error says the first in a sentence, and how many there are.
func (e *Error) Error() string {
	first := e.Violations[0]
	text := first.Path + ": " + first.Rule
	if first.Path == "" {
		text = first.Rule
	}
	if more := len(e.Violations) - 1; more > 0 {
		text += fmt.Sprintf(" (and %d more)", more)
	}
	return text
}

// DefinitionName is a task definition's name without what an ARN has around it: "web:3" of
// "arn:aws:ecs:eu-west-1:123456789012:task-definition/web:3".
func DefinitionName(s string) string { return s[strings.LastIndex(s, "/")+1:] }

// FunctionName is the name of a Lambda function without what an ARN, a partial ARN or a qualifier has around it: "check" of
// "arn:aws:lambda:eu-west-1:123456789012:function:check:live", of "123456789012:function:check" and of "check:live".
func FunctionName(s string) string {
	if _, name, found := strings.Cut(s, "function:"); found {
		s = name
	}
	name, _, _ := strings.Cut(s, ":")
	return name
}
