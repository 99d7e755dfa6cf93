package rollout

import (
	"slices"
	"strings"
	"time"
)

// alarmsAllowStart decides whether a deployment may begin. ECS stops looking at alarms for a whole deployment when one
// is in ALARM at its beginning; Slipway waits until none is, unless it was told to do as ECS does, or to begin and watch for
// the next time that the alarm goes off.
func (r *run) alarmsAllowStart() bool {
	d := r.Deployment
	if !r.alarmsKnown() {
		return false
	}
	burning := r.inAlarm()
	switch {
	case len(burning) > 0 && d.Config.Alarms.InitialPolicy == IgnoreInitialAlarm:
		return true
	case len(burning) > 0 && d.Config.Alarms.InitialPolicy == WatchInitialAlarm:
		d.Alarms.Ignored = burning
	case len(burning) > 0:
		r.wait(WaitAlarm, time.Time{}, "", "%s to leave ALARM before the deployment begins", strings.Join(burning, ", "))
		return false
	}
	d.Alarms.Status = Monitoring
	return true
}

// alarmTripped looks for alarms in ALARM while they are monitored.
func (r *run) alarmTripped() bool {
	d := r.Deployment
	if d.Alarms.Status != Monitoring || !r.obs.Alarms.Known {
		return false
	}
	d.Alarms.Ignored = slices.DeleteFunc(d.Alarms.Ignored, func(name string) bool {
		state, exists := r.obs.Alarms.States[name]
		return exists && state != AlarmInAlarm && state != AlarmUnreadable
	})
	burning := r.inAlarm()
	if len(burning) == 0 {
		return false
	}
	d.Alarms.Status, d.Alarms.Triggered = MonitorTriggered, burning
	return true
}

// inAlarm is the alarms in ALARM, without those that are ignored.
func (r *run) inAlarm() []string {
	var names []string
	for _, name := range r.Deployment.Config.Alarms.Names {
		if r.obs.Alarms.States[name] == AlarmInAlarm && !slices.Contains(r.Deployment.Alarms.Ignored, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// alarmsKnown holds a deployment that looks at alarms until every one of them can be seen, unless it was told to go on.
func (r *run) alarmsKnown() bool {
	alarms := r.Deployment.Config.Alarms
	kind, why := r.unreadable()
	if why == "" || alarms.Unreadable == IgnoreUnreadableAlarm {
		return true
	}
	until, then := time.Time{}, ""
	if since := r.Deployment.Alarms.UnreadableSince; alarms.Unreadable == StopOnUnreadableAlarm && !since.IsZero() {
		until, then = since.Add(alarms.UnreadableTimeout), "the deployment fails"
	}
	r.wait(kind, until, then, "%s", why)
	return false
}

// unreadable says which alarm cannot be read; "" when all can be, or none is looked at.
func (r *run) unreadable() (kind ConditionType, why string) {
	alarms := r.Deployment.Config.Alarms
	if !alarms.Enable || len(alarms.Names) == 0 {
		return "", ""
	}
	if !r.obs.Alarms.Known {
		return WaitService, "the alarms service cannot be reached"
	}
	for _, name := range alarms.Names {
		switch state, exists := r.obs.Alarms.States[name]; {
		case !exists:
			return WaitAlarm, "alarm " + name + " does not exist"
		case state == AlarmUnreadable:
			return WaitAlarm, "the metrics of alarm " + name + " cannot be read"
		}
	}
	return "", ""
}

// alarmsLost reports whether an alarm has been unreadable for too long (CodeDeploy stops a deployment when it cannot poll
// an alarm, unless ignorePollAlarmFailure is set).
func (r *run) alarmsLost() (why string, tooLong bool) {
	d := r.Deployment
	if d.Alarms.Status != Monitoring && d.State != Pending || d.Config.Alarms.Unreadable != StopOnUnreadableAlarm {
		return "", false
	}
	_, why = r.unreadable()
	if why == "" {
		d.Alarms.UnreadableSince = time.Time{}
		return "", false
	}
	if d.Alarms.UnreadableSince.IsZero() {
		d.Alarms.UnreadableSince = r.now
	}
	limit := d.Alarms.UnreadableSince.Add(d.Config.Alarms.UnreadableTimeout)
	r.wakeAt(limit)
	return why, !limit.After(r.now)
}
