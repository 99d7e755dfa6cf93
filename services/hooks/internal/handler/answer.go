package handler

import (
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/slipway-deploy/slipway/services/hooks/internal/invocation"
)

const (
	maxStatus = 128 // bytes of a hookStatus that are worth showing
	maxShown  = 256 // bytes of an answer that a reason shows
)

// parseAnswer reads {hookStatus, callBackDelay, hookDetails}, the answer of an Amazon ECS lifecycle hook, with reason as
// an extension. callBackDelay matters with IN_PROGRESS only, and broken hookDetails do harm only there: with a result they
// are left out.
func parseAnswer(body []byte) invocation.Answer {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil || fields == nil {
		return invocation.Answer{Broken: fmt.Sprintf("answered what is not a JSON object: %s", shown(body))}
	}
	a := invocation.Answer{Status: text(fields["hookStatus"], maxStatus), Reason: text(fields["reason"], maxShown)}
	switch a.Status {
	case invocation.AnswerInProgress:
		a.Delay, a.Details, a.Broken = callBack(fields)
	case invocation.AnswerSucceeded, invocation.AnswerFailed:
		_, a.Details, _ = callBack(map[string]json.RawMessage{"hookDetails": fields["hookDetails"]})
	}
	return a
}

func callBack(fields map[string]json.RawMessage) (delay *time.Duration, details invocation.Details, broken string) {
	if raw := fields["callBackDelay"]; raw != nil && string(raw) != "null" {
		var seconds float64
		if err := json.Unmarshal(raw, &seconds); err != nil {
			return nil, nil, fmt.Sprintf("answered callBackDelay %s; a number of seconds is expected", shown(raw))
		}
		d := fromSeconds(seconds)
		delay = &d
	}
	if raw := fields["hookDetails"]; raw != nil {
		if err := json.Unmarshal(raw, &details); err != nil {
			return nil, nil, fmt.Sprintf("answered hookDetails %s; a JSON object is expected", shown(raw))
		}
	}
	return delay, details, ""
}

// fromSeconds keeps within the range of a duration.
func fromSeconds(seconds float64) time.Duration {
	const most = float64(invocation.MaxTimeout) / float64(time.Second)
	return time.Duration(math.Max(-most, math.Min(seconds, most)) * float64(time.Second))
}

// text is a JSON string's value, or another value as it was written, so that a reason can show it.
func text(raw json.RawMessage, most int) string {
	if raw == nil || string(raw) == "null" {
		return ""
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		s = string(raw)
	}
	return cut(clean(s), most)
}

func shown(b []byte) string {
	if len(b) == 0 {
		return "(nothing)"
	}
	return cut(clean(string(b)), maxShown)
}

func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return clean(s[:most]) + "..."
}

// accepted is HTTP's 202 without a hookStatus: the work goes on and the result is reported later, unless the body says
// when to ask for it. It may say what to carry, too; anything else in it is the webhook's own.
func accepted(body []byte) invocation.Answer {
	a := invocation.Answer{Status: invocation.AnswerInProgress}
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) == nil {
		a.Delay, a.Details, a.Broken = callBack(fields)
	}
	a.Accepted = a.Delay == nil && a.Broken == ""
	return a
}
