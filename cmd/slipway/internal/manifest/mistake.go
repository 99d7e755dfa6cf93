package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Position is a place in a file; line and column count from 1.
type Position struct {
	File         string
	Line, Column int
}

// String is "file:line:column".
func (p Position) String() string { return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column) }

// Mistake is something wrong at a place in a file.
type Mistake struct {
	At   Position
	Text string
}

// Mistakes is every mistake of the files, in order. It is an error.
type Mistakes []Mistake

// Error is one line for each mistake.
func (m Mistakes) Error() string {
	lines := make([]string, len(m))
	for i, one := range m {
		lines[i] = one.At.String() + ": " + one.Text
	}
	return strings.Join(lines, "\n")
}

// orNil returns the mistakes as an error in the order of their places, or nil when there are none.
func (m Mistakes) orNil() error {
	if len(m) == 0 {
		return nil
	}
	slices.SortStableFunc(m, func(a, b Mistake) int {
		return cmp.Or(cmp.Compare(a.At.File, b.At.File), cmp.Compare(a.At.Line, b.At.Line), cmp.Compare(a.At.Column, b.At.Column))
	})
	return m
}
