package engine

import (
	"fmt"
	"testing"

	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/hooks/internal/handler"
	"github.com/slipway-deploy/slipway/services/hooks/internal/invocation"
)

func TestWhatACallSaysAboutItsEndpoint(t *testing.T) {
	tests := map[string]struct {
		event    invocation.Event
		cutShort bool
		want     countAs
	}{
		"an answer":                        {invocation.Answered{Answer: invocation.Answer{Status: "FAILED"}}, false, asSuccess},
		"a refusal for good":               {invocation.Unanswered{Final: true}, false, asSuccess},
		"no answer":                        {invocation.Unanswered{}, false, asFailure},
		"no answer, but little time":       {invocation.Unanswered{}, true, notCounted},
		"an answer that came in time":      {invocation.Answered{}, true, asSuccess},
		"what is not to be understood too": {invocation.Answered{Answer: invocation.Answer{Broken: "answered hello"}}, false, asSuccess},
	}
	for name, tt := range tests {
		if got := verdict(tt.event, tt.cutShort); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

func TestOnlyTheDatabasesAbsenceIsWaitedOutForEver(t *testing.T) {
	for _, kind := range problem.Kinds() {
		want := kind == problem.Unavailable || kind == problem.Aborted || kind == problem.DeadlineExceeded || kind == problem.Canceled
		if got := transient(fmt.Errorf("save: %w", problem.New(kind, "", "x"))); got != want {
			t.Errorf("%v: transient %t", kind, got)
		}
	}
}

func TestResultsInMetricsAreFew(t *testing.T) {
	results := map[string]bool{}
	for _, status := range []string{"SUCCEEDED", "FAILED", "IN_PROGRESS", "", "whatever a handler says"} {
		for _, broken := range []string{"", "broken"} {
			results[result(handler.Reply{Event: invocation.Answered{Answer: invocation.Answer{Status: status, Broken: broken}}})] = true
		}
	}
	results[result(handler.Reply{Event: invocation.Unanswered{}})] = true
	if len(results) != 5 {
		t.Errorf("results: %v", results)
	}
}
