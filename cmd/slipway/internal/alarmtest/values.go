package alarmtest

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
)

// maxValues bounds a series, so that a slip of the pen does not fill the memory.
const maxValues = 10_000

// values is the samples of a metric by interval: promtool's notation in a text ("0 1 _ 5x3 1+2x4"), or a list of numbers, nulls, lists
// of samples and {value: 0.3, count: 1000}.
type values []*alarmspb.TestAlarmRequest_Period

// UnmarshalYAML reads either form.
func (v *values) UnmarshalYAML(n *yaml.Node) error {
	var err error
	if n.Kind == yaml.ScalarNode {
		*v, err = notation(n.Value)
	} else {
		*v, err = listed(n)
	}
	if err != nil {
		return fmt.Errorf("line %d: values: %w", n.Line, err)
	}
	return nil
}

// samples is one interval's, each once.
func samples(list ...float64) *alarmspb.TestAlarmRequest_Period {
	p := &alarmspb.TestAlarmRequest_Period{Samples: list}
	for range list {
		p.Counts = append(p.Counts, 1)
	}
	return p
}

var (
	number    = `[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?`
	single    = regexp.MustCompile(`^(` + number + `)$`)
	repeated  = regexp.MustCompile(`^(` + number + `)x([0-9]+)$`)
	expanding = regexp.MustCompile(`^(` + number + `)([+-](?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))x([0-9]+)$`)
	absent    = regexp.MustCompile(`^_(?:x([0-9]+))?$`)
)

// notation reads promtool's: "_" is missing, "_x3" three times, "5x3" is 5 and three times 5 more, "1+2x3" is 1 3 5 7.
func notation(text string) (values, error) {
	var v values
	for word := range strings.FieldsSeq(text) {
		start, step, more, err := readWord(word)
		if err != nil {
			return nil, err
		}
		if len(v)+more+1 > maxValues {
			return nil, fmt.Errorf("more than %d values", maxValues)
		}
		if math.IsNaN(start) {
			for range more {
				v = append(v, samples())
			}
			continue
		}
		for i := range more + 1 {
			v = append(v, samples(start+step*float64(i)))
		}
	}
	return v, nil
}

// readWord reads a word: where it starts, by how much it goes on, and how many more there are; NaN is missing, so many times.
func readWord(word string) (start, step float64, more int, err error) {
	m := absent.FindStringSubmatch(word)
	if m != nil {
		if m[1] == "" {
			return math.NaN(), 0, 1, nil
		}
		more, err = strconv.Atoi(m[1])
		return math.NaN(), 0, more, err
	}
	parts := [3]string{"", "0", "0"}
	if m := single.FindStringSubmatch(word); m != nil {
		parts[0] = m[1]
	} else if m := repeated.FindStringSubmatch(word); m != nil {
		parts[0], parts[2] = m[1], m[2]
	} else if m := expanding.FindStringSubmatch(word); m != nil {
		parts = [3]string{m[1], m[2], m[3]}
	} else {
		return 0, 0, 0, fmt.Errorf(`%q is no value: write numbers, _ for none, 5x3 for 5 and 3 more, 1+2x3 for 1 3 5 7`, word)
	}
	if start, err = strconv.ParseFloat(parts[0], 64); err != nil {
		return 0, 0, 0, fmt.Errorf("%q is no number", parts[0])
	}
	if step, err = strconv.ParseFloat(parts[1], 64); err != nil {
		return 0, 0, 0, fmt.Errorf("%q is no number", parts[1])
	}
	more, err = strconv.Atoi(parts[2])
	return start, step, more, err
}

func listed(n *yaml.Node) (values, error) {
	if n.Kind != yaml.SequenceNode {
		return nil, fmt.Errorf("must be a text such as \"0 1 _ 5x3\", or a list")
	}
	var v values
	for _, item := range n.Content {
		p := samples()
		switch {
		case item.Tag == "!!null":
		case item.Kind == yaml.ScalarNode:
			var one float64
			if err := item.Decode(&one); err != nil {
				return nil, fmt.Errorf("line %d: %q is no number", item.Line, item.Value)
			}
			p = samples(one)
		case item.Kind == yaml.SequenceNode:
			var list []float64
			if err := item.Decode(&list); err != nil {
				return nil, fmt.Errorf("line %d: samples are numbers", item.Line)
			}
			p = samples(list...)
		default:
			var many struct {
				Value float64 `yaml:"value"`
				Count float64 `yaml:"count"`
			}
			if err := strict(item, &many); err != nil {
				return nil, err
			}
			p.Samples, p.Counts = []float64{many.Value}, []float64{many.Count}
		}
		if v = append(v, p); len(v) > maxValues {
			return nil, fmt.Errorf("more than %d values", maxValues)
		}
	}
	return v, nil
}
