package live

import (
	"fmt"
	"strings"
	"time"

	"github.com/slipway-deploy/slipway/cmd/slipway/internal/words"
	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

// StatusView is all that the status of a service depends on.
type StatusView struct {
	// Service is the service.
	Service *orchestratorpb.Service
	// Deployment is the one at work, or the latest; may be nil.
	Deployment *orchestratorpb.Deployment
	// Alarms is the alarms of the service's configuration that exist.
	Alarms []*alarmspb.MetricAlarm
	// AlarmsTrouble is why the alarms' states are not known; may be empty.
	AlarmsTrouble string
	// Now is the time to count from and to; its location is that of the times shown.
	Now time.Time
	// Width is how wide the screen is laid out, in columns. Longer lines are cut to it, unless Whole is set.
	Width int
	Whole bool
	// Color allows escape sequences for colors, ASCII forbids other characters than ASCII's.
	Color, ASCII bool
}

// Status returns one screen about a service.
func Status(v StatusView) []string {
	d := v.Deployment
	atWork := d != nil && !words.Ended(d.GetState())
	if !atWork { // the sections about task sets are those of a deployment
		d = &orchestratorpb.Deployment{
			TaskSets: v.Service.GetTaskSets(), Conditions: v.Service.GetConditions(),
			TargetServiceRevision: &orchestratorpb.ServiceRevision{Id: v.Service.GetServiceRevision()},
		}
	}
	p := page{View: View{Deployment: d, Now: v.Now, Width: max(v.Width, minWidth)}, g: glyphsFor(v.ASCII)}
	var deployment, stages []line
	if atWork {
		deployment, stages = p.header(), p.stages(true)
	} else if v.Deployment != nil {
		for _, s := range wrap("last: "+words.Outcome(v.Deployment, v.Now), p.Width, 4) {
			deployment = append(deployment, text(s))
		}
	}
	lines := join(true, p.service(v), deployment, stages, p.waits(), p.traffic(), p.tasks(), p.hooks(),
		p.configuredHooks(v.Service.GetDeploymentConfiguration()), p.alarmStates(v))
	out := make([]string, len(lines))
	for i, l := range lines {
		if !v.Whole {
			l = l.cut(p.Width, p.g.more)
		}
		out[i] = l.paint(v.Color)
	}
	return out
}

// service is what the service is.
func (p page) service(v StatusView) []line {
	s := v.Service
	dot := " " + p.g.dot + " "
	st := good
	if s.GetState() != orchestratorpb.Service_STATE_ACTIVE {
		st = careful
	}
	first := line{}.add(words.Clean(s.GetName()), bold).add("  ", plain).add(words.Enum(s.GetState()), st)
	first = first.add("  "+words.Clean(s.GetTaskDefinition())+dot+"cluster "+words.Clean(s.GetCluster()), plain)
	second := fmt.Sprintf("%d of %d tasks running, %d pending", s.GetRunningCount(), s.GetDesiredCount(), s.GetPendingCount())
	if r := s.GetServiceRevision(); r != "" {
		second += dot + "revision " + words.Clean(r) + " serves"
	}
	out := []line{first, text(second), text(words.Strategy(s.GetDeploymentConfiguration()))}
	if queue := s.GetQueuedDeployments(); len(queue) > 0 {
		out = append(out, text("waiting for their turn: "+words.Clean(strings.Join(queue, ", "))))
	}
	if lb := s.GetLoadBalancer(); lb != nil {
		listeners := "production " + words.Clean(lb.GetProductionListener())
		if lb.GetTestListener() != "" {
			listeners += dot + "test " + words.Clean(lb.GetTestListener())
		}
		out = append(out, text(listeners))
	}
	return out
}

// configuredHooks is the hooks that the service's deployments call.
func (p page) configuredHooks(c *orchestratorpb.DeploymentConfiguration) []line {
	var out []line
	for _, h := range c.GetLifecycleHooks() {
		name := words.Clean(h.GetHook())
		if h.GetPause() {
			name = "pause"
		}
		var stages []string
		for _, s := range h.GetLifecycleStages() {
			stages = append(stages, words.Enum(s))
		}
		l := line{}.add("  "+name, plain).add("  at "+strings.Join(stages, ", "), dim)
		if t := h.GetTimeout(); t != nil {
			l = l.add("  within "+words.Length(t)+", else "+orRollback(h.GetTimeoutAction()), dim)
		}
		out = append(out, l)
	}
	return titled("Configured hooks", out)
}

func orRollback(a orchestratorpb.LifecycleHook_TimeoutAction) string {
	if name := words.Enum(a); name != "" {
		return name
	}
	return words.Enum(orchestratorpb.LifecycleHook_TIMEOUT_ACTION_ROLLBACK)
}

// alarmStates is the alarms that the service's deployments look at, with their states.
func (p page) alarmStates(v StatusView) []line {
	config := v.Service.GetDeploymentConfiguration().GetAlarms()
	states := map[string]*alarmspb.MetricAlarm{}
	for _, a := range v.Alarms {
		states[a.GetName()] = a
	}
	var out []line
	for _, name := range config.GetAlarmNames() {
		a, known := states[name]
		l := line{}.add("  "+words.Clean(name)+"  ", plain)
		switch {
		case !known && v.AlarmsTrouble == "":
			l = l.add("does not exist", bad)
		case known:
			l = l.add(words.Enum(a.GetState()), alarmStyle(a.GetState()))
			l = l.add("  since "+words.Time(a.GetStateUpdateTime(), v.Now, v.Now.Location())+"  "+words.Clean(a.GetStateReason()), dim)
		}
		out = append(out, l)
	}
	if v.AlarmsTrouble != "" && len(out) > 0 {
		out = append(out, line{}.add("  "+v.AlarmsTrouble, careful))
	}
	if !config.GetEnable() && len(out) > 0 {
		out = append(out, line{}.add("  not enabled: deployments do not look at them", dim))
	}
	return titled("Alarms", out)
}

func alarmStyle(s alarmspb.MetricAlarm_State) style {
	switch s {
	case alarmspb.MetricAlarm_STATE_OK:
		return good
	case alarmspb.MetricAlarm_STATE_ALARM:
		return bad
	}
	return careful
}
