package alarmtest

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
)

// Evaluator is what evaluates alarms.
type Evaluator struct {
	// Test is the RPC TestAlarm.
	Test func(*alarmspb.TestAlarmRequest) (*alarmspb.TestAlarmResponse, error)
	// Children are the names of the alarms that a composite alarm looks at.
	Children func(*alarmspb.CompositeAlarm) ([]string, error)
}

// Difference is an expectation that was not met.
type Difference struct {
	File string `json:"file"`
	Line int    `json:"line"`
	Test string `json:"test"`
	// Text says what is expected and what is.
	Text string `json:"text"`
	// Because is the reason that the alarm gives; may be empty.
	Because string `json:"because,omitempty"`
}

// String is the difference in a line.
func (d Difference) String() string {
	return fmt.Sprintf("%s:%d: %s: %s", d.File, d.Line, d.Test, d.Text)
}

// Run runs the tests of a file. It returns how many expectations were met, and those that were not.
func (f *File) Run(e Evaluator) (met int, differences []Difference, err error) {
	for n, t := range f.tests {
		name := t.Name
		if name == "" {
			name = fmt.Sprintf("test %d", n+1)
		}
		r := &running{file: f, test: t, with: e, timelines: map[string][]moment{}}
		for _, want := range t.AlarmTests {
			got, err := r.at(want.Alarm, time.Duration(want.EvalTime))
			if err != nil {
				return met, differences, fmt.Errorf("%s:%d: %s: %w", f.Name, want.line, name, err)
			}
			if text := want.differs(got); text != "" {
				differences = append(differences, Difference{f.Name, want.line, name, text, got.GetStateReason()})
			} else {
				met++
			}
		}
		for _, s := range t.InputSeries {
			if !s.used && len(t.AlarmTests) > 0 {
				return met, differences, fmt.Errorf("%s: %s: no alarm that is looked at has the metric %s", f.Name, name, s)
			}
		}
	}
	return met, differences, nil
}

// String is the metric for people.
func (s inputSeries) String() string {
	if s.Query != "" {
		return s.Query
	}
	text := s.Namespace + "/" + s.MetricName
	var labels []string
	for _, name := range slices.Sorted(maps.Keys(s.Dimensions)) {
		labels = append(labels, fmt.Sprintf("%s=%q", name, s.Dimensions[name]))
	}
	if len(labels) > 0 {
		text += "{" + strings.Join(labels, ",") + "}"
	}
	return text
}

// moment is an alarm from a time on, counted from the start of the test.
type moment struct {
	after time.Duration
	*alarmspb.TestAlarmResponse_Evaluation
}

// running is a test and what is known of its alarms.
type running struct {
	file      *File
	test      test
	with      Evaluator
	timelines map[string][]moment
	path      []string // the composite alarms whose timelines are being found
}

const usualInterval = time.Minute

func (r *running) interval() time.Duration {
	if r.test.Interval == 0 {
		return usualInterval
	}
	return time.Duration(r.test.Interval)
}

