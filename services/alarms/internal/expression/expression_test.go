package expression

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// grid is five minutes from Sunday, 2 March 2025, 23:58:00 UTC.
var grid = Grid{Start: time.Date(2025, 3, 2, 23, 58, 0, 0, time.UTC), Period: time.Minute, Count: 5}

// the series of the tests, "-" for a missing value.
var given = map[string]string{
	"m1": "1 2 3 4 5", "m2": "10 - 30 - 50", "zero": "0 0 1 0 -", "empty": "- - - - -", "neg": "-1.5 - 2.5 0 -4",
}

func series(text string) Series {
	var s Series
	for field := range strings.FieldsSeq(text) {
		v, err := strconv.ParseFloat(field, 64)
		if field == "-" {
			v = Missing()
		} else if err != nil {
			panic(err)
		}
		s = append(s, v)
	}
	return s
}

func text(s Series) string {
	var fields []string
	for _, v := range s {
		if IsMissing(v) {
			fields = append(fields, "-")
		} else {
			fields = append(fields, strconv.FormatFloat(v, 'g', 6, 64))
		}
	}
	return strings.Join(fields, " ")
}

// evaluate computes an expression over the metrics, in the order of their names in ids.
func evaluate(t *testing.T, expression string, ids []string, metrics map[string]string) (string, error) {
	t.Helper()
	queries := []Query{{ID: "result", Expression: expression, ReturnData: true}}
	values := map[string]Series{}
	g := grid
	for _, id := range ids {
		queries = append(queries, Query{ID: id})
		values[id] = series(metrics[id])
		g.Count = len(values[id])
	}
	set, err := NewSet(queries)
	if err != nil {
		return "", err
	}
	got, err := set.Eval(g, values)
	return text(got), err
}

