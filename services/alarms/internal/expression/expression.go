// Package expression reads and evaluates CloudWatch's metric math, as far as alarms have it: series in, one series out.
//
// Every value is a scalar (S), a series (T) or an array of series (A). A series has one value, or none, for each point of a
// regular grid that all the series of an alarm share.
//
//	m1, e1                       T, A  a metric or another expression of the alarm by its id, [a-z][A-Za-z0-9_]*
//	12, 0.5, 1e3                 S     a number
//	[m1, m2, METRICS("err")]     A     an array
//	+ - * / ^ and unary -        S, T, an array with S or T    ^ binds closest and to the right, then unary -, * /, + -
//	== != < <= > >=              S, T  0 or 1
//	AND && and OR ||             S, T  0 or 1; what is not 0 is true; AND binds closer than OR
//	ABS CEIL FLOOR LOG LOG10     T>T, A>A
//	AVG MAX MIN STDDEV SUM       T>S over the points, A>T over the series; AVG of a series counts missing points as 0
//	DATAPOINT_COUNT              T>S points with a value, A>T series with a value
//	DIFF DIFF_TIME RATE          T>T, A>A  against the value before: difference, seconds between, difference by seconds
//	RUNNING_SUM                  T>T, A>A
//	FILL(x, S|T|REPEAT|LINEAR)   T>T, A>A  REPEAT has nothing before the first value, LINEAR nothing outside two values
//	IF(c, a[, b])                T     point by point: no condition, no point; c is true and a missing: 0; b missing: no point
//	METRICS() METRICS("x")       A     the metrics of the alarm, or those with x in the id; never expressions
//	METRIC_COUNT                 A>S
//	FIRST LAST                   A>T
//	SLICE(A, from[, to])         A     from 0, without to
//	SORT(A, AVG|MIN|MAX|SUM, ASC|DESC[, limit])   A
//	REMOVE_EMPTY                 A>A
//	PERIOD(m1)                   S     seconds; of a metric only
//	TIME_SERIES(S)               T     that value at every point
//	MINUTE HOUR DAY DATE MONTH YEAR EPOCH   T>T  of each point's time in UTC, also where the series has no value; DAY is 1 on Monday
//
// A missing operand of an operator counts as 0 where the other operand has a value; where no series of the operands has one there
// is no point. Division by zero, and every other result that is no finite number, drops the point.
//
// What CloudWatch has and this package refuses by name: ANOMALY_DETECTION_BAND, SEARCH, INSIGHT_RULE_METRIC, SERVICE_QUOTA,
// DB_PERF_INSIGHTS, LAMBDA.
//
// The package is pure: it knows neither where metrics are kept nor when an alarm is evaluated.
package expression

import (
	"fmt"
	"regexp"
	"unicode/utf8"
)

// CloudWatch's limits on metric math in an alarm.
const (
	// MaxLength is the length of an expression in characters.
	MaxLength = 2048
	// MaxIDLength is the length of an id.
	MaxIDLength = 255
	// MaxMetrics is the number of metrics of an alarm.
	MaxMetrics = 10
	// MaxExpressions is the number of expressions of an alarm.
	MaxExpressions = 10
	// MaxSeries is the number of series in an array: what CloudWatch reads in one request.
	MaxSeries = 500
)

var idForm = regexp.MustCompile(`^[a-z][A-Za-z0-9_]*$`)

// Error says which expression is wrong, where and why.
type Error struct {
	// ID is the id of the query in an alarm; empty if there is none.
	ID string
	// Position is the place in the expression, in characters, the first is 1; 0 if it is not about a place.
	Position int
	// Message says what is wrong and what would be right.
	Message string
}

// Error is one sentence for a person, without the id.
func (e *Error) Error() string {
	if e.Position == 0 {
		return e.Message
	}
	return fmt.Sprintf("at character %d: %s", e.Position, e.Message)
}

// Expression is an expression that was read. It does not change.
type Expression struct {
	text string
	root node
	ids  []string
}

// Parse reads an expression and checks the names of its functions. Whether the operands fit is known only with the other queries
// of the alarm: NewSet checks it. The error is an *Error.
func Parse(text string) (*Expression, error) {
	if length := utf8.RuneCountInString(text); length > MaxLength {
		return nil, &Error{Message: fmt.Sprintf("an expression has at most %d characters, this one has %d", MaxLength, length)}
	}
	p := &parser{text: text}
	if err := p.advance(); err != nil {
		return nil, err
	}
	root, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.token.kind != tokenEnd {
		return nil, p.fail("expected an operator or the end of the expression, found %s", p.token)
	}
	return &Expression{text: text, root: root, ids: p.ids}, nil
}

// String returns the text that was read.
func (e *Expression) String() string { return e.text }

// IDs returns the ids that the expression refers to, each once, in the order of the text; METRICS() is not among them.
func (e *Expression) IDs() []string { return append([]string(nil), e.ids...) }
