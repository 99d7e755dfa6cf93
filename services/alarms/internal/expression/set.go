package expression

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Query is one entry of an alarm's metrics: a metric, or an expression.
type Query struct {
	// ID is [a-z][A-Za-z0-9_]*, at most 255 characters, once in an alarm.
	ID string
	// Expression is empty for a metric.
	Expression string
	// ReturnData marks the one query whose series the alarm watches.
	ReturnData bool
}

// Set is the queries of one alarm, read and checked. It does not change.
type Set struct {
	metrics []string // in the order of the queries
	order   []string // of the expressions, what an expression refers to comes before it
	read    map[string]*Expression
	returns string
}

// NewSet reads and checks the queries of an alarm: ids, limits, references, types, no expression in terms of itself, one query
// that returns data, and that query one series. The error is an *Error for each query that is wrong, joined.
func NewSet(queries []Query) (*Set, error) {
	s := &Set{read: map[string]*Expression{}}
	var problems []error
	for _, q := range queries {
		problems = append(problems, s.add(q)...)
	}
	if len(s.metrics) > MaxMetrics || len(s.read) > MaxExpressions {
		problems = append(problems, &Error{Message: fmt.Sprintf("an alarm has at most %d metrics and %d expressions, this one has %d and %d",
			MaxMetrics, MaxExpressions, len(s.metrics), len(s.read))})
	}
	if s.returns == "" && len(problems) == 0 {
		problems = append(problems, &Error{Message: "one query has to return data: the one that the alarm watches"})
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	if err := s.check(queries); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Set) add(q Query) []error {
	var problems []error
	if len(q.ID) > MaxIDLength || !idForm.MatchString(q.ID) {
		problems = append(problems, &Error{ID: q.ID, Message: fmt.Sprintf("an id starts with a lower-case letter and has letters, digits and "+
			"underscores, at most %d: not %q", MaxIDLength, q.ID)})
	}
	if s.read[q.ID] != nil || slices.Contains(s.metrics, q.ID) {
		problems = append(problems, &Error{ID: q.ID, Message: fmt.Sprintf("the id %s is there twice", q.ID)})
	}
	if q.ReturnData && s.returns != "" {
		problems = append(problems, &Error{ID: q.ID, Message: fmt.Sprintf("only one query returns data, and %s does", s.returns)})
	} else if q.ReturnData {
		s.returns = q.ID
	}
	if q.Expression == "" {
		s.metrics = append(s.metrics, q.ID)
		return problems
	}
	read, err := Parse(q.Expression)
	if err != nil {
		return append(problems, named(q.ID, err))
	}
	s.read[q.ID] = read
	return problems
}

// check finds the kinds of the expressions, in the order of their references.
func (s *Set) check(queries []Query) error {
	c := checker{set: s, kinds: map[string]kind{}, sizes: map[string]int{}}
	for _, id := range s.metrics {
		c.kinds[id] = kindSeries
	}
	var problems []error
	for _, q := range queries {
		if s.read[q.ID] != nil {
			if err := c.expression(q.ID, nil); err != nil {
				problems = append(problems, named(q.ID, err))
			}
		}
	}
	if len(problems) == 0 && c.kinds[s.returns] != kindSeries {
		problems = append(problems, &Error{ID: s.returns, Message: "what an alarm watches is one time series, and this is an array; " +
			"take SUM, AVG, MIN, MAX or FIRST of it"})
	}
	s.order = c.order
	return errors.Join(problems...)
}

func named(id string, err error) error {
	e := &Error{}
	if !errors.As(err, &e) {
		return err
	}
	if e.ID != "" {
		return err
	}
	c := *e
	c.ID = id
	return &c
}

// Metrics returns the ids of the metrics, in the order of the queries.
func (s *Set) Metrics() []string { return slices.Clone(s.metrics) }

// Returns is the id of the query that the alarm watches.
func (s *Set) Returns() string { return s.returns }

// Eval computes the series that the alarm watches. The metrics have a series of the grid's length for each id of Metrics; one that
// is not there has no values.
func (s *Set) Eval(g Grid, metrics map[string]Series) (Series, error) {
	if g.Period <= 0 || g.Count < 0 {
		return nil, fmt.Errorf("a grid of %d points every %s is none", g.Count, g.Period)
	}
	e := evaluator{grid: g, set: s, values: make(map[string]value, len(s.metrics)+len(s.order))}
	for _, id := range s.metrics {
		series, ok := metrics[id]
		if !ok {
			series = g.Empty()
		}
		if len(series) != g.Count {
			return nil, fmt.Errorf("metric %s has %d points, and the grid has %d", id, len(series), g.Count)
		}
		e.values[id] = one(series)
	}
	for _, id := range s.order {
		e.values[id] = e.eval(s.read[id].root)
	}
	return slices.Clone(e.values[s.returns].series[0]), nil
}

// matching returns the ids of the metrics with the text in them.
func (s *Set) matching(text string) []string {
	var ids []string
	for _, id := range s.metrics {
		if strings.Contains(id, text) {
			ids = append(ids, id)
		}
	}
	return ids
}
