package expression

import "math"

// kind is what a part of an expression is. The letters stand in the signatures of functions.
type kind byte

const (
	kindScalar kind = 'S'
	kindSeries kind = 'T'
	kindArray  kind = 'A'
	kindWord   kind = 'W'
	kindText   kind = 'X'
)

func (k kind) String() string {
	switch k {
	case kindScalar:
		return "a number"
	case kindSeries:
		return "a time series"
	case kindArray:
		return "an array of time series"
	case kindWord:
		return "a word"
	}
	return "a text"
}

// value is a scalar, one series or several, a word or a text.
type value struct {
	kind   kind
	scalar float64
	series []Series
	text   string
}

func scalar(v float64) value { return value{kind: kindScalar, scalar: v} }

func one(s Series) value { return value{kind: kindSeries, series: []Series{s}} }

func array(s []Series) value { return value{kind: kindArray, series: s} }

// at is the value at a point, or the scalar.
func (v value) at(i int) float64 {
	if v.kind == kindScalar {
		return v.scalar
	}
	return v.series[0][i]
}

// each maps every series of v.
func (v value) each(f func(Series) Series) value {
	out := value{kind: v.kind, series: make([]Series, len(v.series))}
	for i := range v.series {
		out.series[i] = f(v.series[i])
	}
	return out
}

// operate applies an operator to two values, at most one of them an array.
func operate(g Grid, operator string, left, right value) value {
	switch {
	case left.kind == kindArray:
		return left.each(func(s Series) Series { return operate(g, operator, one(s), right).series[0] })
	case right.kind == kindArray:
		return right.each(func(s Series) Series { return operate(g, operator, left, one(s)).series[0] })
	case left.kind == kindScalar && right.kind == kindScalar:
		if IsMissing(left.scalar) && IsMissing(right.scalar) {
			return scalar(Missing())
		}
		return scalar(compute(operator, left.scalar, right.scalar))
	}
	out := g.Empty()
	for i := range out {
		if hasPoint(left, i) || hasPoint(right, i) {
			out[i] = compute(operator, left.at(i), right.at(i))
		}
	}
	return one(out)
}

// hasPoint tells whether v is a series with a value there: a scalar makes no points.
func hasPoint(v value, i int) bool { return v.kind == kindSeries && !IsMissing(v.series[0][i]) }

func compute(operator string, left, right float64) float64 {
	left, right = orZero(left), orZero(right)
	switch operator {
	case "+":
		return finite(left + right)
	case "-":
		return finite(left - right)
	case "*":
		return finite(left * right)
	case "/":
		return finite(left / right)
	case "^":
		return finite(math.Pow(left, right))
	}
	return truth(compare(operator, left, right))
}

func compare(operator string, left, right float64) bool {
	switch operator {
	case "==":
		return left == right
	case "!=":
		return left != right
	case "<":
		return left < right
	case "<=":
		return left <= right
	case ">":
		return left > right
	case ">=":
		return left >= right
	case "&&":
		return left != 0 && right != 0
	}
	return left != 0 || right != 0
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
