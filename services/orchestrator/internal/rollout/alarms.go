package rollout

import (
	"slices"
	"strings"
	"time"
)

// alarmsAllowStart decides whether a deployment may begin. ECS stops looking at alarms for a whole deployment when one
// is in ALARM at its beginning; Slipway waits until none is, unless it was told to do as ECS does.
func (r *run) alarmsAllowStart() bool {
	d := r.Deployment
	if !r.alarmsKnown() {
		return false
	}
	burning := r.inAlarm()
	switch {
	case len(burning) == 0:
		d.Alarms.Status = Monitoring
		return true
	case d.Config.Alarms.InitialPolicy == IgnoreInitialAlarm:
		return true
	}
	r.wait(WaitAlarm, time.Time{}, "", "%s to leave ALARM before the deployment begins", strings.Join(burning, ", "))
	return false
}

// alarmTripped looks for alarms in ALARM while they are monitored.
func (r *run) alarmTripped() bool {
	d := r.Deployment
	if d.Alarms.Status != Monitoring || !r.obs.Alarms.Known {
		return false
	}
	burning := r.inAlarm()
	if len(burning) == 0 {
		return false
	}
	d.Alarms.Status, d.Alarms.Triggered = MonitorTriggered, burning
	return true
}

func (r *run) inAlarm() []string {
	var names []string
	for _, name := range r.Deployment.Config.Alarms.Names {
		if r.obs.Alarms.States[name] == AlarmInAlarm {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// alarmsKnown holds a deployment that looks at alarms until every one of them can be seen.
func (r *run) alarmsKnown() bool {
	alarms := r.Deployment.Config.Alarms
	if !alarms.Enable || len(alarms.Names) == 0 {
		return true
	}
	if !r.obs.Alarms.Known {
		r.wait(WaitService, time.Time{}, "", "the alarms service cannot be reached")
		return false
	}
	for _, name := range alarms.Names {
		if _, exists := r.obs.Alarms.States[name]; !exists {
			r.wait(WaitAlarm, time.Time{}, "", "alarm %s does not exist", name)
			return false
		}
	}
	return true
}