func TestExpressions(t *testing.T) {
	ids := []string{"m1", "m2", "zero", "empty", "neg"}
	for expression, want := range map[string]string{
		"m1": "1 2 3 4 5", "(m1)": "1 2 3 4 5",
		// operators; a missing operand counts 0 where the other has a value
		"m1 + m2": "11 2 33 4 55", "m2 - m1": "9 -2 27 -4 45", "m1*m2": "10 0 90 0 250", "m2/m1": "10 0 10 0 10",
		"m1/zero": "- - 3 - -", "m1/m2": "0.1 - 0.1 - 0.1", "m1/0": "- - - - -", "1/m2": "0.1 - 0.0333333 - 0.02",
		"m2+1": "11 - 31 - 51", "1+m2": "11 - 31 - 51", "empty+m2": "10 - 30 - 50", "m1^2": "1 4 9 16 25", "2^m1": "2 4 8 16 32",
		"neg^0.5": "- - 1.58114 0 -", "m1*1e308*10": "- - - - -", "-m2": "-10 - -30 - -50", "1 - -m1": "2 3 4 5 6", "m1--1": "2 3 4 5 6",
		// precedence
		"m1+2*3^2": "19 20 21 22 23", "2*-m1^2": "-2 -8 -18 -32 -50", "2^3^m1/2^3^m1": "1 1 1 1 1", "TIME_SERIES(2^3^2)": "512 512 512 512 512",
		"m1-1-1": "-1 0 1 2 3", "m1/2/2": "0.25 0.5 0.75 1 1.25", "(m1-1)*2": "0 2 4 6 8", "m1 > 1 + 1": "0 0 1 1 1",
		"m1 > 1 AND m1 < 4 OR m1 == 5": "0 1 1 0 1", "m1 == 5 || m1 > 1 && m1 < 4": "0 1 1 0 1", "m1 == 1 OR m1 > 3 AND FALSEY()": "",
		// comparisons and logic
		"m1 == 3": "0 0 1 0 0", "m1 != 3": "1 1 0 1 1", "m1 <= 3": "1 1 1 0 0", "m1 >= 3": "0 0 1 1 1", "m2 > 20": "0 - 1 - 1",
		"m1 < m2": "1 0 1 0 1", "m1 AND zero": "0 0 1 0 0", "zero OR m2": "1 0 1 0 1", "empty AND empty": "- - - - -", "TIME_SERIES(1 < 2)": "1 1 1 1 1",
		// point by point
		"ABS(neg)": "1.5 - 2.5 0 4", "CEIL(neg)": "-1 - 3 0 -4", "FLOOR(neg)": "-2 - 2 0 -4", "LOG10(m2)": "1 - 1.47712 - 1.69897",
		"LOG(m1)": "0 0.693147 1.09861 1.38629 1.60944", "LOG(zero)": "- - 0 - -", "LOG(neg)": "- - 0.916291 - -",
		// of one series: a number
		"m1 - AVG(m1)": "-2 -1 0 1 2", "m1*0 + AVG(m2)": "18 18 18 18 18", "m1*0 + SUM(m2)": "90 90 90 90 90", "m1*0 + MIN(m2)": "10 10 10 10 10",
		"m1*0 + MAX(neg)": "2.5 2.5 2.5 2.5 2.5", "m1*0 + STDDEV(m1)": "1.41421 1.41421 1.41421 1.41421 1.41421",
		"m1*0 + SUM(m2)/DATAPOINT_COUNT(m2)": "30 30 30 30 30", "m1 + MIN(empty)": "1 2 3 4 5", "m1 / MIN(empty)": "- - - - -", "m1 + SUM(empty)": "1 2 3 4 5",
		"m1/PERIOD(m1)": "0.0166667 0.0333333 0.05 0.0666667 0.0833333", "m1 * METRIC_COUNT(METRICS())": "5 10 15 20 25",
		// of several: a series
		"SUM([m1, m2])": "11 2 33 4 55", "AVG([m1, m2])": "5.5 1 16.5 2 27.5", "MIN([m1, m2])": "1 2 3 4 5", "MAX([m1, m2])": "10 2 30 4 50",
		"STDDEV([m1, m2])": "4.5 0 13.5 0 22.5", "DATAPOINT_COUNT([m2, zero, empty])": "2 1 2 1 1", "SUM([m2, empty])": "10 - 30 - 50",
		`SUM(METRICS("m"))`: "11 2 33 4 55", `SUM([METRICS("m1"), METRICS('zero')])`: "1 2 4 4 5", "SUM(METRICS('e'))": "-1.5 0 3.5 0 -4",
		"SUM(100/[m1, m2])": "110 50 36.6667 25 22", "SUM([m1, m2]*m1)": "11 4 99 16 275", "SUM(-[m1, m2])": "-11 -2 -33 -4 -55",
		"MIN(ABS([neg, m1]))": "1 2 2.5 0 4", "MAX(METRICS()/10)": "1 0.2 3 0.4 5",
		// against the value before
		"DIFF(m2)": "- - 20 - 20", "DIFF_TIME(m2)": "- - 120 - 120", "RATE(m2)": "- - 0.166667 - 0.166667", "DIFF(m1)": "- 1 1 1 1",
		"RUNNING_SUM(m2)": "10 - 40 - 90", "SUM(RUNNING_SUM([m1, m2]))": "11 3 46 10 105", "DIFF(empty)": "- - - - -",
		// FILL
		"FILL(m2, 7)": "10 7 30 7 50", "FILL(m2, REPEAT)": "10 10 30 30 50", "FILL(m2, LINEAR)": "10 20 30 40 50", "FILL(m2, m1)": "10 2 30 4 50",
		"FILL(m2, MIN(m2))": "10 10 30 10 50", "FILL(neg, LINEAR)": "-1.5 0.5 2.5 0 -4", "FILL(zero, REPEAT)": "0 0 1 0 0", "FILL(zero, LINEAR)": "0 0 1 0 -",
		"FILL(empty, REPEAT)": "- - - - -", "FILL(empty, 0)": "0 0 0 0 0", "FILL(empty, m2)": "10 - 30 - 50", "SUM(FILL(METRICS('m'), 100))": "111 202 133 204 155",
		// IF
		"IF(m1 < 3, m1)": "1 2 - - -", "IF(m1 < 3, 10, 2)": "10 10 2 2 2", "IF(m1 > 1, m2)": "- 0 30 0 50", "IF(zero, 5, m2)": "10 - 5 - -",
		"IF(1, m2)": "10 - 30 - 50", "IF(0, m2)": "- - - - -", "IF(0, m2, m1)": "1 2 3 4 5", "IF(-1, m2, m1)": "10 - 30 - 50", "IF(neg, 1, 0)": "1 - 1 0 1",
		// arrays
		"FIRST([m2, m1])": "10 - 30 - 50", "LAST(METRICS())": "-1.5 - 2.5 0 -4", "FIRST(SLICE(METRICS(), 2))": "0 0 1 0 -",
		"SUM(SLICE(METRICS(), 0, 1))": "1 2 3 4 5", "SUM(SLICE(METRICS(), 3, 2))": "- - - - -", "FIRST(SLICE(METRICS(), 99))": "- - - - -",
		"FIRST(SORT(METRICS(), MAX, DESC))": "10 - 30 - 50", "FIRST(SORT(METRICS(), MIN, ASC))": "-1.5 - 2.5 0 -4", "LAST(SORT(METRICS(), MAX, ASC))": "- - - - -", "LAST(SORT(METRICS(), MAX, DESC))": "- - - - -", "FIRST(SORT(METRICS(), AVG, ASC))": "-1.5 - 2.5 0 -4",
		"SUM(SORT(METRICS(), SUM, DESC, 2))": "11 2 33 4 55", "m1*METRIC_COUNT(REMOVE_EMPTY(METRICS()))": "4 8 12 16 20",
		// time
		"TIME_SERIES(5)": "5 5 5 5 5", "TIME_SERIES(MAX(m2))": "50 50 50 50 50", "TIME_SERIES(MIN(empty))": "- - - - -",
		"MINUTE(empty)": "58 59 0 1 2", "HOUR(m1)": "23 23 0 0 0", "DAY(m1)": "7 7 1 1 1", "DATE(m1)": "2 2 3 3 3", "MONTH(m1)": "3 3 3 3 3", "YEAR(m1)": "2025 2025 2025 2025 2025",
		"EPOCH(m1)-1740959880": "0 60 120 180 240", "IF(DAY(m1)<6,m1)": "- - 3 4 5",
	} {
		got, err := evaluate(t, expression, ids, given)
		if want == "" {
			if err == nil {
				t.Errorf("%s: %s, want an error", expression, got)
			}
			continue
		}
		if err != nil || got != want {
			t.Errorf("%s: %s %v, want %s", expression, got, err, want)
		}
	}
}

