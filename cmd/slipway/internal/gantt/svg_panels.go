package gantt

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/slipway-deploy/slipway/cmd/slipway/internal/words"
)

// traffic draws the weight of production and of test traffic on the new revision.
func (s *svg) traffic() {
	s.panel("traffic on the new revision", trafficY)
	y := func(p float64) float64 { return s.y + trafficY*(1-p/100) }
	for _, p := range []float64{0, 50, 100} {
		fmt.Fprintf(&s.b, `<path class="grid" d="M%.1f %.1fh%g"/>`+"\n", margin+labelWidth, y(p), plotWidth)
		s.text(margin+labelWidth-8, y(p)+4, "small soft", "end", words.Percent(p))
	}
	if s.Tests {
		fmt.Fprintf(&s.b, `<path class="test" d="%s"/>`+"\n", s.stairs(y, func(p Point) float64 { return p.Test }))
	}
	fmt.Fprintf(&s.b, `<path class="weight" d="%s"/>`+"\n", s.stairs(y, func(p Point) float64 { return p.Production }))
	lastX := 0.0
	weight := 0.0
	for _, p := range s.Points {
		x := s.x(p.At)
		if p.Production != weight && p.Production < 100 && x-lastX > 34 {
			s.text(x+4, y(p.Production)-5, "small", "start", words.Percent(p.Production))
			lastX = x
		}
		weight = p.Production
	}
	s.y += trafficY + panelGap
}

// panel begins a panel of the height.
func (s *svg) panel(name string, height float64) {
	s.rect(margin+labelWidth, s.y, plotWidth, height, 0, "panel")
	s.text(margin, s.y+height/2+4, "", "start", name)
}

// stairs is a line that stays as it is from each point to the next.
func (s *svg) stairs(y func(float64) float64, of func(Point) float64) string {
	var path strings.Builder
	fmt.Fprintf(&path, "M%.1f %.1f", margin+labelWidth, y(0))
	for _, p := range s.Points {
		fmt.Fprintf(&path, "H%.1fV%.1f", s.x(p.At), y(of(p)))
	}
	fmt.Fprintf(&path, "H%.1f", margin+labelWidth+plotWidth)
	return path.String()
}

// capacity draws the tasks of both revisions, one on the other.
func (s *svg) capacity() {
	s.panel("tasks", capacityY)
	most := float64(max(s.Peak, s.Upper, 1))
	y := func(n float64) float64 { return s.y + capacityY*(1-n/most) }
	s.area("old", y, func(Point) float64 { return 0 }, func(p Point) float64 { return float64(p.Old) })
	s.area("new", y, func(p Point) float64 { return float64(p.Old) }, func(p Point) float64 { return float64(p.Old + p.New) })
	labels := map[int]string{0: "0", s.Peak: strconv.Itoa(s.Peak)}
	if s.Upper > 0 {
		labels[s.Upper] = fmt.Sprintf("at most %d", s.Upper)
		labels[s.Lower] = fmt.Sprintf("at least %d", s.Lower)
		if s.Lower == s.Upper {
			labels[s.Lower] = fmt.Sprintf("exactly %d", s.Lower)
		}
	}
	for _, n := range slices.Sorted(maps.Keys(labels)) {
		s.text(margin+labelWidth-8, y(float64(n))+4, "small soft", "end", labels[n])
		if s.Upper > 0 && (n == s.Upper || n == s.Lower) {
			fmt.Fprintf(&s.b, `<path class="limit" d="M%.1f %.1fh%g"/>`+"\n", margin+labelWidth, y(float64(n)), plotWidth)
		}
	}
	s.y += capacityY
}

// area fills what is between two lines.
func (s *svg) area(class string, y func(float64) float64, low, high func(Point) float64) {
	if len(s.Points) == 0 {
		return
	}
	end := margin + labelWidth + plotWidth
	var path strings.Builder
	first := s.Points[0]
	fmt.Fprintf(&path, "M%.1f %.1f", s.x(0), y(high(first)))
	for _, p := range s.Points {
		fmt.Fprintf(&path, "H%.1fV%.1f", s.x(p.At), y(high(p)))
	}
	fmt.Fprintf(&path, "H%.1fV%.1f", end, y(low(s.Points[len(s.Points)-1])))
	for i, p := range slices.Backward(s.Points) {
		before := s.Points[max(0, i-1)]
		fmt.Fprintf(&path, "H%.1fV%.1f", s.x(p.At), y(low(before)))
	}
	fmt.Fprintf(&path, "H%.1fz", s.x(0))
	fmt.Fprintf(&s.b, `<path class="%s" d="%s"/>`+"\n", class, path.String())
}

