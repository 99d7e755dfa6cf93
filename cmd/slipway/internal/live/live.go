// Package live renders a deployment for people: the view that is redrawn while it goes on, and one line for each
// event where no terminal is. Rendering is a pure function of what is shown, the time and the width: it reads no
// clock, asks no terminal and calls no server.
package live

import (
	"time"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

// View is all that a rendered view depends on.
type View struct {
	// Deployment is the deployment as it was last seen; nil before the first answer.
	Deployment *orchestratorpb.Deployment
	// Events are its events, oldest first.
	Events []*orchestratorpb.Event
	// Now is the time to count from and to; its location is that of the times shown.
	Now time.Time
	// Width is the terminal's in columns. Lines are cut to it.
	Width int
	// Height is the terminal's in lines; the view gives up detail until it fits. 0 means without bound.
	Height int
	// Notice is a line of its own below the header, e.g. that the connection is lost; may be empty.
	Notice string
	// Hint is the last line, e.g. how to leave; may be empty.
	Hint string
	// Color allows escape sequences for colors.
	Color bool
	// ASCII forbids characters outside ASCII in what the view draws itself.
	ASCII bool
}

// detail is how much of each section is shown.
type detail struct {
	events int
	each   bool // a line for each stage and alarm, not one for many
	blank  bool // blank lines between sections
}

// details goes from all to least. Render takes the first that fits.
func details() []detail {
	return []detail{
		{10, true, true},
		{6, true, true},
		{4, true, true},
		{4, true, false},
		{8, false, true},
		{5, false, true},
		{3, false, true},
		{5, false, false},
		{3, false, false},
		{1, false, false},
	}
}

// minWidth is the least width that the view is laid out for; narrower terminals cut its lines.
const minWidth = 40

// Render returns the view's lines, none wider than v.Width and no more than v.Height.
func Render(v View) []string {
	p := page{View: v, g: glyphsFor(v.ASCII)}
	p.Width = max(v.Width, minWidth)
	var lines []line
	for _, d := range details() {
		lines = p.lines(d)
		if v.Height == 0 || len(lines) <= v.Height {
			break
		}
	}
	if v.Height > 0 && len(lines) > v.Height {
		lines = lines[:v.Height]
	}
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = l.cut(v.Width, p.g.more).paint(v.Color)
	}
	return out
}

// page lays one view out.
type page struct {
	View
	g glyphs
}

func (p page) lines(d detail) []line {
	if p.Deployment == nil {
		return join(false, []line{text("waiting for the deployment")}, p.notice(), p.hint())
	}
	return join(d.blank,
		append(p.header(), p.notice()...),
		p.stages(d.each),
		p.waits(),
		p.traffic(),
		p.tasks(),
		p.hooks(),
		p.alarms(d.each),
		p.events(d.events),
		p.hint(),
	)
}

// join puts sections one below the other, with a blank line between them if wanted. Empty sections are left out.
func join(blank bool, sections ...[]line) []line {
	var out []line
	for _, s := range sections {
		if len(s) == 0 {
			continue
		}
		if blank && len(out) > 0 {
			out = append(out, line{})
		}
		out = append(out, s...)
	}
	return out
}

func (p page) notice() []line {
	if p.Notice == "" {
		return nil
	}
	return []line{line{}.add(p.Notice, careful)}
}

func (p page) hint() []line {
	if p.Hint == "" {
		return nil
	}
	return []line{line{}.add(p.Hint, dim)}
}
