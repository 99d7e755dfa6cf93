package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/slipway-deploy/slipway/cmd/slipway/internal/live"
	"github.com/slipway-deploy/slipway/cmd/slipway/internal/screen"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

// viewer returns how a deployment is shown: redrawn on a terminal, else line by line; with -o json or yaml each
// answer on its own, or lines beside the output when only the end is wanted there.
func (c *cli) viewer(d *orchestratorpb.Deployment, f following) viewer {
	switch {
	case c.output != "table" && f.each:
		return &answerViewer{cli: c}
	case c.output != "table":
		return newLineViewer(c, c.err, d)
	case c.interactive():
		return newScreenViewer(c, d)
	}
	return newLineViewer(c, c.out, d)
}

// answerViewer writes each answer.
type answerViewer struct{ cli *cli }

func (v *answerViewer) update(r *orchestratorpb.WatchDeploymentResponse) error { return v.cli.item(r) }
func (v *answerViewer) lost(error)                                             {}
func (v *answerViewer) tick() error                                            { return nil }
func (v *answerViewer) close() error                                           { return nil }

// lineViewer writes a line for each event.
type lineViewer struct {
	cli   *cli
	out   io.Writer
	lines live.Lines
	last  *orchestratorpb.Deployment
	down  bool
}

func newLineViewer(c *cli, out io.Writer, d *orchestratorpb.Deployment) *lineViewer {
	fmt.Fprintln(out, begun(d))
	return &lineViewer{cli: c, out: out, last: d}
}

func (v *lineViewer) update(r *orchestratorpb.WatchDeploymentResponse) error {
	if v.down {
		v.down = false
		fmt.Fprintln(v.cli.err, "connected again")
	}
	v.last = r.GetDeployment()
	for _, e := range r.GetEvents() {
		if _, err := fmt.Fprintln(v.out, v.lines.Event(v.last, e, v.cli.now().Location())); err != nil {
			return err
		}
	}
	return nil
}

func (v *lineViewer) lost(err error) {
	if !v.down {
		v.down = true
		fmt.Fprintln(v.cli.err, v.cli.trouble(err))
	}
}

func (v *lineViewer) tick() error {
	if v.down {
		return nil
	}
	for _, l := range v.lines.Waits(v.last, v.cli.now()) {
		if _, err := fmt.Fprintln(v.out, l); err != nil {
			return err
		}
	}
	return nil
}

func (v *lineViewer) close() error { return nil }

// trouble is a line about a lost connection.
func (c *cli) trouble(err error) string {
	text := strings.TrimPrefix(c.explainer().Lines(err)[0], "error: ")
	text, _, _ = strings.Cut(text, "; ") // how to mend it is told when it is given up
	return "connection lost: " + text + "; trying again"
}

// screenViewer redraws the view on a terminal.
type screenViewer struct {
	cli       *cli
	screen    *screen.Screen
	view      live.View
	resized   <-chan os.Signal
	suspended <-chan os.Signal
	stop      func()
	drawn     string
	drawnAt   time.Time
}

func newScreenViewer(c *cli, d *orchestratorpb.Deployment) *screenViewer {
	v := &screenViewer{cli: c, screen: screen.Open(c.out), view: live.View{
		Deployment: d, Color: c.color(), ASCII: c.ascii(),
		Hint: "Ctrl-C leaves this view; the deployment goes on",
	}}
	v.resized, v.suspended, v.stop = screen.Signals()
	return v
}

func (v *screenViewer) update(r *orchestratorpb.WatchDeploymentResponse) error {
	v.view.Deployment, v.view.Notice = r.GetDeployment(), ""
	v.view.Events = append(v.view.Events, r.GetEvents()...)
	if extra := len(v.view.Events) - 100; extra > 0 { // more than any view shows
		v.view.Events = v.view.Events[extra:]
	}
	return nil // drawn at the next tick: many answers, one picture
}

func (v *screenViewer) lost(err error) { v.view.Notice = v.cli.trouble(err) }

func (v *screenViewer) tick() error {
	select {
	case <-v.resized:
		v.drawn = ""
	case <-v.suspended:
		v.screen.Suspend()
		v.drawn = ""
	default:
	}
	v.size()
	v.view.Now = v.cli.now()
	lines := live.Render(v.view)
	text := strings.Join(lines, "\n")
	// What keys echo onto the screen is drawn over once a second.
	if text == v.drawn && v.view.Now.Sub(v.drawnAt) < time.Second {
		return nil
	}
	v.drawn, v.drawnAt = text, v.view.Now
	return v.screen.Draw(lines)
}

// size takes the terminal's size in. The last column stays free: what clears the rest of a line would clear it.
func (v *screenViewer) size() {
	width, height, _ := v.cli.size()
	v.view.Width, v.view.Height = width-1, height
}

// close gives the terminal back and leaves the last picture, whole, where the command was typed.
func (v *screenViewer) close() error {
	v.stop()
	v.screen.Close()
	v.size()
	v.view.Height, v.view.Hint, v.view.Notice, v.view.Now = 0, "", "", v.cli.now()
	_, err := fmt.Fprintln(v.cli.out, strings.Join(live.Render(v.view), "\n"))
	return err
}

// ascii reports whether the locale says that the terminal shows no Unicode.
func (c *cli) ascii() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if value := strings.ToUpper(c.env(name)); value != "" {
			return !strings.Contains(value, "UTF-8") && !strings.Contains(value, "UTF8")
		}
	}
	return false
}