// grid draws a line at each moment that the axis names.
func (s *svg) grid(top, bottom float64) {
	for _, at := range s.Axis.Ticks(plotWidth, tickGap) {
		fmt.Fprintf(&s.b, `<path class="grid" d="M%.1f %.1fV%.1f"/>`+"\n", s.x(at), top, bottom)
	}
}

// axis names the moments, and marks what is drawn shorter than it is.
func (s *svg) axis() {
	s.y += 18
	for _, at := range s.Axis.Ticks(plotWidth, tickGap) {
		s.text(s.x(at), s.y, "small soft", "middle", Length(at))
	}
	s.text(margin, s.y, "soft", "start", "expected time from the beginning")
	for _, b := range s.Axis.Breaks {
		x := (s.x(b.From) + s.x(b.To)) / 2
		fmt.Fprintf(&s.b, `<path class="break" d="M%.1f %.1fl4 -10m3 10l4 -10"/>`+"\n", x-5, s.y)
	}
	s.y += 28
}

// legend says what each color and mark is that is there.
func (s *svg) legend() {
	x := margin + labelWidth
	item := func(there bool, width float64, name string, draw func(x float64)) {
		if there {
			draw(x)
			s.text(x+26, s.y, "small soft", "start", name)
			x += width
		}
	}
	swatch := func(class string) func(float64) {
		return func(x float64) { s.rect(x, s.y-9, 20, 10, 2, class) }
	}
	var bakes, hooks, pauses bool
	for _, row := range s.Rows {
		bakes = bakes || slices.ContainsFunc(row.Bars, func(b Bar) bool { return b.BakeEnd > b.BakeStart })
		hooks = hooks || slices.ContainsFunc(row.Marks, func(m Mark) bool { return !m.Pause })
		pauses = pauses || slices.ContainsFunc(row.Marks, func(m Mark) bool { return m.Pause })
	}
	item(true, 92, "old tasks", swatch("old"))
	item(true, 92, "new tasks", swatch("new"))
	item(bakes, 100, "bake time", swatch("bake"))
	item(true, 138, "production traffic", func(x float64) { fmt.Fprintf(&s.b, `<path class="weight" d="M%.1f %.1fh20"/>`+"\n", x, s.y-4) })
	item(s.Tests, 104, "test traffic", func(x float64) { fmt.Fprintf(&s.b, `<path class="test" d="M%.1f %.1fh20"/>`+"\n", x, s.y-4) })
	item(hooks, 66, "hook", func(x float64) {
		fmt.Fprintf(&s.b, `<circle cx="%.1f" cy="%.1f" r="5" class="hook"/>`+"\n", x+12, s.y-4)
	})
	item(pauses, 72, "pause", func(x float64) {
		s.rect(x+7, s.y-10, 3.5, 12, 1, "pause")
		s.rect(x+13.5, s.y-10, 3.5, 12, 1, "pause")
	})
	item(len(s.Axis.Breaks) > 0, 140, "drawn shorter", func(x float64) {
		fmt.Fprintf(&s.b, `<path class="break" d="M%.1f %.1fl4 -10m3 10l4 -10"/>`+"\n", x+7, s.y+1)
	})
	s.y += 30
}

// notes writes sentences below the chart.
func (s *svg) notes(list []Note) {
	if s.Why != "" {
		list = append([]Note{{Text: "it would not move: " + s.Why}}, list...)
	}
	for _, n := range list {
		s.text(margin, s.y, "head small", "start", shorten(n.Text, 180))
		s.y += noteHeight
		for _, item := range n.Items {
			s.text(margin+14, s.y, "small soft", "start", "· "+shorten(item, 180))
			s.y += noteHeight - 1
		}
		s.y += 4
	}
}

// Length is a time as it is read off the axis, in as many figures as help: "40ms", "10.5s", "5m", "1h2m30s".
func Length(d time.Duration) string {
	switch {
	case d >= time.Minute:
		d = d.Round(time.Second)
	case d >= time.Second:
		d = d.Round(100 * time.Millisecond)
	default:
		d = d.Round(time.Millisecond)
	}
	return words.Length(durationpb.New(d))
}
