package alarm

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// CloudWatch's limits on StateReason and StateReasonData, in characters.
const (
	MaxReason     = 1023
	MaxReasonData = 4000
)

// maxListed is how many datapoints a reason lists: the newest.
const maxListed = 20

// reason says in CloudWatch's words why the alarm is in the state.
func (d Definition) reason(o outcome, state State) string {
	switch {
	case o.keep:
		return d.kept(o)
	case len(o.real) == 0 && (d.Missing == Breaching || d.Missing == NotBreaches):
		return fmt.Sprintf("Threshold Crossed: no datapoints were received for %s and %s treated as [%s].",
			count(d.EvaluationPeriods, "period"), missing(d.EvaluationPeriods), d.Missing.words())
	case len(o.real) == 0:
		return fmt.Sprintf("Insufficient Data: %s unknown.", were(d.EvaluationPeriods))
	case state == Alarm && len(o.breached) == 0:
		return fmt.Sprintf("Threshold Crossed: %s treated as [%s].", missing(o.fill), d.Missing.words())
	case state == Alarm:
		return d.crossed(o, o.breached, "", d.DatapointsToAlarm, "OK -> ALARM")
	}
	var calm []Point
	for _, p := range o.real {
		if !d.Comparison.breaches(p.Value, d.Threshold) {
			calm = append(calm, p)
		}
	}
	return d.crossed(o, calm, "not ", d.EvaluationPeriods-d.DatapointsToAlarm+1, "ALARM -> OK")
}

// crossed says which datapoints lie on the deciding side of the threshold.
func (d Definition) crossed(o outcome, points []Point, not string, need int, transition string) string {
	threshold := fmt.Sprintf("%s%s the threshold (%s)", not, d.Comparison.words(), number(d.Threshold))
	if d.EvaluationPeriods == 1 && !d.Explicit {
		return fmt.Sprintf("Threshold Crossed: 1 datapoint [%s] was %s.", join(points), threshold)
	}
	treated := ""
	if o.fill > 0 && (d.Missing == Breaching && not == "" || d.Missing == NotBreaches && not != "") {
		treated = fmt.Sprintf(" and %s treated as [%s]", missing(o.fill), d.Missing.words())
	}
	return fmt.Sprintf("Threshold Crossed: %d out of the last %d datapoints [%s] %s %s%s (minimum %s for %s transition).",
		len(points), d.EvaluationPeriods, join(points), wasWere(len(points)), threshold, treated, count(need, "datapoint"), transition)
}

// kept says why the data do not decide. CloudWatch keeps the reason of the state too, so these words are Slipway's own.
func (d Definition) kept(o outcome) string {
	switch {
	case o.low:
		p, _ := d.Percentile()
		return fmt.Sprintf("State kept: %s needs %s samples, and a datapoint has fewer.", d.Statistic, number(MinSamples(p)))
	case len(o.real) == 0:
		return fmt.Sprintf("State kept: %s missing and treated as [%s].", were(d.EvaluationPeriods), d.Missing.words())
	}
	received := "the only datapoint received was"
	if len(o.real) > 1 {
		received = fmt.Sprintf("all %d datapoints received were", len(o.real))
	}
	return fmt.Sprintf("State kept: %s %s the threshold (%s), which is not enough for ALARM (minimum %s).",
		received, d.Comparison.words(), number(d.Threshold), count(d.DatapointsToAlarm, "datapoint"))
}

func (m Missing) words() string {
	return map[Missing]string{AsMissing: "Missing", Ignore: "Ignored", Breaching: "Breaching", NotBreaches: "NonBreaching"}[m]
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func missing(n int) string { return count(n, "missing datapoint") + " " + wasWere(n) }

func were(n int) string { return count(n, "datapoint") + " " + wasWere(n) }

func wasWere(n int) string {
	if n == 1 {
		return "was"
	}
	return "were"
}

const awsTime = "2006-01-02T15:04:05.000-0700"

type evaluatedDatapoint struct {
	Timestamp   string   `json:"timestamp"`
	SampleCount float64  `json:"sampleCount,omitempty"`
	Value       *float64 `json:"value,omitempty"`
}

type reasonData struct {
	Version             string               `json:"version"`
	QueryDate           string               `json:"queryDate"`
	StartDate           string               `json:"startDate,omitempty"`
	Unit                string               `json:"unit,omitempty"`
	Statistic           string               `json:"statistic,omitempty"`
	Period              float64              `json:"period"`
	RecentDatapoints    []float64            `json:"recentDatapoints"`
	Threshold           float64              `json:"threshold"`
	EvaluatedDatapoints []evaluatedDatapoint `json:"evaluatedDatapoints"`
}

// reasonData is CloudWatch's StateReasonData: what was evaluated, newest first, with the missing points between. When it would be too
// long the oldest are left out.
func (d Definition) reasonData(o outcome, points []Point, now time.Time) string {
	data := reasonData{
		Version: "1.0", QueryDate: now.UTC().Format(awsTime), Unit: d.Unit, Statistic: d.Statistic, Period: d.Period.Seconds(),
		RecentDatapoints: []float64{}, Threshold: d.Threshold, EvaluatedDatapoints: []evaluatedDatapoint{},
	}
	if len(o.real) > 0 {
		data.StartDate = o.real[0].Time.UTC().Format(awsTime)
	}
	left := len(o.real)
	for i := len(points) - 1; i >= 0 && (left > 0 || len(points)-i <= d.EvaluationPeriods); i-- {
		e := evaluatedDatapoint{Timestamp: points[i].Time.UTC().Format(awsTime)}
		if !points[i].Missing {
			value := points[i].Value
			e.Value, e.SampleCount = &value, points[i].Samples
			data.RecentDatapoints = append(data.RecentDatapoints, value)
			left--
		}
		data.EvaluatedDatapoints = append(data.EvaluatedDatapoints, e)
	}
	slices.Reverse(data.RecentDatapoints)
	for {
		body, err := json.Marshal(data)
		if err != nil {
			return "{}" // values are finite: PutMetricData refuses others
		}
		if len(body) <= MaxReasonData || len(data.EvaluatedDatapoints) == 0 {
			return string(body)
		}
		data.EvaluatedDatapoints = data.EvaluatedDatapoints[:len(data.EvaluatedDatapoints)*3/4]
		data.RecentDatapoints = data.RecentDatapoints[len(data.RecentDatapoints)-len(data.RecentDatapoints)*3/4:]
	}
}

// short cuts a text that is longer than so many characters.
func short(text string, limit int) string {
	runes := []rune(text)
	if len(runes) <= limit {
		return text
	}
	return string(runes[:limit-3]) + "..."
}

// Align is the start of the period that t lies in.
func Align(t time.Time, period time.Duration) time.Time { return t.UTC().Truncate(period) }
