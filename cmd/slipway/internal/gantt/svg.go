package gantt

import (
	"encoding/xml"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/slipway-deploy/slipway/cmd/slipway/internal/words"
)

// Picture is what a picture says beside the chart.
type Picture struct {
	Title    string
	Subtitle string
	Takes    string // at the right of the title
	Notes    []Note // below it
	Theme    Theme
}

// Note is a sentence with a list.
type Note struct {
	Text  string
	Items []string
}

// Theme is the colors of a picture.
type Theme string

// The themes. Auto follows the reader's preference.
const (
	Auto  Theme = "auto"
	Light Theme = "light"
	Dark  Theme = "dark"
)

// Measures of the picture, in pixels.
const (
	margin     = 28.0
	labelWidth = 236.0
	plotWidth  = 800.0
	tail       = 34.0 // after the last moment, to see how it stands in the end
	rowHeight  = 24.0
	barHeight  = 12.0
	panelGap   = 40.0
	trafficY   = 96.0  // height of the panel of traffic
	capacityY  = 110.0 // height of the panel of tasks
	noteHeight = 18.0
	tickGap    = 58.0 // least distance of two labels of the time axis
)

const (
	lightColors = `--bg:#ffffff;--panel:#f6f7f9;--ink:#1c2430;--soft:#5d6876;--line:#d9dee5;--new:#1f6feb;--newfill:#1f6feb;` +
		`--old:#8792a2;--oldfill:#aab3c0;--bake:#a9cbff;--test:#9a5bd6;--mark:#b35900;--bad:#c4302b`
	darkColors = `--bg:#12161c;--panel:#191f27;--ink:#e4e8ee;--soft:#98a3b3;--line:#2d3541;--new:#58a0ff;--newfill:#2f7de6;` +
		`--old:#8b96a6;--oldfill:#4c5767;--bake:#27486f;--test:#bd8bf0;--mark:#f0a04b;--bad:#ff7b72`
)

// svg writes the picture from top to bottom.
type svg struct {
	Chart
	b strings.Builder
	y float64
}

// SVG is the chart as a picture.
func (c Chart) SVG(p Picture) string {
	s := &svg{Chart: c}
	s.y = margin
	s.header(p)
	top := s.y
	s.stages()
	s.traffic()
	s.capacity()
	body := s.b.String()
	s.b.Reset()
	s.grid(top, s.y) // behind what stands on it
	grid := s.b.String()
	s.b.Reset()
	s.axis()
	s.legend()
	s.notes(p.Notes)
	rest := s.b.String()
	width, height := margin*2+labelWidth+plotWidth, s.y+margin-8
	var out strings.Builder
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" width="%g" height="%g" role="img" aria-label="%s">`+"\n",
		width, height, width, height, escape(p.Title))
	fmt.Fprintf(&out, "<title>%s</title>\n<style>\n%s</style>\n", escape(p.Title), style(p.Theme))
	fmt.Fprintf(&out, `<rect class="bg" width="100%%" height="100%%"/>`+"\n%s%s%s</svg>\n", grid, body, rest)
	return out.String()
}

func style(t Theme) string {
	colors := "svg{" + lightColors + "}\n"
	switch t {
	case Dark:
		colors = "svg{" + darkColors + "}\n"
	case Light:
	default:
		colors += "@media (prefers-color-scheme: dark){svg{" + darkColors + "}}\n"
	}
	return colors + `text{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif;font-size:12px;fill:var(--ink)}
.bg{fill:var(--bg)} .title{font-size:18px;font-weight:600} .soft{fill:var(--soft)} .panel{fill:var(--panel)}
.head{font-weight:600} .grid{stroke:var(--line)} .bar{fill:var(--new)} .bake{fill:var(--bake)} .open{fill:var(--bad)}
.weight{fill:none;stroke:var(--new);stroke-width:2} .test{fill:none;stroke:var(--test);stroke-width:1.5;stroke-dasharray:5 3}
.old{fill:var(--oldfill)} .new{fill:var(--newfill);fill-opacity:.72} .limit{fill:none;stroke:var(--soft);stroke-dasharray:2 3}
.hook{fill:var(--bg);stroke:var(--mark);stroke-width:2} .pause{fill:var(--mark)} .break{stroke:var(--soft);stroke-width:1.5;fill:none}
.bad{fill:var(--bad)} .small{font-size:11px}
`
}

