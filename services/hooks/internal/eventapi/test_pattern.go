package eventapi

import (
	"context"
	"encoding/json"

	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
)

// eventNotValid is EventBridge's sentence.
const eventNotValid = "Parameter Event is not valid."

// TestEventPattern says whether an event matches a pattern, exactly as EventBridge does: the alias that subscriptions take for
// ECS's detail-type is not looked at. The pattern is looked at first.
func (s *Server) TestEventPattern(_ context.Context, req *hookspb.TestEventPatternRequest) (*hookspb.TestEventPatternResponse, error) {
	// An empty pattern matches everything in a subscription; here it is no pattern, as in EventBridge.
	pattern, err := s.cfg.Compile([]byte(req.GetEventPattern()))
	if err != nil {
		return nil, said("event_pattern", err.Error())
	}
	if !validEvent([]byte(req.GetEvent()), req.GetAnyEvent()) {
		return nil, said("event", eventNotValid)
	}
	result, err := pattern.Match([]byte(req.GetEvent()))
	if err != nil {
		return nil, said("event", eventNotValid)
	}
	return &hookspb.TestEventPatternResponse{Result: result}, nil
}

// said is a violation whose message is the sentence alone, word for word.
func said(field, sentence string) error {
	p := problem.Invalid(field, "%s", sentence)
	p.Message = sentence
	return p
}

// validEvent reports whether EventBridge would take an event: a JSON object with its six fields.
func validEvent(event []byte, anyObject bool) bool {
	var fields map[string]json.RawMessage
	if json.Unmarshal(event, &fields) != nil || fields == nil {
		return false
	}
	if anyObject {
		return true
	}
	for _, name := range []string{"id", "account", "source", "time", "region", "detail-type"} {
		if _, ok := fields[name]; !ok {
			return false
		}
	}
	return true
}
