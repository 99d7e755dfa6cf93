// Package composite decides about composite alarms: their state from the states of other alarms, the reason, and what suppresses their
// actions. It is pure: no clock, no I/O.
package composite

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/slipway-deploy/slipway/services/alarms/internal/alarm"
	"github.com/slipway-deploy/slipway/services/alarms/internal/rule"
)

// MaxParents is the most composite alarms that one alarm may be in.
const MaxParents = 150

// Definition is a composite alarm.
type Definition struct {
	Name            string
	Rule            *rule.Rule
	Suppressor      string // the name of an alarm, or empty
	Wait, Extension time.Duration
}

// Settings is a composite alarm as a person writes it. A period that is nil was not given.
type Settings struct {
	Name, Rule, Suppressor string
	Wait, Extension        *time.Duration
}

// New reads a composite alarm and returns every rule that it breaks.
func New(s Settings) (Definition, []alarm.Violation) {
	d := Definition{Name: s.Name, Suppressor: rule.Name(s.Suppressor)}
	var broken []alarm.Violation
	add := func(field, format string, args ...any) {
		broken = append(broken, alarm.Violation{Field: "composite_alarm." + field, Rule: fmt.Sprintf(format, args...)})
	}
	var err error
	if d.Rule, err = rule.Parse(s.Rule); err != nil {
		add("alarm_rule", "%s", err)
	} else if slices.Contains(d.Rule.Children(), s.Name) {
		add("alarm_rule", "refers to the alarm itself: %s -> %s", s.Name, s.Name)
	}
	if d.Suppressor == s.Name {
		add("actions_suppressor", "must be another alarm")
	}
	for _, p := range []struct {
		field string
		given *time.Duration
		into  *time.Duration
	}{
		{"actions_suppressor_wait_period", s.Wait, &d.Wait}, {"actions_suppressor_extension_period", s.Extension, &d.Extension},
	} {
		switch {
		case p.given == nil && s.Suppressor != "":
			add(p.field, "is needed with actions_suppressor")
		case p.given != nil && s.Suppressor == "":
			add(p.field, "goes with actions_suppressor alone")
		case p.given != nil && (*p.given < 0 || *p.given%time.Second != 0 || *p.given > maxPeriod):
			add(p.field, "must be whole seconds, from 0 to %d", maxPeriod/time.Second)
		case p.given != nil:
			*p.into = *p.given
		}
	}
	return d, broken
}

const maxPeriod = 365 * 24 * time.Hour

// Children are the alarms that it depends on: those of the rule, and the suppressor.
func (d Definition) Children() []string {
	names := d.Rule.Children()
	if d.Suppressor != "" && !slices.Contains(names, d.Suppressor) {
		names = append(names, d.Suppressor)
	}
	return names
}

// Child is another alarm as it is now.
type Child struct {
	State alarm.State
	Since time.Time
}

// Evaluate decides the state. An alarm that children does not know is in no state. arn gives an alarm's ARN.
func (d Definition) Evaluate(children func(name string) Child, arn func(name string) string) alarm.Verdict {
	state := func(name string) string { return string(children(name).State) }
	v := alarm.Verdict{State: alarm.OK}
	if d.Rule.Eval(state) {
		v.State = alarm.Alarm
	}
	triggers := d.Rule.Triggers(state)
	slices.SortStableFunc(triggers, func(a, b string) int { return children(b).Since.Compare(children(a).Since) })
	v.Reason = d.reason(v.State, triggers, children, arn)
	v.Data = reasonData(triggers, children, arn)
	return v
}

// reason says in CloudWatch's words which alarm changed last of those that make the rule what it is.
func (d Definition) reason(state alarm.State, triggers []string, children func(string) Child, arn func(string) string) string {
	if len(triggers) == 0 {
		return fmt.Sprintf("The alarm rule is %s.", strings.ToUpper(fmt.Sprint(state == alarm.Alarm)))
	}
	last := children(triggers[0])
	return fmt.Sprintf("%s transitioned to %s at %s", arn(triggers[0]), last.State, last.Since.UTC().Format("Monday 02 January, 2006 15:04:05 UTC"))
}

type trigger struct {
	ARN   string       `json:"arn"`
	State triggerState `json:"state"`
}

type triggerState struct {
	Value     alarm.State `json:"value"`
	Timestamp string      `json:"timestamp"`
}

// reasonData is CloudWatch's StateReasonData: the alarms that make the rule what it is, the last to change first, as many as fit.
func reasonData(names []string, children func(string) Child, arn func(string) string) string {
	list := []trigger{}
	for _, name := range names {
		child := children(name)
		list = append(list, trigger{arn(name), triggerState{child.State, child.Since.UTC().Format("2006-01-02T15:04:05.000-0700")}})
	}
	for {
		body, err := json.Marshal(map[string][]trigger{"triggeringAlarms": list})
		if err != nil {
			return "{}" // names and times marshal
		}
		if len(body) <= alarm.MaxReasonData || len(list) == 0 {
			return string(body)
		}
		list = list[:len(list)*3/4]
	}
}
