package pattern

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// test is a member of a leaf's array. It is asked about one value at a time, never about an array or an object.
type test struct {
	// holds reports whether a value passes; nil for what is about presence alone.
	holds func(v *value) bool
	// presence tests; both false for every other test.
	present, absent bool
	// globs are the wildcard patterns in it, for their complexity.
	globs []glob
}

// is tests for a string.
func is(s string) test {
	return test{holds: func(v *value) bool { return v.kind == text && v.text == s }}
}

// ofString is a test that only strings can pass.
func ofString(holds func(s string) bool) test {
	return test{holds: func(v *value) bool { return v.kind == text && holds(v.text) }}
}

// exact tests for the value itself, which is no array and no object.
func exact(v *value) test {
	switch v.kind {
	case text:
		return is(v.text)
	case number:
		return isNumber(v.text)
	default:
		return isLiteral(v.kind, v.text)
	}
}

// isLiteral tests for true, false or null.
func isLiteral(k kind, literal string) test {
	return test{holds: func(v *value) bool { return v.kind == k && v.text == literal }}
}

// maxExact is where whole numbers stop to be exact in a float64; from there on literals are compared as they are written.
const maxExact = 1 << 53

// sameNumber compares two numbers by value: 300, 300.0 and 3e2 are the same. (The user guide says by string; the service
// compares by value.)
func sameNumber(a, b string) bool {
	return a == b || byValue(a) == byValue(b) // NaN is equal to nothing
}

// byValue is the number, or NaN when it is too large to be compared by value.
func byValue(literal string) float64 {
	f, err := strconv.ParseFloat(literal, 64)
	if err != nil || math.Abs(f) >= maxExact {
		return math.NaN()
	}
	return f
}

func isNumber(literal string) test {
	return test{holds: func(v *value) bool { return v.kind == number && sameNumber(literal, v.text) }}
}

// except tests for a value that passes none of the tests.
func except(tests []test) test {
	var globs []glob
	for _, t := range tests {
		globs = append(globs, t.globs...)
	}
	none := func(v *value) bool {
		return !slices.ContainsFunc(tests, func(t test) bool { return t.holds(v) })
	}
	return test{holds: none, globs: globs}
}

func hasPrefixFold(s, prefix string) bool {
	head, ok := cut(s, len([]rune(prefix)))
	return ok && strings.EqualFold(head, prefix)
}

func hasSuffixFold(s, suffix string) bool {
	total := len([]rune(s))
	n := len([]rune(suffix))
	if n > total {
		return false
	}
	head, _ := cut(s, total-n)
	return strings.EqualFold(s[len(head):], suffix)
}

// cut is the first n characters of s.
func cut(s string, n int) (head string, ok bool) {
	for i := range s {
		if n == 0 {
			return s[:i], true
		}
		n--
	}
	return s, n == 0
}
