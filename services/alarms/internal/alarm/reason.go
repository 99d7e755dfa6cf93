package alarm

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// reason says in CloudWatch's words why the alarm is in the state.
func (d Definition) reason(o outcome, state State) string {
	n := d.EvaluationPeriods
	treated := map[Missing]string{AsMissing: "Missing", Ignore: "Ignored", Breaching: "Breaching", NotBreaches: "NonBreaching"}[d.Missing]
	switch {
	case len(o.real) == 0 && (d.Missing == Breaching || d.Missing == NotBreaches):
		return fmt.Sprintf("Threshold Crossed: no datapoints were received for %s and %s treated as [%s].",
			count(n, "period"), missing(n), treated)
	case len(o.real) == 0:
		return fmt.Sprintf("Insufficient Data: %s unknown.", were(n))
	case state == Alarm && n == 1:
		return fmt.Sprintf("Threshold Crossed: 1 datapoint [%s] was %s the threshold (%s).", join(o.breached), d.Comparison.words(), number(d.Threshold))
	case state == Alarm && len(o.breached) == 0:
		return fmt.Sprintf("Threshold Crossed: %s treated as [%s].", missing(o.fill), treated)
	case state == Alarm:
		return fmt.Sprintf("Threshold Crossed: %d out of the last %d datapoints [%s] %s %s the threshold (%s) (minimum %s for OK -> ALARM transition).",
			len(o.breached), n, join(o.breached), wasWere(len(o.breached)), d.Comparison.words(), number(d.Threshold), count(d.DatapointsToAlarm, "datapoint"))
	}
	var calm []Point
	for _, p := range o.real {
		if !d.Comparison.breaches(p.Value, d.Threshold) {
			calm = append(calm, p)
		}
	}
	if n == 1 {
		return fmt.Sprintf("Threshold Crossed: 1 datapoint [%s] was not %s the threshold (%s).", join(o.real), d.Comparison.words(), number(d.Threshold))
	}
	need := n - d.DatapointsToAlarm + 1
	return fmt.Sprintf("Threshold Crossed: %d out of the last %d datapoints [%s] %s not %s the threshold (%s) (minimum %s for ALARM -> OK transition).",
		len(calm), n, join(calm), wasWere(len(calm)), d.Comparison.words(), number(d.Threshold), count(need, "datapoint"))
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

// reasonData is CloudWatch's StateReasonData.
func (d Definition) reasonData(points []Point) string {
	type evaluated struct {
		Timestamp   string   `json:"timestamp"`
		SampleCount float64  `json:"sampleCount,omitempty"`
		Value       *float64 `json:"value,omitempty"`
	}
	data := struct {
		Version             string      `json:"version"`
		QueryDate           string      `json:"queryDate,omitempty"`
		StartDate           string      `json:"startDate,omitempty"`
		Unit                string      `json:"unit,omitempty"`
		Statistic           string      `json:"statistic"`
		Period              float64     `json:"period"`
		RecentDatapoints    []float64   `json:"recentDatapoints"`
		Threshold           float64     `json:"threshold"`
		EvaluatedDatapoints []evaluated `json:"evaluatedDatapoints"`
	}{Version: "1.0", Unit: d.Unit, Statistic: d.Statistic, Period: d.Period.Seconds(), RecentDatapoints: []float64{}, Threshold: d.Threshold}
	for _, p := range slices.Backward(points) {
		e := evaluated{Timestamp: p.Time.UTC().Format(awsTime)}
		if !p.Missing {
			value := p.Value
			e.Value, e.SampleCount = &value, p.Samples
			data.RecentDatapoints = append([]float64{value}, data.RecentDatapoints...)
			data.StartDate = e.Timestamp
		}
		data.EvaluatedDatapoints = append(data.EvaluatedDatapoints, e)
	}
	if len(points) > 0 {
		data.QueryDate = points[len(points)-1].Time.Add(d.Period).UTC().Format(awsTime)
	}
	body, err := json.Marshal(data)
	if err != nil {
		return "{}" // values are finite: PutMetricData refuses others
	}
	return string(body)
}

// Align is the start of the period that t lies in.
func Align(t time.Time, period time.Duration) time.Time { return t.UTC().Truncate(period) }