// The examples of CloudWatch's page, with its values.
func TestTheExamplesOfCloudWatchsPage(t *testing.T) {
	for _, c := range []struct{ expression, metric1, metric2, metric3, want string }{
		{"(metric1 < metric2)", "30 20 0 0", "20 - 20 -", "", "0 0 1 0"},
		{"(metric1 >= 30)", "30 20 0 0", "20 - 20 -", "", "1 0 0 0"},
		{"(metric1 > 15 AND metric2 > 15)", "30 20 0 0", "20 - 20 -", "", "1 0 0 0"},
		{"IF(metric1, metric2, metric3)", "1 1 0 0 -", "30 - 0 0 30", "0 0 20 - 20", "30 0 20 - -"},
		{"IF(metric1, 5, metric3)", "1 1 0 0 -", "30 - 0 0 30", "0 0 20 - 20", "5 5 20 - -"},
		{"IF(metric1, metric2, 5)", "1 1 0 0 -", "30 - 0 0 30", "0 0 20 - 20", "30 0 5 5 -"},
	} {
		ids, metrics := []string{"metric1", "metric2"}, map[string]string{"metric1": c.metric1, "metric2": c.metric2}
		if c.metric3 != "" {
			ids, metrics["metric3"] = append(ids, "metric3"), c.metric3
		}
		if got, err := evaluate(t, c.expression, ids, metrics); err != nil || got != c.want {
			t.Errorf("%s: %s %v, want %s", c.expression, got, err, c.want)
		}
	}
}

