package live

import (
	"strings"
	"unicode"
)

// style is how a piece of text looks.
type style int

const (
	plain style = iota
	bold
	dim
	good    // green
	bad     // red
	careful // yellow
	fresh   // cyan: what belongs to the new revision
)

var escapes = map[style]string{
	bold: "\x1b[1m", dim: "\x1b[2m", good: "\x1b[32m", bad: "\x1b[31m", careful: "\x1b[33m", fresh: "\x1b[36m",
}

// span is text of one style.
type span struct {
	text  string
	style style
}

// line is one line of the view before it is painted.
type line []span

// text makes a line of plain text.
func text(s string) line { return line{{s, plain}} }

func (l line) add(s string, st style) line { return append(l, span{s, st}) }

// pad fills the line with spaces up to a column.
func (l line) pad(column int) line {
	if missing := column - l.width(); missing > 0 {
		return l.add(strings.Repeat(" ", missing), plain)
	}
	return l
}

func (l line) width() int {
	n := 0
	for _, s := range l {
		n += width(s.text)
	}
	return n
}

// cut shortens the line to at most limit columns; more is what it ends with then.
func (l line) cut(limit int, more string) line {
	if l.width() <= limit {
		return l
	}
	room := limit - width(more)
	var out line
	for _, s := range l {
		head := prefix(s.text, room)
		out = out.add(head, s.style)
		room -= width(head)
		if len(head) < len(s.text) {
			return out.add(more, s.style)
		}
	}
	return out
}

// paint is the line for the terminal.
func (l line) paint(color bool) string {
	var b strings.Builder
	for _, s := range l {
		if escape := escapes[s.style]; color && escape != "" && strings.TrimSpace(s.text) != "" {
			b.WriteString(escape + s.text + "\x1b[0m")
		} else {
			b.WriteString(s.text)
		}
	}
	return strings.TrimRight(b.String(), " ")
}

// width is how many columns a text takes.
func width(s string) int {
	n := 0
	for _, r := range s {
		n += runeWidth(r)
	}
	return n
}

// prefix is as much of the text as fits into limit columns.
func prefix(s string, limit int) string {
	n := 0
	for i, r := range s {
		if n += runeWidth(r); n > limit {
			return s[:i]
		}
	}
	return s
}

// wide is what terminals show in two columns: East Asian wide and full-width characters and emoji.
var wide = &unicode.RangeTable{
	R16: []unicode.Range16{
		{0x1100, 0x115f, 1},
		{0x2e80, 0x303e, 1},
		{0x3041, 0xa4cf, 1},
		{0xac00, 0xd7a3, 1},
		{0xf900, 0xfaff, 1},
		{0xfe30, 0xfe6f, 1},
		{0xff00, 0xff60, 1},
		{0xffe0, 0xffe6, 1},
	},
	R32: []unicode.Range32{{0x1f300, 0x1f64f, 1}, {0x1f680, 0x1f6ff, 1}, {0x1f900, 0x1f9ff, 1}, {0x20000, 0x3fffd, 1}},
}

func runeWidth(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case unicode.Is(wide, r):
		return 2
	}
	return 1
}

// wrap breaks a text at spaces into lines of at most limit columns, and at most count of them.
func wrap(s string, limit, count int) []string {
	var lines []string
	for word := range strings.FieldsSeq(s) {
		if n := len(lines) - 1; n >= 0 && width(lines[n])+1+width(word) <= limit {
			lines[n] += " " + word
			continue
		}
		lines = append(lines, word)
	}
	if len(lines) > count {
		rest := strings.Join(lines[count-1:], " ")
		lines = append(lines[:count-1], rest)
	}
	return lines
}
