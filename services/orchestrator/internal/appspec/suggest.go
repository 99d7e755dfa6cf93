package appspec

import "strings"

// suggest ends a sentence about an unknown key with the known one that it is likely to be, or else with all of them.
func suggest(key string, known []string) string {
	best, least := "", 3
	for _, name := range known {
		if d := distance(strings.ToLower(key), strings.ToLower(name)); d < least {
			best, least = name, d
		}
	}
	if best != "" {
		return "; did you mean " + best + "?"
	}
	return "; known here are " + strings.Join(known, ", ")
}

// distance is the Levenshtein distance.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