func TestAnErrorSaysWhereAndWhy(t *testing.T) {
	for expression, want := range map[string]string{
		"m1 +":                              "at character 5: expected a number, an id, a function, ( or [, found the end of the expression",
		"m1 m2":                             `at character 4: expected an operator or the end of the expression, found "m2"`,
		"(m1":                               "at character 4: expected an operator or ), found the end of the expression",
		"[m1, m2":                           "at character 8: expected an operator, a comma or ], found the end of the expression",
		"m1 ? 1":                            `at character 4: '?' has no meaning here`,
		"m1 = 1":                            `at character 4: '=' has no meaning here`,
		"m1 + é":                            `at character 6: 'é' has no meaning here`,
		"m1 + 1.":                           "",
		"1.2.3 + m1":                        "at character 4: expected an operator or the end",
		". + m1":                            `at character 1: "." is not a number`,
		`SUM(METRICS("m))`:                  "at character 13: the text has no closing quote",
		"sum(m1)":                           "at character 1: functions are written in upper case: SUM",
		"sqrt(m1)":                          "at character 1: there is no function sqrt",
		"m1 + SQRT(m1)":                     "at character 6: there is no function SQRT",
		"m1 + M2":                           `at character 6: "M2" is neither a function nor an id; ids start with a lower-case letter`,
		"ABS m1":                            `at character 5: expected ( after ABS, found "m1"`,
		"m1 AND":                            "at character 7: expected a number",
		"AND m1":                            "at character 1: expected a number",
		"ANOMALY_DETECTION_BAND(m1)":        "at character 1: ANOMALY_DETECTION_BAND is not supported",
		"SEARCH('x')":                       "at character 1: SEARCH is not supported",
		"5":                                 "the result of an expression is a time series, and this is a number; TIME_SERIES makes a series of a number",
		"AVG(m1)":                           "the result of an expression is a time series, and this is a number",
		"METRICS()":                         "what an alarm watches is one time series, and this is an array; take SUM",
		"'m1'":                              "the result of an expression is a time series, and this is a text",
		"m1 + nobody":                       "at character 6: there is no metric or expression with the id nobody",
		"SUM(METRICS() + METRICS())":        "at character 15: + takes an array with a number or with a time series, and not with another array",
		"SUM(METRICS() > 1)":                "at character 15: > takes time series and numbers, and no array",
		"SUM([m1, 1])":                      "at character 10: an array has time series, and this is a number",
		"SUM([])":                           "at character 5: an array has at least one time series",
		"m1 + 'x'":                          "at character 6: a text is no operand of +",
		"m1 + REPEAT":                       "at character 6: a word is no operand of +",
		"m1 > AVG":                          "at character 6: a word is no operand of >",
		"ABS(1)+m1":                         "at character 1: ABS takes (a time series) or (an array of time series), not (a number)",
		"ABS()":                             "at character 1: ABS takes (a time series) or (an array of time series), not ()",
		"IF(1, 2, 3)+m1":                    "at character 1: IF takes",
		"FILL(m1, DESC)":                    `at character 10: expected REPEAT, LINEAR, found "DESC"`,
		"SUM(SORT(METRICS(), STDDEV, ASC))": `at character 27: expected ( after STDDEV, found ","`,
		"SUM(SORT(METRICS(), ASC, ASC))":    `at character 21: expected AVG, MIN, MAX, SUM, found "ASC"`,
		"m1/PERIOD(m1+m2)":                  "at character 13: PERIOD takes the id of a metric, not an expression",
		"SUM(METRICS('zzz'))":               `at character 13: no metric of the alarm has "zzz" in its id`,
		strings.Repeat("x", 2049):           "an expression has at most 2048 characters, this one has 2049",
		"result + 1":                        "the expression is in terms of itself: result -> result",
	} {
		_, err := evaluate(t, expression, []string{"m1", "m2"}, given)
		var e *Error
		if (want == "") != (err == nil) || err != nil && (!errors.As(err, &e) || !strings.Contains(err.Error(), want) || e.ID != "result") {
			t.Errorf("%.60s: %v, want %s", expression, err, want)
		}
	}
}

