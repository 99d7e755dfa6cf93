package event

import (
	"strconv"
	"time"
)

// AlarmState is a state that an alarm was or is in.
type AlarmState struct {
	Value      string // OK, ALARM or INSUFFICIENT_DATA
	Reason     string
	ReasonData string // JSON
	Time       time.Time
	// Of a composite alarm: WaitPeriod, ExtensionPeriod or Alarm, and why; "" when its actions are not suppressed.
	SuppressedBy, SuppressedReason string
}

// AlarmMetric is one metric, or one expression over metrics, of an alarm's definition.
type AlarmMetric struct {
	ID         string
	Namespace  string // "" with an expression
	Name       string
	Dimensions map[string]string
	Period     time.Duration
	Stat       string
	Unit       string
	Expression string
	Label      string
	ReturnData bool
}

// AlarmConfiguration is an alarm's definition, as far as CloudWatch tells of it.
type AlarmConfiguration struct {
	Description string
	Metrics     []AlarmMetric
	// Of a composite alarm.
	Rule                                string
	Suppressor                          string
	SuppressorWait, SuppressorExtension time.Duration
}

// AlarmFact is a change of an alarm's state.
type AlarmFact struct {
	Alarm         string
	Time          time.Time
	State         AlarmState
	Previous      AlarmState
	Configuration AlarmConfiguration
}

type alarmStateJSON struct {
	SuppressedBy     string `json:"actionsSuppressedBy,omitempty"`
	SuppressedReason string `json:"actionsSuppressedReason,omitempty"`
	Value            string `json:"value"`
	Reason           string `json:"reason,omitempty"`
	ReasonData       string `json:"reasonData,omitempty"`
	Timestamp        string `json:"timestamp,omitempty"`
}

// alarmTime has CloudWatch's shape: 2019-10-02T17:04:40.985+0000.
func alarmTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000-0700")
}

func (s AlarmState) json() alarmStateJSON {
	return alarmStateJSON{s.SuppressedBy, s.SuppressedReason, s.Value, s.Reason, s.ReasonData, alarmTime(s.Time)}
}

type metricJSON struct {
	Dimensions map[string]string `json:"dimensions,omitempty"`
	Name       string            `json:"name"`
	Namespace  string            `json:"namespace"`
}

type metricStatJSON struct {
	Metric metricJSON `json:"metric"`
	Period float64    `json:"period"` // seconds
	Stat   string     `json:"stat"`
	Unit   string     `json:"unit,omitempty"`
}

type alarmMetricJSON struct {
	ID         string          `json:"id"`
	MetricStat *metricStatJSON `json:"metricStat,omitempty"`
	Expression string          `json:"expression,omitempty"`
	Label      string          `json:"label,omitempty"`
	ReturnData bool            `json:"returnData"`
}

type alarmConfigurationJSON struct {
	AlarmRule           string            `json:"alarmRule,omitempty"`
	Suppressor          string            `json:"actionsSuppressor,omitempty"`
	SuppressorWait      *float64          `json:"actionsSuppressorWaitPeriod,omitempty"`      // seconds
	SuppressorExtension *float64          `json:"actionsSuppressorExtensionPeriod,omitempty"` // seconds
	Description         string            `json:"description,omitempty"`
	Metrics             []alarmMetricJSON `json:"metrics,omitempty"`
}

func (c AlarmConfiguration) json(alarm string) alarmConfigurationJSON {
	to := alarmConfigurationJSON{AlarmRule: c.Rule, Suppressor: c.Suppressor, Description: c.Description}
	if c.Suppressor != "" {
		wait, extension := c.SuppressorWait.Seconds(), c.SuppressorExtension.Seconds()
		to.SuppressorWait, to.SuppressorExtension = &wait, &extension
	}
	for n, m := range c.Metrics {
		item := alarmMetricJSON{ID: m.ID, Expression: m.Expression, Label: m.Label, ReturnData: m.ReturnData}
		if item.ID == "" {
			item.ID = id("metric", alarm, strconv.Itoa(n)) // CloudWatch makes one up for an alarm on one metric
		}
		if m.Expression == "" {
			item.MetricStat = &metricStatJSON{metricJSON{m.Dimensions, m.Name, m.Namespace}, m.Period.Seconds(), m.Stat, m.Unit}
		}
		to.Metrics = append(to.Metrics, item)
	}
	return to
}

// OfAlarm returns CloudWatch's event of a change of an alarm's state.
func OfAlarm(p Place, f AlarmFact) (Event, error) {
	detail, err := marshal(struct {
		AlarmName     string                 `json:"alarmName"`
		Configuration alarmConfigurationJSON `json:"configuration"`
		PreviousState alarmStateJSON         `json:"previousState"`
		State         alarmStateJSON         `json:"state"`
	}{f.Alarm, f.Configuration.json(f.Alarm), f.Previous.json(), f.State.json()})
	return Event{
		ID:   id("alarm", f.Alarm, strconv.FormatInt(f.Time.UnixNano(), 10), f.Previous.Value, f.State.Value),
		Type: AlarmStateChange, Source: SourceCloudWatch, Account: p.Account, Region: p.Region, Time: f.Time,
		Resources: []string{p.AlarmARN(f.Alarm)}, Detail: detail, OrderKey: "alarm " + f.Alarm, Subject: f.Alarm,
	}, err
}
