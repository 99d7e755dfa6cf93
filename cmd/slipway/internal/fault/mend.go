package fault

import (
	"fmt"

	"github.com/slipway-deploy/slipway/cmd/slipway/internal/words"
	"github.com/slipway-deploy/slipway/platform/problem"
)

// mend says what to do about a problem.
func mend(p *problem.Error) string {
	deployment := words.Clean(p.Metadata["deployment"])
	switch p.Reason {
	case "DEPLOYMENT_IN_PROGRESS":
		if deployment == "" {
			return "; put this one in its place with --supersede"
		}
		return fmt.Sprintf("; follow it with \"slipway watch %s\", stop it with \"slipway stop %s\", or put this one in its place with --supersede",
			deployment, deployment)
	case "SERVICE_NOT_FOUND":
		return `; "slipway services" lists those there are`
	case "TASK_DEFINITION_NOT_FOUND":
		return `; register it with "slipway apply -f FILE"`
	case "TARGET_GROUP_NOT_FOUND", "HOOK_NOT_FOUND", "DEPLOYMENT_CONFIGURATION_NOT_FOUND":
		return `; make it with "slipway apply -f FILE"`
	case "DEPLOYMENT_NOT_FOUND":
		return `; "slipway history SERVICE" lists those there are`
	case "ALARM_NOT_FOUND":
		return `; "slipway alarms" lists those there are`
	case "TASK_NOT_FOUND":
		return `; "slipway tasks SERVICE" lists those there are`
	case "NOT_WAITING":
		return `; "slipway status SERVICE" shows what it waits for`
	case "UNAUTHENTICATED":
		return "; set --token or SLIPWAY_TOKEN"
	case "STALE_ETAG", "CONFLICT":
		return "; try again"
	}
	return ""
}
