// Package alarm decides the state of a metric alarm from datapoints, as Amazon CloudWatch does: statistics, M of N, missing
// data, comparison operators, reasons. It is pure: no clock, no I/O, no ids.
package alarm

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// State is CloudWatch's StateValue.
type State string

// The states of an alarm.
const (
	OK               State = "OK"
	Alarm            State = "ALARM"
	InsufficientData State = "INSUFFICIENT_DATA"
)

// States lists every state.
func States() []State { return []State{OK, Alarm, InsufficientData} }

// InitialReason is the reason of an alarm that was created now.
const InitialReason = "Unchecked: Initial alarm creation"

// Comparison is CloudWatch's ComparisonOperator.
type Comparison string

// The comparison operators.
const (
	GreaterOrEqual Comparison = "GREATER_THAN_OR_EQUAL_TO_THRESHOLD"
	Greater        Comparison = "GREATER_THAN_THRESHOLD"
	Less           Comparison = "LESS_THAN_THRESHOLD"
	LessOrEqual    Comparison = "LESS_THAN_OR_EQUAL_TO_THRESHOLD"
)

func (c Comparison) breaches(value, threshold float64) bool {
	switch c {
	case GreaterOrEqual:
		return value >= threshold
	case Greater:
		return value > threshold
	case Less:
		return value < threshold
	default:
		return value <= threshold
	}
}

func (c Comparison) words() string {
	return map[Comparison]string{
		GreaterOrEqual: "greater than or equal to", Greater: "greater than", Less: "less than", LessOrEqual: "less than or equal to",
	}[c]
}

// Missing is CloudWatch's TreatMissingData.
type Missing string

// The treatments of missing data.
const (
	AsMissing   Missing = "MISSING"
	Ignore      Missing = "IGNORE"
	Breaching   Missing = "BREACHING"
	NotBreaches Missing = "NOT_BREACHING"
)

// The statistics.
const (
	SampleCount = "SampleCount"
	Average     = "Average"
	Sum         = "Sum"
	Minimum     = "Minimum"
	Maximum     = "Maximum"
)

// Definition is a metric alarm.
type Definition struct {
	Name              string
	Namespace, Metric string
	Dimensions        map[string]string
	Unit              string
	Statistic         string // one of the statistics, or an extended one such as "p99.9" or "TM(10%:90%)"
	Period            time.Duration
	EvaluationPeriods int  // N
	DatapointsToAlarm int  // M
	Explicit          bool // M was asked for, not taken from N: reasons say so
	Computed          bool // the points come from metric math or a source's own query: there is no statistic
	Threshold         float64
	Comparison        Comparison
	Missing           Missing
	IgnoreLowSamples  bool // percentiles with too few samples keep the state
}

// Percentile returns the percentile as a share of 1, if the statistic is one.
func (d Definition) Percentile() (float64, bool) {
	s, ok := parseStatistic(d.Statistic)
	return s.upper.value / 100, ok && s.kind == "p"
}

// Violation is a field and the rule it breaks.
type Violation struct{ Field, Rule string }

// Validate returns every rule that the definition breaks (CloudWatch: PutMetricAlarm; periods of 1 and 5 s are Slipway's own).
func (d Definition) Validate() []Violation {
	var v []Violation
	add := func(field, rule string, args ...any) {
		v = append(v, Violation{"alarm." + field, fmt.Sprintf(rule, args...)})
	}
	if _, ok := parseStatistic(d.Statistic); !ok && !d.Computed {
		switch d.Statistic {
		case SampleCount, Average, Sum, Minimum, Maximum:
		case "":
			add("statistic", "is needed, or extended_statistic")
		default:
			add("extended_statistic", "%q is none of p0 to p100, tm, tc, ts or wm with a percent, IQM, PR(a:b), or TM, TC, TS or WM with "+
				"(a:b) or (a%%:b%%)", d.Statistic)
		}
	}
	if !validPeriod(d.Period) {
		add("period", "must be 1, 5, 10, 20 or 30 s or a multiple of 60 s")
	}
	if d.EvaluationPeriods < 1 {
		add("evaluation_periods", "must be at least 1")
	}
	if d.DatapointsToAlarm < 1 || d.DatapointsToAlarm > d.EvaluationPeriods {
		add("datapoints_to_alarm", "must be 1 to evaluation_periods (%d)", d.EvaluationPeriods)
	}
	limit := 24 * time.Hour
	if d.Period >= time.Hour {
		limit = 7 * 24 * time.Hour
	}
	if d.Period > 0 && d.EvaluationPeriods > int(limit/d.Period) { // the product may overflow
		add("evaluation_periods", "times the period must not be longer than %s", limit)
	}
	if d.IgnoreLowSamples {
		if _, ok := d.Percentile(); !ok {
			add("evaluate_low_sample_count_percentile", "goes with a percentile alone")
		}
	}
	return v
}