func (r *running) start() time.Time {
	if r.test.StartTime.IsZero() {
		return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return r.test.StartTime
}

// length is how many intervals the test looks at.
func (r *running) length() int {
	longest := 1
	for _, s := range r.test.InputSeries {
		longest = max(longest, len(s.Values))
	}
	for _, e := range r.test.AlarmTests {
		longest = max(longest, int((time.Duration(e.EvalTime)+r.interval()-1)/r.interval()))
	}
	return longest
}

// at is an alarm as it is at a time.
func (r *running) at(name string, after time.Duration) (moment, error) {
	line, err := r.timeline(name)
	if err != nil {
		return moment{}, fmt.Errorf("alarm %s: %w", name, err)
	}
	i := sort.Search(len(line), func(i int) bool { return line[i].after > after })
	return line[i-1], nil // the first moment is the start
}

// timeline is an alarm from the start on.
func (r *running) timeline(name string) ([]moment, error) {
	if line, ok := r.timelines[name]; ok {
		return line, nil
	}
	first := moment{0, &alarmspb.TestAlarmResponse_Evaluation{
		State: alarmspb.MetricAlarm_STATE_INSUFFICIENT_DATA, StateReason: "Unchecked: Initial alarm creation",
	}}
	if state, ok := stateOf(r.test.InitialStates[name]); ok {
		first.State = state
	}
	req := &alarmspb.TestAlarmRequest{InitialState: first.State, StartTime: timestamppb.New(r.start())}
	switch {
	case r.file.metric[name] != nil:
		r.metric(req, r.file.metric[name])
	case r.file.composites[name] != nil:
		if err := r.composite(req, r.file.composites[name]); err != nil {
			return nil, err
		}
	default: // another alarm: it stays as it is
		return []moment{first}, nil
	}
	resp, err := r.with.Test(req)
	if err != nil {
		return nil, err
	}
	line := []moment{first}
	for _, e := range resp.GetEvaluations() {
		line = append(line, moment{e.GetTime().AsTime().Sub(r.start()), e})
	}
	r.timelines[name] = line
	return line, nil
}

// metric puts a metric alarm and the samples of its metrics into a request.
func (r *running) metric(req *alarmspb.TestAlarmRequest, a *alarmspb.MetricAlarm) {
	req.Alarm, req.Interval = a, durationpb.New(r.interval())
	if len(a.GetMetrics()) == 0 {
		req.Periods = r.samples(&alarmspb.MetricStat{
			Namespace: a.GetNamespace(), MetricName: a.GetMetricName(), Dimensions: a.GetDimensions(), Unit: a.GetUnit(), Source: a.GetSource(),
		})
		return
	}
	for _, q := range a.GetMetrics() {
		if q.GetMetricStat() != nil {
			req.Series = append(req.Series, &alarmspb.TestAlarmRequest_Series{Id: q.GetId(), Periods: r.samples(q.GetMetricStat())})
		}
	}
}

// samples are those of a metric; without a series, and after its end, there are none.
func (r *running) samples(m *alarmspb.MetricStat) []*alarmspb.TestAlarmRequest_Period {
	dimensions := map[string]string{}
	for _, d := range m.GetDimensions() {
		dimensions[d.GetName()] = d.GetValue()
	}
	periods := make([]*alarmspb.TestAlarmRequest_Period, r.length())
	for i := range periods {
		periods[i] = &alarmspb.TestAlarmRequest_Period{}
	}
	for i := range r.test.InputSeries {
		s := &r.test.InputSeries[i]
		if s.Namespace != m.GetNamespace() || s.MetricName != m.GetMetricName() || !maps.Equal(s.Dimensions, dimensions) ||
			s.Query != m.GetSource().GetQuery() || m.GetUnit() != "" && s.Unit != m.GetUnit() {
			continue
		}
		s.used = true
		for n, v := range s.Values {
			periods[n].Samples = append(periods[n].Samples, v.GetSamples()...)
			periods[n].Counts = append(periods[n].Counts, v.GetCounts()...)
		}
	}
	return periods
}

// composite puts a composite alarm and the states of its children into a request.
func (r *running) composite(req *alarmspb.TestAlarmRequest, a *alarmspb.CompositeAlarm) error {
	if slices.Contains(r.path, a.GetName()) {
		return fmt.Errorf("its rule leads back to itself: %s -> %s", strings.Join(r.path, " -> "), a.GetName())
	}
	r.path = append(r.path, a.GetName())
	defer func() { r.path = r.path[:len(r.path)-1] }()
	children, err := r.with.Children(a)
	if err != nil {
		return err
	}
	req.CompositeAlarm = a
	changes := map[time.Duration]*alarmspb.TestAlarmRequest_ChildStates{0: {}}
	for _, child := range children {
		line, err := r.timeline(child)
		if err != nil {
			return fmt.Errorf("child %s: %w", child, err)
		}
		for i, m := range line {
			if i > 0 && m.GetState() == line[i-1].GetState() {
				continue
			}
			if changes[m.after] == nil {
				changes[m.after] = &alarmspb.TestAlarmRequest_ChildStates{}
			}
			changes[m.after].States = append(changes[m.after].States, &alarmspb.TestAlarmRequest_ChildState{AlarmName: child, State: m.GetState()})
		}
	}
	for _, after := range slices.Sorted(maps.Keys(changes)) {
		changes[after].After = durationpb.New(after)
		req.ChildStates = append(req.ChildStates, changes[after])
	}
	return nil
}

// differs says what is not as it should be; "" when all is.
func (want expectation) differs(got moment) string {
	var wrong []string
	compare := func(what string, want, got string) {
		if want != got {
			wrong = append(wrong, fmt.Sprintf("%s is %s, want %s", what, got, want))
		}
	}
	if want.State != "" {
		compare("state", want.State, strings.TrimPrefix(got.GetState().String(), "STATE_"))
	}
	if want.Kept != nil {
		compare("kept", fmt.Sprint(*want.Kept), fmt.Sprint(got.GetKept()))
	}
	if want.Reason != nil {
		compare("reason", fmt.Sprintf("%q", *want.Reason), fmt.Sprintf("%q", got.GetStateReason()))
	}
	if want.SuppressedBy != nil {
		by := ""
		if s := got.GetActionsSuppressedBy(); s != 0 {
			by = strings.TrimPrefix(s.String(), "SUPPRESSED_BY_")
		}
		compare("actions suppressed by", fmt.Sprintf("%q", *want.SuppressedBy), fmt.Sprintf("%q", by))
	}
	if len(wrong) == 0 {
		return ""
	}
	return fmt.Sprintf("alarm %s at %s: %s", want.Alarm, time.Duration(want.EvalTime), strings.Join(wrong, "; "))
}
