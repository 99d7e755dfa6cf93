package expression

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// tree is a drawn expression with a value at each point that is computed without the package.
type tree struct {
	text   string
	at     func(i int) float64
	scalar bool
}

func drawnTree(t *rapid.T, metrics []Series, depth int) tree {
	kind := rapid.IntRange(0, 4).Draw(t, "kind")
	if depth == 0 {
		kind %= 2
	}
	switch kind {
	case 0:
		v := float64(rapid.IntRange(0, 3).Draw(t, "number"))
		return tree{fmt.Sprint(v), func(int) float64 { return v }, true}
	case 1:
		m := rapid.IntRange(0, len(metrics)-1).Draw(t, "metric")
		return tree{fmt.Sprintf("m%d", m), func(i int) float64 { return metrics[m][i] }, false}
	case 2:
		of := drawnTree(t, metrics, depth-1)
		return tree{"-(" + of.text + ")", func(i int) float64 { return -of.at(i) }, of.scalar}
	}
	l, r := drawnTree(t, metrics, depth-1), drawnTree(t, metrics, depth-1)
	operator := rapid.SampledFrom([]string{"+", "-", "*", "/", "<", ">=", "==", "AND", "OR"}).Draw(t, "operator")
	return tree{"(" + l.text + ") " + operator + "(" + r.text + ")", func(i int) float64 {
		a, b := l.at(i), r.at(i)
		if (l.scalar || math.IsNaN(a)) && (r.scalar || math.IsNaN(b)) && (!l.scalar || !r.scalar || math.IsNaN(a) && math.IsNaN(b)) {
			return math.NaN() // no series of the two has a value
		}
		return naive(operator, zero(a), zero(b))
	}, l.scalar && r.scalar}
}

func zero(v float64) float64 {
	if math.IsNaN(v) {
		return 0
	}
	return v
}

func naive(operator string, a, b float64) float64 {
	truth := map[bool]float64{true: 1}
	result := map[string]float64{
		"+": a + b, "-": a - b, "*": a * b, "<": truth[a < b], ">=": truth[a >= b], "==": truth[a == b],
		"AND": truth[a != 0 && b != 0], "OR": truth[a != 0 || b != 0],
	}
	if operator != "/" {
		return result[operator]
	}
	if b == 0 {
		return math.NaN()
	}
	return a / b
}

func TestAnExpressionIsWhatItsTreeIs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := Grid{Start: time.Unix(0, 0), Period: time.Minute, Count: rapid.IntRange(1, 4).Draw(t, "points")}
		metrics := make([]Series, 2)
		values := map[string]Series{}
		queries := []Query{{ID: "m0"}, {ID: "m1"}}
		for m := range metrics {
			for range g.Count {
				v := float64(rapid.IntRange(-2, 3).Draw(t, "value"))
				if v == 3 {
					v = Missing()
				}
				metrics[m] = append(metrics[m], v)
			}
			values[fmt.Sprintf("m%d", m)] = metrics[m]
		}
		drawn := drawnTree(t, metrics, 4)
		if len(drawn.text) > MaxLength-20 {
			t.Skip("too long")
		}
		if drawn.scalar {
			drawn.text = "TIME_SERIES(" + drawn.text + ")"
		}
		set, err := NewSet(append(queries, Query{ID: "e", Expression: drawn.text, ReturnData: true}))
		if err != nil {
			t.Fatalf("%s: %v", drawn.text, err)
		}
		got, err := set.Eval(g, values)
		if err != nil {
			t.Fatal(err)
		}
		for i := range got {
			if want := drawn.at(i); got[i] != want && !(math.IsNaN(got[i]) && math.IsNaN(want)) {
				t.Fatalf("%s of %v is %v, and point %d should be %g", drawn.text, values, got, i, want)
			}
		}
	})
}

// FuzzEval reads any text: it never panics, and what it computes is a series of the grid without infinite values.
func FuzzEval(f *testing.F) {
	for _, seed := range []string{
		"m0+m1", "IF(m0 > 1 AND m1, FILL(m0, LINEAR), MIN(m1))", "SUM(SORT(METRICS('m'), AVG, DESC, 1e9))", "FIRST(SLICE([m0, m1/0], -1, 1e300))",
		"RATE(m0)^DAY(m1)", "-(-(", "LOG10(-m1)^0.5", "AVG(METRICS()) * PERIOD(m0) OR 1", "SUM(SLICE(METRICS(), MIN(m1)))", "DIFF_TIME([m0])",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		set, err := NewSet([]Query{{ID: "m0"}, {ID: "m1"}, {ID: "e", Expression: strings.TrimSpace(text) + " ", ReturnData: true}})
		if err != nil {
			return
		}
		got, err := set.Eval(Grid{Start: time.Unix(0, 0), Period: time.Minute, Count: 4}, map[string]Series{"m0": series("1 - -3 1e300")})
		if err != nil || len(got) != 4 {
			t.Fatalf("%q: %v %v", text, got, err)
		}
		for _, v := range got {
			if math.IsInf(v, 0) {
				t.Fatalf("%q: %v", text, got)
			}
		}
	})
}