func validPeriod(p time.Duration) bool {
	switch p {
	case time.Second, 5 * time.Second, 10 * time.Second, 20 * time.Second, 30 * time.Second:
		return true
	}
	return p > 0 && p%time.Minute == 0
}

// Range is how many periods are looked at: N and a third of N more, at least two, so that late and sparse data count
// (CloudWatch documents 5 for N = 3 and no rule).
func (d Definition) Range() int { return d.EvaluationPeriods + max(d.EvaluationPeriods/3, 2) }

// Point is the statistic of one period. A period without samples has none.
type Point struct {
	Time    time.Time // the period's start
	Value   float64
	Samples float64
	Missing bool
}

// Verdict is the outcome of an evaluation.
type Verdict struct {
	State  State
	Kept   bool // there was nothing to decide by
	Reason string
	Data   string // CloudWatch's StateReasonData, JSON
}

// Evaluate decides the state at a time from the points of the evaluation range, oldest first, for an alarm that is in the state was.
func Evaluate(d Definition, was State, points []Point, now time.Time) Verdict {
	o := d.judge(points)
	if d.IgnoreLowSamples && !o.keep && d.lowSamples(o.real) {
		o.keep, o.low = true, true
	}
	state := o.state
	if o.keep {
		state = was
	}
	return Verdict{State: state, Kept: o.keep, Reason: short(d.reason(o, state), MaxReason), Data: d.reasonData(o, points, now)}
}

type outcome struct {
	state    State
	keep     bool    // the state stays as it is
	low      bool    // because of too few samples
	real     []Point // what was evaluated, oldest first
	breached []Point
	fill     int // missing datapoints that were treated as something
}

// judge is the algorithm of "Configuring how CloudWatch alarms treat missing data": the newest N real points decide; when
// there are fewer, missing ones are filled in as the alarm says; and an alarm does not go to ALARM too early on the first
// breaching points of a sparse metric.
func (d Definition) judge(points []Point) outcome {
	n, m := d.EvaluationPeriods, d.DatapointsToAlarm
	var o outcome
	for _, p := range points {
		if !p.Missing {
			o.real = append(o.real, p)
		}
	}
	if len(o.real) > n {
		o.real = o.real[len(o.real)-n:]
	}
	for _, p := range o.real {
		if d.Comparison.breaches(p.Value, d.Threshold) {
			o.breached = append(o.breached, p)
		}
	}
	b := len(o.breached)
	o.state = OK
	if len(o.real) == n {
		if b >= m {
			o.state = Alarm
		}
		return o
	}
	o.fill = n - len(o.real)
	switch {
	case len(o.real) == 0:
		o.state, o.keep = map[Missing]State{AsMissing: InsufficientData, Breaching: Alarm, NotBreaches: OK, Ignore: OK}[d.Missing], d.Missing == Ignore
	case d.Missing == Breaching:
		if b+o.fill >= m {
			o.state = Alarm
		}
	case b >= m:
		o.state = Alarm
	case d.Missing == NotBreaches:
	case b == len(o.real):
		// Every real point breaches, but fewer than M are real.
		if d.Missing == AsMissing && age(points, o.breached[0]) >= m {
			o.state = Alarm
		} else {
			o.keep = true
		}
	}
	return o
}

// age is the place of a point from the newest, which is 1.
func age(points []Point, p Point) int {
	for i, q := range points {
		if q.Time.Equal(p.Time) {
			return len(points) - i
		}
	}
	return 0
}

// MinSamples is how many samples a percentile needs to mean something (CloudWatch: percentiles and low data samples).
func MinSamples(p float64) float64 {
	switch {
	case p <= 0 || p >= 1:
		return 0
	case p < 0.5:
		return whole(10 / p)
	default:
		return whole(1000 / (100 - 100*p))
	}
}

// whole is the next whole number, or the one that v is but for the rounding of floats.
func whole(v float64) float64 {
	if near := math.Round(v); math.Abs(v-near) < near*1e-6 {
		return near
	}
	return math.Ceil(v)
}

func (d Definition) lowSamples(points []Point) bool {
	p, ok := d.Percentile()
	if !ok {
		return false
	}
	for _, point := range points {
		if !point.Missing && point.Samples < MinSamples(p) {
			return true
		}
	}
	return false
}

// join lists points, oldest first; when there are many, the newest.
func join(points []Point) string {
	if len(points) > maxListed {
		return "..., " + join(points[len(points)-maxListed:])
	}
	texts := make([]string, len(points))
	for i, p := range points {
		texts[i] = number(p.Value) + " (" + p.Time.UTC().Format("02/01/06 15:04:05") + ")"
	}
	return strings.Join(texts, ", ")
}

// number writes a value as CloudWatch does: with a decimal point.
func number(v float64) string {
	text := strconv.FormatFloat(v, 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}
