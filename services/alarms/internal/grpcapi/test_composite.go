package grpcapi

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/alarms/internal/alarm"
	"github.com/slipway-deploy/slipway/services/alarms/internal/composite"
)

// compositeTrial is a composite alarm and its children as a test has them change.
type compositeTrial struct {
	composite.Definition

	arn      func(string) string
	children map[string]composite.Child
	state    alarm.State
	since    time.Time
	left     time.Time
	resp     *alarmspb.TestAlarmResponse
}

func tryComposite(req *alarmspb.TestAlarmRequest, start time.Time, was alarm.State, arn func(string) string) (*alarmspb.TestAlarmResponse, error) {
	d, broken := compositeOf(req.GetCompositeAlarm())
	if len(req.GetPeriods())+len(req.GetSeries()) > 0 {
		broken = append(broken, alarm.Violation{Field: "periods", Rule: "and series go with a metric alarm; a composite alarm has child_states"})
	}
	if err := violated(broken); err != nil {
		return nil, err
	}
	if int(req.GetEvaluateFrom()) >= max(1, len(req.GetChildStates())) {
		return nil, problem.Invalid("evaluate_from", "must be one of the %d entries of child_states, counted from 0", len(req.GetChildStates()))
	}
	t := &compositeTrial{Definition: d, arn: arn, children: map[string]composite.Child{}, state: was, since: start, resp: &alarmspb.TestAlarmResponse{}}
	for _, name := range d.Children() {
		t.children[name] = composite.Child{State: alarm.InsufficientData, Since: start}
	}
	entries := req.GetChildStates()
	if len(entries) == 0 { // a rule of TRUE and FALSE alone
		entries = []*alarmspb.TestAlarmRequest_ChildStates{{}}
	}
	for i, entry := range entries {
		now := start.Add(entry.GetAfter().AsDuration())
		if i > 0 && now.Before(start.Add(entries[i-1].GetAfter().AsDuration())) || now.Before(start) {
			return nil, problem.Invalid(fmt.Sprintf("child_states[%d].after", i), "must not go back")
		}
		if err := t.change(entry, fmt.Sprintf("child_states[%d]", i), now); err != nil {
			return nil, err
		}
		told := i >= int(req.GetEvaluateFrom())
		until := t.evaluate(i, now, told)
		if !until.IsZero() && (i+1 == len(entries) || until.Before(start.Add(entries[i+1].GetAfter().AsDuration()))) {
			t.evaluate(i, until, told)
		}
	}
	return t.resp, nil
}

// change takes the states of children that a test sets.
func (t *compositeTrial) change(entry *alarmspb.TestAlarmRequest_ChildStates, field string, now time.Time) error {
	for i, s := range entry.GetStates() {
		name, state := s.GetAlarmName(), alarm.State(strings.TrimPrefix(s.GetState().String(), "STATE_"))
		was, known := t.children[name]
		if !known {
			return problem.Invalid(fmt.Sprintf("%s.states[%d].alarm_name", field, i), "must be one of %s: not %q",
				strings.Join(slices.Sorted(slices.Values(t.Children())), ", "), name)
		}
		if was.State == state {
			continue
		}
		if name == t.Suppressor && was.State == alarm.Alarm {
			t.left = now
		}
		t.children[name] = composite.Child{State: state, Since: now}
	}
	return nil
}

// evaluate returns when a period of suppression ends, if one has begun.
func (t *compositeTrial) evaluate(entry int, now time.Time, told bool) time.Time {
	v := t.Evaluate(func(name string) composite.Child { return t.children[name] }, t.arn)
	if v.State != t.state {
		t.state, t.since = v.State, now
	}
	s := t.Suppressed(t.state, t.since, t.children[t.Suppressor], t.left, now)
	if told {
		t.resp.Evaluations = append(t.resp.Evaluations, &alarmspb.TestAlarmResponse_Evaluation{
			Period: int32(entry), Time: timestamppb.New(now), State: statePB(string(v.State)), StateReason: v.Reason, StateReasonData: v.Data,
			ActionsSuppressedBy: suppressedPB(s.By),
		})
	}
	return s.Until
}
