package series

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/slipway-deploy/slipway/services/alarms/internal/alarm"
)

const (
	maxWarmUp = 2880 * time.Minute
	maxOffset = 14 * time.Hour
)

// wallClockPeriods are those that fit the clock.
var wallClockPeriods = []time.Duration{time.Minute, 5 * time.Minute, time.Hour, 24 * time.Hour, 7 * 24 * time.Hour}

// Validate returns every rule that the definition breaks. Metric math has been read before: it is part of the definition.
func (d Definition) Validate() []alarm.Violation {
	broken := d.Definition.Validate()
	add := func(field, format string, args ...any) {
		broken = append(broken, alarm.Violation{Field: field, Rule: fmt.Sprintf(format, args...)})
	}
	for _, m := range d.Metrics {
		m.validate(add)
	}
	if d.WallClock && !slices.Contains(wallClockPeriods, d.Period) {
		add("alarm.evaluation_window", "of the wall clock goes with a period of 60, 300, 3600, 86400 or 604800 s, not %s", d.Period)
	}
	if d.Offset%(5*time.Minute) != 0 || d.Offset.Abs() > maxOffset || d.Offset != 0 && !d.WallClock {
		add("alarm.evaluation_window.utc_offset", "must be a multiple of 5 minutes, at most 14 hours, with the wall clock")
	}
	if d.WarmUp != 0 && (d.WarmUp < time.Minute || d.WarmUp > maxWarmUp || d.WarmUp%time.Minute != 0) {
		add("alarm.warm_up", "must be 1 to 2880 whole minutes")
	}
	return broken
}

func (m Metric) validate(add func(field, format string, args ...any)) {
	at := m.Field
	if m.Query != "" {
		if m.Source == Pushed {
			add(at+"source.query", "goes with a source that is asked: Prometheus or CloudWatch")
		}
		if m.Name != "" || m.Statistic != "" || len(m.Dimensions) > 0 {
			add(at+"source.query", "is given in place of metric_name, dimensions and the statistic, not with them")
		}
		return
	}
	if m.Name == "" {
		add(at+"metric_name", "is needed")
	}
	if m.Namespace == "" && m.Source != Prometheus {
		add(at+"namespace", "is needed")
	}
	if m.ID != "" && !alarm.ValidStatistic(m.Statistic) {
		add(at+"stat", "%q is none of SampleCount, Average, Sum, Minimum, Maximum, p0 to p100, tm, tc, ts or wm with a percent, IQM, PR(a:b), "+
			"or TM, TC, TS or WM with (a:b) or (a%%:b%%)", m.Statistic)
	}
	if m.Source == Prometheus && alarm.Extended(m.Statistic) && !strings.HasPrefix(m.Statistic, "p") {
		add(at+"source", "of type Prometheus cannot compute %s; use a query", m.Statistic)
	}
}
