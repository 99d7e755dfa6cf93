// Package alarmtest reads and runs tests of alarms: files with alarms, the samples of their metrics and the states that are expected,
// in the way of promtool's tests of rules. Whoever runs one says what evaluates an alarm; the package calls no server.
package alarmtest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/slipway-deploy/slipway/cmd/slipway/internal/manifest"
	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
)

const maxFile = 8 << 20

// document is a file as it is written.
type document struct {
	AlarmFiles      []string    `yaml:"alarm_files"`
	Alarms          []yaml.Node `yaml:"alarms"`
	CompositeAlarms []yaml.Node `yaml:"composite_alarms"`
	Tests           []test      `yaml:"tests"`
}

type test struct {
	Name          string            `yaml:"name"`
	Interval      duration          `yaml:"interval"`
	StartTime     time.Time         `yaml:"start_time"`
	InitialStates map[string]string `yaml:"initial_states"`
	InputSeries   []inputSeries     `yaml:"input_series"`
	AlarmTests    []expectation     `yaml:"alarm_tests"`
}

type inputSeries struct {
	Namespace  string            `yaml:"namespace"`
	MetricName string            `yaml:"metric_name"`
	Dimensions map[string]string `yaml:"dimensions"`
	Unit       string            `yaml:"unit"`
	Query      string            `yaml:"query"`
	Values     values            `yaml:"values"`

	used bool
}

type expectation struct {
	EvalTime     duration `yaml:"eval_time"`
	Alarm        string   `yaml:"alarm"`
	State        string   `yaml:"exp_state"`
	Reason       *string  `yaml:"exp_reason"`
	Kept         *bool    `yaml:"exp_kept"`
	SuppressedBy *string  `yaml:"exp_actions_suppressed_by"`

	line int
}

// UnmarshalYAML remembers where the expectation stands.
func (want *expectation) UnmarshalYAML(n *yaml.Node) error {
	type plain expectation
	if err := strict(n, (*plain)(want)); err != nil {
		return err
	}
	want.line = n.Line
	return nil
}

// strict refuses fields that are not known, which yaml forgets inside an UnmarshalYAML.
func strict(n *yaml.Node, into any) error {
	data, err := yaml.Marshal(n)
	if err != nil {
		return err
	}
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("line %d: %s", n.Line, strings.TrimPrefix(strings.TrimPrefix(err.Error(), "yaml: "), "unmarshal errors:\n  "))
	}
	return nil
}

// duration is Go's and protojson's: 90s, 5m.
type duration time.Duration

// UnmarshalYAML reads a duration.
func (d *duration) UnmarshalYAML(n *yaml.Node) error {
	span, err := time.ParseDuration(n.Value)
	if n.Value == "0" {
		span, err = 0, nil
	}
	if err != nil || span < 0 {
		return fmt.Errorf("line %d: a duration is written as 90s or 5m, not %q", n.Line, n.Value)
	}
	*d = duration(span)
	return nil
}

// File is tests that were read, with the alarms they are about.
type File struct {
	Name       string
	metric     map[string]*alarmspb.MetricAlarm
	composites map[string]*alarmspb.CompositeAlarm
	tests      []test
}

// Read reads a file; the alarm files that it names are looked for beside it.
func Read(name string) (*File, error) {
	data, err := read(name)
	if err != nil {
		return nil, err
	}
	var doc document
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	if err := d.Decode(&doc); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %s", name, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if len(doc.Tests) == 0 {
		return nil, fmt.Errorf("%s: there is no test in it: tests are listed under \"tests\"", name)
	}
	f := &File{Name: name, metric: map[string]*alarmspb.MetricAlarm{}, composites: map[string]*alarmspb.CompositeAlarm{}, tests: doc.Tests}
	if err := f.alarms(doc); err != nil {
		return nil, err
	}
	return f, f.check()
}

func read(name string) ([]byte, error) {
	in, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", name, errors.Unwrap(err))
	}
	defer in.Close()
	data, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", name, errors.Unwrap(err))
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("cannot read %s: it is larger than %d MiB", name, maxFile>>20)
	}
	return data, nil
}

// alarms takes the alarms of the file and of those that it names.
func (f *File) alarms(doc document) error {
	var docs []manifest.Document
	var mistakes manifest.Mistakes
	for _, list := range []struct {
		kind  manifest.Kind
		nodes []yaml.Node
	}{{manifest.Alarm, doc.Alarms}, {manifest.CompositeAlarm, doc.CompositeAlarms}} {
		for i := range list.nodes {
			d, wrong := manifest.ParseNode(f.Name, list.kind, &list.nodes[i])
			docs, mistakes = append(docs, d), append(mistakes, wrong...)
		}
	}
	if len(mistakes) > 0 {
		return mistakes
	}
	for _, name := range doc.AlarmFiles {
		if !filepath.IsAbs(name) {
			name = filepath.Join(filepath.Dir(f.Name), name)
		}
		more, err := manifest.Read([]string{name}, strings.NewReader(""))
		if err != nil {
			return err
		}
		docs = append(docs, more...)
	}
	for _, d := range docs {
		if f.metric[d.Name] != nil || f.composites[d.Name] != nil {
			return fmt.Errorf("%s: the alarm %s is there twice", d.At, d.Name)
		}
		switch r := d.Request.(type) {
		case *alarmspb.PutMetricAlarmRequest:
			f.metric[d.Name] = r.GetAlarm()
		case *alarmspb.PutCompositeAlarmRequest:
			f.composites[d.Name] = r.GetCompositeAlarm()
		}
	}
	return nil
}

// check looks at what only the whole file can tell.
func (f *File) check() error {
	for _, t := range f.tests {
		for name, state := range t.InitialStates {
			if _, ok := stateOf(state); !ok {
				return fmt.Errorf("%s: initial_states of %s: a state is OK, ALARM or INSUFFICIENT_DATA, not %q", f.Name, name, state)
			}
		}
		for _, e := range t.AlarmTests {
			if _, ok := stateOf(e.State); !ok && e.State != "" {
				return fmt.Errorf("%s:%d: exp_state is OK, ALARM or INSUFFICIENT_DATA, not %q", f.Name, e.line, e.State)
			}
			if e.State == "" && e.Reason == nil && e.Kept == nil && e.SuppressedBy == nil {
				return fmt.Errorf("%s:%d: nothing is expected: set exp_state", f.Name, e.line)
			}
			if f.metric[e.Alarm] == nil && f.composites[e.Alarm] == nil {
				return fmt.Errorf("%s:%d: there is no alarm %q in the file or in its alarm_files", f.Name, e.line, e.Alarm)
			}
		}
	}
	return nil
}

func stateOf(name string) (alarmspb.MetricAlarm_State, bool) {
	state := alarmspb.MetricAlarm_State(alarmspb.MetricAlarm_State_value["STATE_"+name])
	return state, state != 0
}
