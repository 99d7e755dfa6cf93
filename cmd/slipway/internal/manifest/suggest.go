package manifest

import (
	"strings"
	"unicode"
)

// nearest returns the candidate that word was probably meant to be, or "".
func nearest(word string, candidates []string) string {
	best, least := "", len(word)/3+2
	for _, c := range candidates {
		if d := distance(strings.ToLower(word), strings.ToLower(c)); d < least {
			best, least = c, d
		}
	}
	return best
}

// meant ends a message about an unknown word: with the nearest candidate, or with all of them.
func meant(word string, candidates []string) string {
	if best := nearest(word, candidates); best != "" {
		return `; did you mean "` + best + `"?`
	}
	return "; it may be one of " + strings.Join(candidates, ", ")
}

// distance is Levenshtein's: how many insertions, deletions and replacements of bytes turn a into b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}

// snake is a name as the proto file has it: "desiredCount" is "desired_count".
func snake(name string) string {
	var b strings.Builder
	for _, r := range name {
		if unicode.IsUpper(r) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// parent is the path of what holds the field: of "a.b[1].c" it is "a.b[1]", then "a.b", then "a", then "".
func parent(path string) string {
	return path[:max(0, strings.LastIndexAny(path, ".["))]
}