func shorten(s string, limit int) string {
	if r := []rune(s); len(r) > limit {
		return string(r[:limit-1]) + "…"
	}
	return s
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(words.Clean(s))) // a strings.Builder takes everything
	return b.String()
}

// x is where a time is drawn.
func (s *svg) x(at time.Duration) float64 {
	return margin + labelWidth + s.Axis.Place(at)*(plotWidth-tail)
}

func (s *svg) text(x, y float64, class, anchor, text string) {
	fmt.Fprintf(&s.b, `<text x="%.1f" y="%.1f" class="%s" text-anchor="%s">%s</text>`+"\n", x, y, class, anchor, escape(text))
}

func (s *svg) rect(x, y, w, h, r float64, class string) {
	fmt.Fprintf(&s.b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="%g" class="%s"/>`+"\n", x, y, w, h, r, class)
}

func (s *svg) header(p Picture) {
	s.text(margin, s.y+16, "title", "start", p.Title)
	s.text(margin+labelWidth+plotWidth, s.y+16, "head", "end", p.Takes)
	s.text(margin, s.y+38, "soft", "start", shorten(p.Subtitle, 150))
	s.y += 62
}

// stages draws a row for each stage.
func (s *svg) stages() {
	for _, row := range s.Rows {
		middle := s.y + rowHeight/2
		s.text(margin, middle+4, "", "start", row.Name)
		for _, bar := range row.Bars {
			marked := slices.ContainsFunc(row.Marks, func(m Mark) bool { return m.At == bar.Start })
			if bar.End > bar.Start || bar.Open || !marked {
				s.bar(bar, middle)
			}
		}
		free := 0.0 // where a name may stand
		for _, mark := range row.Marks {
			free = s.mark(mark, middle, free)
		}
		s.y += rowHeight
	}
	s.y += panelGap - 12
}

func (s *svg) bar(bar Bar, middle float64) {
	x0, x1 := s.x(bar.Start), s.x(bar.End)
	top := middle - barHeight/2
	switch {
	case bar.Open:
		s.rect(s.x(bar.Start), top, margin+labelWidth+plotWidth-x0, barHeight, 3, "open")
		s.text(x0+8, middle+rowHeight, "bad", "start", "does not end by itself")
		return
	case x1-x0 < 4: // a moment
		fmt.Fprintf(&s.b, `<path class="bar" d="M%.1f %.1fl5 6l-5 6l-5 -6z"/>`+"\n", x0, middle-6)
	default:
		s.rect(x0, top, x1-x0-1.5, barHeight, 3, "bar") // a gap to what follows
		if b0, b1 := s.x(bar.BakeStart), s.x(bar.BakeEnd); b1-b0 > 3 {
			s.rect(b0, top, b1-b0-1.5, barHeight, 3, "bake")
		}
	}
	if label := words.Percent(bar.Weight); bar.Step > 0 && x1-x0 > 34 {
		s.text((x0+x1)/2, middle+4, "small", "middle", label)
	}
}

// mark draws a hook or a pause, and its name where there is room, and returns from where on there is room for another.
func (s *svg) mark(m Mark, middle, free float64) float64 {
	x := s.x(m.At)
	if m.Pause {
		s.rect(x-5, middle-6, 3.5, 12, 1, "pause")
		s.rect(x+1.5, middle-6, 3.5, 12, 1, "pause")
	} else {
		fmt.Fprintf(&s.b, `<circle cx="%.1f" cy="%.1f" r="5" class="hook"/>`+"\n", x, middle)
	}
	const letter = 6.5 // its width
	name := shorten(m.Name, 24)
	from, anchor, at := x+9, "start", x+9
	if x > margin+labelWidth+plotWidth-120 {
		from, anchor, at = x-9-letter*float64(len(name)), "end", x-9
	}
	if from < free {
		return free
	}
	s.text(at, middle-8, "small soft", anchor, name)
	return from + letter*float64(len(name))
}
