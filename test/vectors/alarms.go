package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
)

// definition is an alarm on more than 0 of something each minute.
func definition() *alarmspb.MetricAlarm {
	return &alarmspb.MetricAlarm{
		Name: "vectors", Namespace: "Vectors", MetricName: "m", Period: durationpb.New(time.Minute), EvaluationPeriods: 1,
		ComparisonOperator: alarmspb.MetricAlarm_COMPARISON_OPERATOR_GREATER_THAN_THRESHOLD,
	}
}

// alarmMissingDataRow has a letter for each point, the newest right: 0 is not breaching, X breaching, - missing. Expected is a state, a
// state that it is not ("!ALARM"), or RETAIN, by what missing data are treated as.
type alarmMissingDataRow struct {
	N, M   int32
	Points string
	Expect map[string]string
}

// treatments is CloudWatch's names of TreatMissingData.
func treatments() map[string]alarmspb.MetricAlarm_TreatMissingData {
	return map[string]alarmspb.MetricAlarm_TreatMissingData{
		"missing": alarmspb.MetricAlarm_TREAT_MISSING_DATA_MISSING, "ignore": alarmspb.MetricAlarm_TREAT_MISSING_DATA_IGNORE,
		"breaching": alarmspb.MetricAlarm_TREAT_MISSING_DATA_BREACHING, "notBreaching": alarmspb.MetricAlarm_TREAT_MISSING_DATA_NOT_BREACHING,
	}
}

func alarmMissingData(ctx context.Context, p *api, r alarmMissingDataRow) error {
	d := definition()
	d.EvaluationPeriods, d.DatapointsToAlarm, d.Statistic = r.N, r.M, alarmspb.MetricAlarm_STATISTIC_SUM
	var periods []*alarmspb.TestAlarmRequest_Period
	for _, letter := range r.Points {
		period := &alarmspb.TestAlarmRequest_Period{}
		switch letter {
		case '0':
			period.Value = new(0.0)
		case 'X':
			period.Value = new(1.0)
		case '-':
		default:
			return fmt.Errorf("unknown point %q", letter)
		}
		periods = append(periods, period)
	}
	var differences []error
	for treatment, want := range r.Expect {
		missing, known := treatments()[treatment]
		if !known {
			return fmt.Errorf("unknown treatment of missing data %q", treatment)
		}
		d.TreatMissingData = missing
		// From every state that the alarm may be in: only RETAIN depends on it.
		for _, was := range []string{"OK", "ALARM", "INSUFFICIENT_DATA"} {
			got, err := p.lastEvaluation(ctx, d, was, periods)
			if err != nil {
				return err
			}
			if why := contradicts(got, was, want); why != "" {
				differences = append(differences, fmt.Errorf("%s in %s: %s", treatment, was, why))
			}
		}
	}
	return errors.Join(differences...)
}

// lastEvaluation evaluates the alarm at the end of the series.
func (p *api) lastEvaluation(
	ctx context.Context, d *alarmspb.MetricAlarm, was string, periods []*alarmspb.TestAlarmRequest_Period,
) (*alarmspb.TestAlarmResponse_Evaluation, error) {
	resp, err := p.alarms.TestAlarm(ctx, &alarmspb.TestAlarmRequest{
		Alarm: d, InitialState: alarmspb.MetricAlarm_State(alarmspb.MetricAlarm_State_value["STATE_"+was]), Periods: periods,
		EvaluateFrom: int32(len(periods) - 1),
	})
	if err != nil {
		return nil, err
	}
	if len(resp.GetEvaluations()) != 1 {
		return nil, fmt.Errorf("%d evaluations, want 1", len(resp.GetEvaluations()))
	}
	return resp.GetEvaluations()[0], nil
}

// contradicts says how an evaluation differs from what is expected; "" when it does not.
func contradicts(got *alarmspb.TestAlarmResponse_Evaluation, was, want string) string {
	state := strings.TrimPrefix(got.GetState().String(), "STATE_")
	unwanted, negated := strings.CutPrefix(want, "!")
	switch {
	case want == "RETAIN" && (state != was || !got.GetKept()):
		return fmt.Sprintf("got %s (kept %t), want it kept", state, got.GetKept())
	case want == "RETAIN":
	case negated && state == unwanted && was != unwanted:
		return fmt.Sprintf("got %s, want any other state", state)
	case negated:
	case state != want:
		return fmt.Sprintf("got %s, want %s", state, want)
	}
	return ""
}

type lowSamplePercentileRow struct {
	P          float64
	MinSamples float64 `json:"min_samples"`
}

// lowSamplePercentile looks at what the service says it needs, and whether one sample less keeps the state and as many do not.
func lowSamplePercentile(ctx context.Context, p *api, r lowSamplePercentileRow) error {
	d := definition()
	d.ExtendedStatistic = "p" + strconv.FormatFloat(math.Round(r.P*1e12)/1e10, 'f', -1, 64)
	d.EvaluateLowSampleCountPercentile = alarmspb.MetricAlarm_EVALUATE_LOW_SAMPLE_COUNT_PERCENTILE_IGNORE
	resp, err := p.alarms.TestAlarm(ctx, &alarmspb.TestAlarmRequest{Alarm: d, Periods: []*alarmspb.TestAlarmRequest_Period{{Value: new(1.0)}}})
	if err != nil {
		return err
	}
	differences := []error{differs("required samples", resp.GetRequiredSampleCount(), r.MinSamples)}
	for samples, kept := range map[float64]bool{r.MinSamples - 1: true, r.MinSamples: false} {
		got, err := p.lastEvaluation(ctx, d, "OK", []*alarmspb.TestAlarmRequest_Period{{Value: new(1.0), SampleCount: samples}})
		if err != nil {
			return err
		}
		differences = append(differences, differs(fmt.Sprintf("kept with %v samples", samples), got.GetKept(), kept))
	}
	return errors.Join(differences...)
}
