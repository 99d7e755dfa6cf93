package rule

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func parse(t *testing.T, text string) *Rule {
	t.Helper()
	r, err := Parse(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return r
}

// states is "a" and "A" in ALARM, "o" in OK, "i" in INSUFFICIENT_DATA by the first letter of a name; others do not exist.
func states(name string) string {
	switch strings.ToLower(name)[0] {
	case 'a':
		return "ALARM"
	case 'o':
		return "OK"
	case 'i':
		return "INSUFFICIENT_DATA"
	}
	return ""
}

func TestARuleHolds(t *testing.T) {
	for text, want := range map[string]bool{
		"TRUE": true, "FALSE": false, "False": false, " true ": true,
		"ALARM(a)": true, "ALARM(o)": false, "OK(o)": true, "INSUFFICIENT_DATA(i)": true, "OK(i)": false,
		"ALARM(nobody)": false, "NOT ALARM(nobody)": true,
		"NOT OK(o)": false, "NOT (ALARM(o) OR OK(a))": true,
		// NOT before AND before OR
		"TRUE OR FALSE AND FALSE":      true,
		"(TRUE OR FALSE) AND FALSE":    false,
		"NOT TRUE OR TRUE":             true,
		"NOT (TRUE OR TRUE)":           false,
		"NOT FALSE AND FALSE":          false,
		"FALSE AND FALSE OR TRUE":      true,
		"((((ALARM(a)))))":             true,
		"ALARM(a)AND(OK(o))":           true,
		"ALARM(a)\n\tAND\r\nOK(\"o\")": true,
		// names
		`ALARM("a, or (so)")`: true, `ALARM("a \"b\"")`: true, `ALARM("a\\")`: true, `ALARM(a-b_c.d/e:f)`: true, `ALARM( a )`: true,
		"ALARM(arn:aws:cloudwatch:eu-central-1:123456789012:alarm:a1)":       true,
		`ALARM("arn:aws:cloudwatch:eu-central-1:123456789012:alarm:a 1")`:    true,
		"OK(arn:aws-cn:cloudwatch:cn-north-1:123456789012:alarm:web:errors)": false,
		// AT_LEAST
		"AT_LEAST(2, ALARM, (a1, a2, o1))":                    true,
		"AT_LEAST(3, ALARM, (a1, a2, o1))":                    false,
		"AT_LEAST(2, NOT ALARM, (a1, i1, o1))":                true,
		"AT_LEAST(1, NOT OK, (o1))":                           false,
		"AT_LEAST(50%, OK, (a1, o1))":                         true,
		"AT_LEAST(51%, OK, (a1, o1))":                         false,
		"AT_LEAST(66%, OK, (a1, o1, o2))":                     true,
		"AT_LEAST(67%, OK, (a1, o1, o2))":                     false,
		"AT_LEAST(100%,INSUFFICIENT_DATA,(i1,\"i 2\"))":       true,
		"NOT AT_LEAST(1 , ALARM , ( o1 )) AND ALARM(a)":       true,
		"AT_LEAST(1, NOT INSUFFICIENT_DATA, (i, nobody))":     true,
		"ALARM(a) AND NOT AT_LEAST( 100 %, ALARM, (a1, a2) )": false,
	} {
		if got := parse(t, text).Eval(states); got != want {
			t.Errorf("%s is %t", text, got)
		}
	}
}

func TestAnErrorSaysWhereAndWhatIsExpected(t *testing.T) {
	for text, want := range map[string]string{
		"":                                "at character 1: expected (, NOT, TRUE, FALSE, ALARM(, OK(, INSUFFICIENT_DATA( or AT_LEAST(, found the end of the rule",
		"alarm(a)":                        `at character 1: expected (, NOT, TRUE`,
		"ALARM(a) AND":                    "at character 13: expected (, NOT, TRUE",
		"ALARM(a) && OK(b)":               `at character 10: expected AND, OR or the end of the rule, found "&&"`,
		"ALARM(a) ALARM(b)":               `at character 10: expected AND, OR or the end of the rule, found "ALARM"`,
		"(ALARM(a)":                       "at character 10: expected AND, OR or ), found the end of the rule",
		"ALARM(a))":                       `at character 9: expected AND, OR or the end of the rule, found ")"`,
		"ALARM a":                         `at character 7: expected ( after ALARM, found "a"`,
		"ALARM()":                         `at character 7: expected the name of an alarm, found ")"`,
		`ALARM("")`:                       `at character 7: expected the name of an alarm, found "\""`,
		"ALARM(my alarm)":                 `at character 10: expected ) after the name of an alarm (quote names with spaces, commas or parentheses), found "alarm"`,
		`ALARM("a`:                        `at character 9: expected " at the end of the name, found the end of the rule`,
		`ÄÖ`:                              `at character 1: expected (`,
		`ALARM("ÄÖ") X`:                   `at character 13: expected AND, OR or the end of the rule, found "X"`,
		"NOT " + "NOT TRUE":               `at character 5: expected (, NOT`,
		"AT_LEAST(0, ALARM, (a))":         `at character 10: expected a number from 1, or a percentage like 50%, found "0"`,
		"AT_LEAST(101%, ALARM, (a))":      "at character 10: expected a percentage from 1% to 100%",
		"AT_LEAST(2, ALARM, (a))":         "at character 10: expected at most 1, the number of alarms listed, found \"2\"",
		"AT_LEAST(1, RED, (a))":           `at character 13: expected ALARM, OK or INSUFFICIENT_DATA, found "RED"`,
		"AT_LEAST(1, ALARM, a)":           `at character 20: expected ( and the names of alarms, found "a"`,
		"AT_LEAST(1, ALARM, ())":          `at character 21: expected the name of an alarm, found ")"`,
		"AT_LEAST(1, ALARM, (a b))":       "at character 23: expected , or ) after the name of an alarm",
		"AT_LEAST(1 ALARM, (a))":          "at character 12: expected , after how many alarms",
		"AT_LEAST(1, ALARM (a))":          "at character 19: expected , after the state",
		"AT_LEAST(1, ALARM, (a)":          "at character 23: expected ) at the end of AT_LEAST",
		"AT_LEAST 1":                      "at character 10: expected ( after AT_LEAST",
		"TRUE " + strings.Repeat("x", 50): `found "` + strings.Repeat("x", 40) + `..."`,
	} {
		_, err := Parse(text)
		var e *Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func TestTheLimitsAreCloudWatchs(t *testing.T) {
	refs := func(n, different int) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf("ALARM(a%d)", i%different))
		}
		return strings.Join(all, " OR ")
	}
	padded := "TRUE" + strings.Repeat(" ", MaxLength-4)
	for text, want := range map[string]string{
		refs(100, 100): "", refs(101, 101): "a rule refers to at most 100 alarms, this one to 101",
		refs(500, 100): "", refs(501, 100): "a rule has at most 500 elements",
		strings.Repeat("(", 499) + "TRUE" + strings.Repeat(")", 499): "",
		strings.Repeat("(", 500) + "TRUE" + strings.Repeat(")", 500): "a rule has at most 500 elements",
		padded: "", padded + "é": "a rule has at most 10240 characters, this one has 10241",
	} {
		_, err := Parse(text)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s...: %v, want %q", text, err, want)
		}
	}
}

