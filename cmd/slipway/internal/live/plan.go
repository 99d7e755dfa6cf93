package live

import (
	"fmt"
	"strings"
	"time"

	"github.com/slipway-deploy/slipway/cmd/slipway/internal/gantt"
	"github.com/slipway-deploy/slipway/cmd/slipway/internal/words"
)

// PlanView is all that the picture of a plan depends on.
type PlanView struct {
	Chart gantt.Chart
	// Width is how many columns it takes.
	Width int
	// Color allows escape sequences for colors, ASCII forbids other characters than ASCII's.
	Color, ASCII bool
}

// planLabels is the width of the column with the names of stages.
const planLabels = 31

// Plan returns the picture of a plan: a row for each stage over time, then traffic and tasks.
func Plan(v PlanView) []string {
	p := planPage{PlanView: v, g: glyphsFor(v.ASCII), cells: max(v.Width, minWidth+planLabels) - planLabels - 2}
	var lines []line
	for _, row := range v.Chart.Rows {
		lines = append(lines, p.row(row))
	}
	lines = append(lines, line{}, p.level("production traffic", fresh, 100, func(at gantt.Point) float64 { return at.Production }, words.Percent))
	if v.Chart.Tests {
		lines = append(lines, p.level("test traffic", plain, 100, func(at gantt.Point) float64 { return at.Test }, words.Percent))
	}
	most, count := float64(max(v.Chart.Peak, 1)), func(n float64) string { return fmt.Sprint(n) }
	lines = append(lines,
		p.level("old tasks", dim, most, func(at gantt.Point) float64 { return float64(at.Old) }, count),
		p.level("new tasks", fresh, most, func(at gantt.Point) float64 { return float64(at.New) }, count),
		p.axis())
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = l.cut(max(v.Width, minWidth), p.g.more).paint(v.Color)
	}
	return out
}

// planPage lays one picture out.
type planPage struct {
	PlanView
	g     glyphs
	cells int
}

// column is where a time is drawn.
func (p planPage) column(at time.Duration) int {
	return min(int(p.Chart.Axis.Place(at)*float64(p.cells)), p.cells-1)
}

// cell is one column of a row.
type cell struct {
	text  string
	style style
}

// row draws a stage: its bars, what of them bakes, the weight of a traffic step, and a mark for each hook and pause.
func (p planPage) row(r gantt.Row) line {
	cells := make([]cell, p.cells)
	for i := range cells {
		cells[i] = cell{" ", plain}
	}
	for _, b := range r.Bars {
		p.bar(cells, b)
	}
	for _, m := range r.Marks {
		mark := cell{"*", careful}
		if m.Pause {
			mark.text = p.g.waiting
		}
		cells[p.column(m.At)] = mark
	}
	l := line{}.add(r.Name, plain).pad(planLabels)
	for i := 0; i < len(cells); {
		j := i
		var b strings.Builder
		for ; j < len(cells) && cells[j].style == cells[i].style; j++ {
			b.WriteString(cells[j].text)
		}
		l = l.add(b.String(), cells[i].style)
		i = j
	}
	return l
}

func (p planPage) bar(cells []cell, b gantt.Bar) {
	from, to := p.column(b.Start), p.column(b.End)
	bakeFrom, bakeTo := p.column(b.BakeStart), p.column(b.BakeEnd)
	switch {
	case b.Open:
		to = len(cells)
	case to <= from: // a moment
		cells[from] = cell{p.g.now, fresh}
		return
	}
	for i := from; i < to; i++ {
		switch {
		case b.Open:
			cells[i] = cell{p.g.empty, bad}
		case i >= bakeFrom && i < bakeTo:
			cells[i] = cell{p.g.half, good}
		default:
			cells[i] = cell{p.g.full, fresh}
		}
	}
	if label := []rune(" " + words.Percent(b.Weight) + " "); b.Step > 0 && len(label)+2 < to-from {
		for i, c := range label {
			cells[from+1+i] = cell{string(c), plain}
		}
	}
}

// level draws how high something is at each time, and ends with what it ends at.
func (p planPage) level(name string, st style, most float64, of func(gantt.Point) float64, say func(float64) string) line {
	heights := []string{" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"}
	if p.ASCII {
		heights = []string{" ", "1", "2", "3", "4", "5", "6", "7", "8"}
	}
	values := make([]float64, p.cells)
	for _, at := range p.Chart.Points {
		for i := p.column(at.At); i < p.cells; i++ {
			values[i] = of(at)
		}
	}
	var b strings.Builder
	highest := 0.0
	for _, v := range values {
		n := int(v / most * 8)
		if v > 0 && n == 0 {
			n = 1
		}
		highest = max(highest, v)
		b.WriteString(heights[min(n, 8)])
	}
	return line{}.add(name, plain).add("  at most "+say(highest), dim).pad(planLabels).add(b.String(), st)
}

// axis names the moments below the picture.
func (p planPage) axis() line {
	text := []rune(strings.Repeat(" ", p.cells+8))
	for _, at := range p.Chart.Axis.Ticks(float64(p.cells), 9) {
		label := gantt.Length(at)
		from := min(p.column(at), p.cells-len(label))
		copy(text[max(0, from):], []rune(label))
	}
	name := "expected time"
	if len(p.Chart.Axis.Breaks) > 0 {
		name += " (not to scale)"
	}
	return line{}.add(name, dim).pad(planLabels).add(strings.TrimRight(string(text), " "), dim)
}
