package verdict

import (
	"fmt"
	"strconv"
	"strings"
)

// Matcher is the codes of a success.
type Matcher []codeRange

type codeRange struct{ from, to int }

// ParseMatcher reads "200", "200,202", "200-299" or a mix of these; codes lie in low to high.
func ParseMatcher(text string, low, high int) (Matcher, error) {
	var m Matcher
	for part := range strings.SplitSeq(text, ",") {
		first, last, ranged := strings.Cut(part, "-")
		if !ranged {
			last = first
		}
		from, err1 := strconv.Atoi(first)
		to, err2 := strconv.Atoi(last)
		if err1 != nil || err2 != nil {
			return nil, fmt.Errorf("%q is not a code or a range of codes such as 200-299", part)
		}
		if from < low || to > high || from > to {
			return nil, fmt.Errorf("%q is not within %d to %d", part, low, high)
		}
		m = append(m, codeRange{from, to})
	}
	return m, nil
}

// Matches reports whether the code is a success.
func (m Matcher) Matches(code int) bool {
	for _, r := range m {
		if code >= r.from && code <= r.to {
			return true
		}
	}
	return false
}
