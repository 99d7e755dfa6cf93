package live

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

var rewrite = flag.Bool("rewrite", false, "write what is rendered into the golden files, for review in the diff")

// begin is when the deployments of testdata were created.
var begin = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

func load(t testing.TB, name string) *orchestratorpb.WatchDeploymentResponse {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	r := &orchestratorpb.WatchDeploymentResponse{}
	if err := protojson.Unmarshal(data, r); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return r
}

// golden compares with a file of testdata, or writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *rewrite {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; run the test with -rewrite", err)
	}
	if got != string(want) {
		t.Errorf("%s differs; run the test with -rewrite and look at the diff. Got:\n%s", file, got)
	}
}

func TestViews(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, from string
		after      time.Duration
		change     func(*View)
	}{
		{"canary", "canary", 19 * time.Second, func(*View) {}},
		{"canary_narrow", "canary", 19 * time.Second, func(v *View) { v.Width = 60 }},
		{"canary_24_lines", "canary", 19 * time.Second, func(v *View) { v.Height = 24 }},
		{"canary_12_lines", "canary", 19 * time.Second, func(v *View) { v.Height = 12 }},
		{"canary_color", "canary", 19 * time.Second, func(v *View) { v.Color = true }},
		{"canary_ascii", "canary", 19 * time.Second, func(v *View) { v.ASCII = true }},
		{"canary_next_day", "canary", 24 * time.Hour, func(v *View) { v.Notice = "connection lost; trying again" }},
		{"rollback", "rollback", 42 * time.Second, func(*View) {}},
		{"rolled_back", "rolled_back", time.Hour, func(v *View) { v.Hint = "" }},
		{"rolling", "rolling", 12 * time.Second, func(*View) {}},
		{"pause", "pause", 95 * time.Second, func(*View) {}},
		{"pending", "pending", 100 * time.Millisecond, func(*View) {}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := load(t, test.from)
			v := View{
				Deployment: r.GetDeployment(), Events: r.GetEvents(), Now: begin.Add(test.after), Width: 100,
				Hint: "Ctrl-C leaves this view; the deployment goes on",
			}
			test.change(&v)
			text := strings.Join(Render(v), "\n") + "\n"
			golden(t, test.name, strings.ReplaceAll(text, "\x1b", "␛"))
		})
	}
}

func TestEveryViewFitsEveryTerminal(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"canary", "rollback", "rolled_back", "rolling", "pause", "pending"} {
		r := load(t, name)
		for w := 1; w <= 200; w += 7 {
			for h := 1; h <= 60; h += 3 {
				v := View{Deployment: r.GetDeployment(), Events: r.GetEvents(), Now: begin.Add(time.Minute), Width: w, Height: h, Hint: "leave", Notice: "lost"}
				lines := Render(v)
				if len(lines) > h {
					t.Fatalf("%s at %dx%d has %d lines", name, w, h, len(lines))
				}
				for _, l := range lines {
					if width(l) > w {
						t.Fatalf("%s at %dx%d has a line of %d columns: %q", name, w, h, width(l), l)
					}
				}
			}
		}
	}
}

func TestAViewWithoutDeploymentSaysSo(t *testing.T) {
	t.Parallel()
	if got := Render(View{Now: begin, Width: 80, Notice: "no answer yet"}); len(got) != 2 || !strings.Contains(got[0], "waiting") {
		t.Errorf("got %q", got)
	}
}

func TestNoShareOfTrafficIsDrawnAsNoneOrAll(t *testing.T) {
	t.Parallel()
	p := page{View: View{Width: 80, Deployment: &orchestratorpb.Deployment{}}, g: glyphsFor(true)}
	for percent, want := range map[float64]string{0: "--", 0.1: "#-", 99.9: "#-", 100: "##"} {
		bar := p.share(percent, plain).paint(false)
		bar = bar[:strings.IndexByte(bar, ' ')]
		if got := bar[:1] + bar[len(bar)-1:]; got != want {
			t.Errorf("%v %% is drawn as %q", percent, bar)
		}
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"rolled_back", "rolling"} {
		r := load(t, name)
		var l Lines
		var b strings.Builder
		for _, e := range r.GetEvents() {
			fmt.Fprintln(&b, l.Event(r.GetDeployment(), e, time.UTC))
		}
		golden(t, "lines_"+name, b.String())
	}
}

func TestAWaitIsToldOnceAndNotAtOnce(t *testing.T) {
	t.Parallel()
	d := load(t, "canary").GetDeployment()
	var l Lines
	var got []string
	for second := 7; second < 30; second++ {
		got = append(got, l.Waits(d, begin.Add(time.Duration(second)*time.Second))...)
	}
	want := "12:00:12 +12.0s   PRODUCTION_TRAFFIC_SHIFT        waiting: the bake time of step 1 (30s) (since 5.0s, until 12:00:37 (in 25s), then the next step follows)"
	if len(got) != 1 || got[0] != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

func TestWhatHappensThenIsToldOnlyOfWaitsThatEnd(t *testing.T) {
	t.Parallel()
	c := load(t, "canary").GetDeployment().GetConditions()[0]
	if got := Limits(c, begin.Add(10*time.Second)); got != "since 3.0s, until 12:00:37 (in 27s), then the next step follows" {
		t.Errorf("got %q", got)
	}
	c.UntilTime = nil
	if got := Limits(c, begin.Add(10*time.Second)); got != "since 3.0s" {
		t.Errorf("without an end got %q", got)
	}
}
