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

// Error is every rule that a file breaks.
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

// ShortName is the name at the end of an ARN, or what is no ARN as it is: "web:3" of
// "arn:aws:ecs:eu-west-1:123456789012:task-definition/web:3", "check" of "arn:aws:lambda:eu-west-1:123456789012:function:check:live".
func ShortName(s string) string {
	if !strings.HasPrefix(s, "arn:") {
		return s
	}
	if _, name, found := strings.Cut(s, ":function:"); found {
		name, _, _ = strings.Cut(name, ":")
		return name
	}
	return s[strings.LastIndex(s, "/")+1:]
}