func TestChildrenAreNamesInOrder(t *testing.T) {
	r := parse(t, `ALARM(z) OR AT_LEAST(1, OK, (b, "a a", z)) AND NOT OK(arn:aws:cloudwatch:eu-central-1:123456789012:alarm:b)`)
	if got := r.Children(); !slices.Equal(got, []string{"a a", "b", "z"}) {
		t.Errorf("%q", got)
	}
	if got := parse(t, "TRUE").Children(); len(got) != 0 {
		t.Errorf("%q", got)
	}
}

func TestTriggersAreTheAlarmsThatMakeTheRuleWhatItIs(t *testing.T) {
	for text, want := range map[string]string{
		"ALARM(a) OR ALARM(o)":                      "a",
		"ALARM(o1) OR ALARM(o2)":                    "o1 o2",
		"ALARM(a) AND OK(o)":                        "a o",
		"ALARM(a) AND ALARM(o)":                     "o",
		"NOT (ALARM(a) AND ALARM(o))":               "o",
		"AT_LEAST(2, ALARM, (a1, a2, o1))":          "a1 a2",
		"AT_LEAST(3, ALARM, (a1, a2, o1, o2))":      "o1 o2",
		"AT_LEAST(1, NOT ALARM, (a1, o1)) OR OK(a)": "o1",
		"TRUE": "",
	} {
		if got := strings.Join(parse(t, text).Triggers(states), " "); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestOneSpelling(t *testing.T) {
	for text, want := range map[string]string{
		"true":                                   "TRUE",
		"((ALARM(a)) AND (OK(b) OR (FALSE)))":    "ALARM(a) AND (OK(b) OR FALSE)",
		"(ALARM(a) AND OK(b)) OR NOT (TRUE)":     "ALARM(a) AND OK(b) OR NOT TRUE",
		`NOT (NOT OK("x"))`:                      "NOT (NOT OK(x))",
		"AT_LEAST( 50 %,NOT OK,(\"a b\",\"c\"))": `AT_LEAST(50%, NOT OK, ("a b", c))`,
		"(TRUE AND TRUE) AND TRUE":               "(TRUE AND TRUE) AND TRUE",
	} {
		if got := parse(t, text).String(); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestCycle(t *testing.T) {
	rules := map[string][]string{
		"a": {"b", "metric"}, "b": {"c"}, "c": {"a"}, "d": {"leaf", "a"}, "it": {"it"}, "e": {"f", "g"}, "f": {"h"}, "g": {"h"}, "h": nil,
	}
	for name, want := range map[string]string{
		"a": "a, b, c, a", "b": "b, c, a, b", "d": "a, b, c, a", "it": "it, it", "e": "", "metric": "", "unknown": "",
	} {
		if got := strings.Join(Cycle(name, rules), ", "); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
