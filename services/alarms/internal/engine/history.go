package engine

import (
	"encoding/json"

	"github.com/slipway-deploy/slipway/services/alarms/internal/store"
)

type historyState struct {
	Value      string          `json:"stateValue"`
	Reason     string          `json:"stateReason"`
	ReasonData json.RawMessage `json:"stateReasonData,omitempty"`
}

// historyData is CloudWatch's HistoryData of a change of state.
func historyData(was, is store.Alarm) string {
	body, err := json.Marshal(struct {
		Version  string       `json:"version"`
		OldState historyState `json:"oldState"`
		NewState historyState `json:"newState"`
	}{"1.0", stateOf(was), stateOf(is)})
	if err != nil {
		return "{}" // texts and valid JSON marshal
	}
	return string(body)
}

func stateOf(a store.Alarm) historyState {
	s := historyState{Value: a.State, Reason: a.Reason}
	if json.Valid([]byte(a.ReasonData)) {
		s.ReasonData = json.RawMessage(a.ReasonData)
	}
	return s
}