func TestQueriesOfAnAlarm(t *testing.T) {
	many := func(n int, expression string) []Query {
		var all []Query
		for i := range n {
			all = append(all, Query{ID: fmt.Sprintf("%c%d", "me"[min(len(expression), 1)], i), Expression: expression})
		}
		return all
	}
	whole := func(queries ...[]Query) []Query {
		all := []Query{}
		for _, q := range queries {
			all = append(all, q...)
		}
		all[0].ReturnData = true
		return all
	}
	for _, c := range []struct {
		queries []Query
		want    string
	}{
		{whole(many(10, ""), many(10, "m0+1")), ""},
		{whole(many(11, "")), "an alarm has at most 10 metrics and 10 expressions, this one has 11 and 0"},
		{whole(many(1, ""), many(11, "m0")), "an alarm has at most 10 metrics and 10 expressions, this one has 1 and 11"},
		{[]Query{{ID: "m1"}}, "one query has to return data"},
		{nil, "one query has to return data"},
		{[]Query{{ID: "m1", ReturnData: true}, {ID: "m2", ReturnData: true}}, "only one query returns data, and m1 does"},
		{[]Query{{ID: "m1", ReturnData: true}, {ID: "m1"}}, "the id m1 is there twice"},
		{[]Query{{ID: "M1", ReturnData: true}}, `not "M1"`},
		{[]Query{{ID: "m-1", ReturnData: true}}, `not "m-1"`},
		{[]Query{{ID: "m" + strings.Repeat("1", 255), ReturnData: true}}, "at most 255"},
		{[]Query{{ID: "a", Expression: "b", ReturnData: true}, {ID: "b", Expression: "c+1"}, {ID: "c", Expression: "a"}}, "a -> b -> c -> a"},
		{[]Query{{ID: "a", Expression: "TIME_SERIES(1)", ReturnData: true}}, ""},
		{[]Query{{ID: "m"}, {ID: "a", Expression: "[" + strings.Repeat("m,", 499) + "m]"}, {ID: "s", Expression: "SUM(a)", ReturnData: true}}, ""},
		{
			[]Query{{ID: "m"}, {ID: "a", Expression: "[m" + strings.Repeat(",m", 250) + "]"}, {ID: "s", Expression: "SUM(-[a, a])", ReturnData: true}},
			"at character 6: an array has at most 500 time series, this one has 502",
		},
		{[]Query{{ID: "a", Expression: "SUM(METRICS())", ReturnData: true}}, "the alarm has no metric"},
	} {
		_, err := NewSet(c.queries)
		if (c.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q", c.queries, err, c.want)
		}
	}
}

func TestExpressionsReferToExpressions(t *testing.T) {
	set, err := NewSet([]Query{
		{ID: "rate", Expression: "100 * errors / total", ReturnData: true},
		{ID: "total", Expression: "FILL(SUM(all), 0)"},
		{ID: "all", Expression: "METRICS('request')"}, // expressions are not in it
		{ID: "requestsA"},
		{ID: "requestsB"},
		{ID: "errors"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprintf("%s %s", set.Metrics(), set.Returns()) != "[requestsA requestsB errors] rate" {
		t.Error(set.Metrics(), set.Returns())
	}
	got, err := set.Eval(grid, map[string]Series{"requestsA": series("50 - 100 0 -"), "requestsB": series("50 - 100 - -"), "errors": series("1 1 50 1 -")})
	if err != nil || text(got) != "1 - 25 - -" {
		t.Errorf("%s %v", text(got), err)
	}
	// A metric without a series has no values; one of another length is a mistake.
	if got, err := set.Eval(grid, nil); err != nil || text(got) != "- - - - -" {
		t.Errorf("%s %v", text(got), err)
	}
	if _, err := set.Eval(grid, map[string]Series{"errors": series("1 2")}); err == nil {
		t.Error("a series of two points fits a grid of five")
	}
	if _, err := set.Eval(Grid{Count: 5}, nil); err == nil {
		t.Error("a grid without a period is none")
	}
}

func TestGrid(t *testing.T) {
	for i := range grid.Count {
		if grid.Index(grid.Time(i)) != i {
			t.Errorf("point %d", i)
		}
	}
	for _, off := range []time.Duration{-time.Minute, time.Second, 5 * time.Minute} {
		if i := grid.Index(grid.Start.Add(off)); i != -1 {
			t.Errorf("%s is point %d", off, i)
		}
	}
}

func TestIDs(t *testing.T) {
	e, err := Parse("b + a * b + SUM(METRICS()) / FILL(c, LINEAR)")
	if err != nil || fmt.Sprint(e.IDs()) != "[b a c]" || !strings.HasPrefix(e.String(), "b + a") {
		t.Error(e, err)
	}
}
