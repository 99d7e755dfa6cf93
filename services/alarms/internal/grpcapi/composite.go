package grpcapi

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	"github.com/slipway-deploy/slipway/platform/once"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/alarms/internal/composite"
	"github.com/slipway-deploy/slipway/services/alarms/internal/engine"
	"github.com/slipway-deploy/slipway/services/alarms/internal/rule"
	"github.com/slipway-deploy/slipway/services/alarms/internal/store"
)

// PutCompositeAlarm creates a composite alarm or replaces its definition; the state is kept.
func (s *Server) PutCompositeAlarm(
	ctx context.Context, req *alarmspb.PutCompositeAlarmRequest,
) (resp *alarmspb.PutCompositeAlarmResponse, err error) {
	user := userComposite(req.GetCompositeAlarm())
	c, broken := compositeOf(user)
	var n nuls
	n.check("composite_alarm.name", user.GetName())
	n.check("composite_alarm.description", user.GetDescription())
	n.check("composite_alarm.alarm_rule", user.GetAlarmRule())
	n.check("composite_alarm.actions_suppressor", user.GetActionsSuppressor())
	for _, v := range broken {
		n = append(n, problem.Violation(v))
	}
	if err := errors.Join(noNUL("request_id", req.GetRequestId()), n.err()); err != nil {
		return nil, err
	}
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(user)
	if err != nil {
		return nil, err
	}
	d := engine.Definition{Name: c.Name, Composite: &c}
	err = s.Engine.Change(ctx, []string{d.Name}, func(tx pgx.Tx) (effect engine.Effect, err error) {
		resp, err = once.Do(ctx, tx, "PutCompositeAlarm", req.GetRequestId(), req, func() (*alarmspb.PutCompositeAlarmResponse, error) {
			if err := fits(s.Engine.Alarms(), c); err != nil {
				return nil, err
			}
			stored, err := s.put(ctx, tx, store.Alarm{Name: d.Name, Kind: store.Composite, Definition: body}, req.GetCompositeAlarm().GetEtag(), user)
			if err != nil {
				return nil, err
			}
			effect, err = s.Engine.Put(ctx, tx, d, stored)
			return &alarmspb.PutCompositeAlarmResponse{CompositeAlarm: compositePB(engine.Alarm{Definition: d, Stored: stored})}, err
		})
		return effect, err
	})
	return resp, err
}

// fits checks a composite alarm against the alarms there are: those it refers to exist, none is in too many composite alarms, and none
// leads back to it.
func fits(list []engine.Alarm, c composite.Definition) error {
	var broken nuls
	rules, parents, exists := map[string][]string{c.Name: c.Rule.Children()}, map[string]int{}, map[string]bool{}
	for _, a := range list {
		exists[a.Definition.Name] = true
		if other := a.Definition.Composite; other != nil && other.Name != c.Name {
			rules[other.Name] = other.Rule.Children()
			for _, child := range other.Children() {
				parents[child]++
			}
		}
	}
	for _, child := range c.Children() {
		field := "composite_alarm.alarm_rule"
		if child == c.Suppressor && !slices.Contains(c.Rule.Children(), child) {
			field = "composite_alarm.actions_suppressor"
		}
		switch {
		case !exists[child]:
			broken = append(broken, problem.Violation{Field: field, Rule: "refers to the alarm " + child + ", which does not exist; put it first"})
		case parents[child] >= composite.MaxParents:
			broken = append(broken, problem.Violation{Field: field, Rule: "refers to the alarm " + child + ", which is in 150 composite alarms already"})
		}
	}
	if cycle := rule.Cycle(c.Name, rules); cycle != nil {
		broken = append(broken, problem.Violation{Field: "composite_alarm.alarm_rule", Rule: "leads back to the alarm itself: " + strings.Join(cycle, " -> ")})
	}
	return broken.err()
}

// inUse refuses to delete alarms that a composite alarm refers to that stays.
func inUse(list []engine.Alarm, names []string) error {
	for _, a := range list {
		c := a.Definition.Composite
		if c == nil || slices.Contains(names, c.Name) {
			continue
		}
		for _, name := range names {
			if slices.Contains(c.Children(), name) {
				return problem.New(problem.FailedPrecondition, "IN_USE",
					"the composite alarm %s refers to the alarm %s; delete that too, or change it first", c.Name, name)
			}
		}
	}
	return nil
}

// Children are the names of the alarms that a composite alarm depends on.
func Children(a *alarmspb.CompositeAlarm) ([]string, error) {
	d, broken := compositeOf(a)
	if err := violated(broken); err != nil {
		return nil, err
	}
	return d.Children(), nil
}
