// Package table writes rows in columns that stand below each other.
package table

import (
	"io"
	"strings"
	"unicode/utf8"

	"github.com/slipway-deploy/slipway/cmd/slipway/internal/words"
)

// gap is what stands between two columns.
const gap = "  "

// Table is a header and rows. The zero value has neither.
type Table struct {
	rows [][]string
}

// New returns a table with a header.
func New(header ...string) *Table { return &Table{rows: [][]string{header}} }

// Row adds a row. An empty cell is shown as "-".
func (t *Table) Row(cells ...string) {
	row := make([]string, len(cells))
	for i, c := range cells {
		row[i] = words.OrDash(c)
	}
	t.rows = append(t.rows, row)
}

// Len is the number of rows without the header.
func (t *Table) Len() int { return len(t.rows) - 1 }

// Write writes the table, one line for each row.
func (t *Table) Write(w io.Writer) error {
	var widths []int
	for _, row := range t.rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	var b strings.Builder
	for _, row := range t.rows {
		var line strings.Builder
		for i, c := range row {
			line.WriteString(c + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c)) + gap)
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}
