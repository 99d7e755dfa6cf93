package gantt

import (
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

var rewrite = flag.Bool("rewrite", false, "write the pictures into the golden files, for review in the diff")

// plan reads a plan that a server answered.
func plan(t *testing.T, name string) *orchestratorpb.PlanDeploymentResponse {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	r := &orchestratorpb.PlanDeploymentResponse{}
	if err := protojson.Unmarshal(data, r); err != nil {
		t.Fatal(err)
	}
	return r
}

func wellFormed(text string) error {
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// Look at the pictures in a browser when a file changes.
func TestPictures(t *testing.T) {
	t.Parallel()
	for name, theme := range map[string]Theme{"steps": Auto, "rolling": Dark, "deadlock": Light} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := New(plan(t, name)).SVG(Picture{
				Title: "Plan <of> a deployment & more", Subtitle: "a \x1b[2Jsubtitle", Takes: "takes 1m", Theme: theme,
				Notes: []Note{{Text: "it is rolled back if", Items: []string{"3 tasks fail", strings.Repeat("long ", 60)}}},
			})
			if err := wellFormed(got); err != nil {
				t.Fatalf("%v in\n%s", err, got)
			}
			file := filepath.Join("testdata", name+".svg")
			if *rewrite {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil || string(want) != got {
				t.Errorf("%s differs (%v); run the test with -rewrite and look at it", file, err)
			}
		})
	}
}

func TestAChartHasWhatThePlanHas(t *testing.T) {
	t.Parallel()
	c := New(plan(t, "steps"))
	var names []string
	for _, row := range c.Rows {
		names = append(names, row.Name)
	}
	want := []string{
		"PRE_SCALE_UP", "SCALE_UP", "TEST_TRAFFIC_SHIFT", "POST_TEST_TRAFFIC_SHIFT", "PRODUCTION_TRAFFIC_SHIFT", "BAKE_TIME", "CLEAN_UP",
	}
	if !slices.Equal(names, want) {
		t.Errorf("rows %v, want %v", names, want)
	}
	shift := c.Rows[4]
	var weights []float64
	for _, b := range shift.Bars {
		weights = append(weights, b.Weight)
	}
	if !slices.Equal(weights, []float64{5, 25, 100}) || len(shift.Marks) != 4 || !slices.ContainsFunc(shift.Marks, func(m Mark) bool { return m.Pause }) {
		t.Errorf("%+v", shift)
	}
	last := c.Points[len(c.Points)-1]
	if last.Production != 100 || last.Old != 0 || last.New != 10 || c.Peak != 20 || !c.Tests || c.Open {
		t.Errorf("%+v, peak %d", last, c.Peak)
	}
	if c := New(plan(t, "deadlock")); !c.Open || c.Why == "" || !c.Rows[0].Bars[0].Open {
		t.Errorf("%+v", c)
	}
	if c := New(plan(t, "rolling")); c.Lower != 3 || c.Upper != 6 || c.Tests {
		t.Errorf("%+v", c)
	}
}

// Between its moments the axis is true to scale, but for a wait that would leave no room for the rest, which is marked.
func TestTheAxis(t *testing.T) {
	t.Parallel()
	even := newAxis([]time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, time.Minute})
	for at, want := range map[time.Duration]float64{
		-time.Second: 0, 0: 0, 30 * time.Second: 0.125, time.Minute: 0.25, 3 * time.Minute: 0.75, 4 * time.Minute: 1, time.Hour: 1,
	} {
		if got := even.Place(at); got != want {
			t.Errorf("%s is at %v, want %v", at, got, want)
		}
	}
	if len(even.Breaks) != 0 || even.End() != 4*time.Minute {
		t.Errorf("%+v", even)
	}
	long := newAxis([]time.Duration{time.Minute, 2 * time.Minute, 3 * time.Minute, 48 * time.Hour})
	if !slices.Equal(long.Breaks, []Break{{3 * time.Minute, 48 * time.Hour}}) || long.Place(3*time.Minute) < 0.3 {
		t.Errorf("%+v", long)
	}
	short := newAxis([]time.Duration{time.Millisecond, time.Hour, 2 * time.Hour})
	if short.Place(time.Millisecond) < 0.015 {
		t.Errorf("nothing is seen of the first millisecond: %+v", short)
	}
	if got := even.Ticks(100, 30); !slices.Equal(got, []time.Duration{0, 2 * time.Minute, 4 * time.Minute}) {
		t.Errorf("ticks %v", got)
	}
	if got := newAxis(nil); got.Place(0) != 0 || !slices.Equal(got.Ticks(100, 30), []time.Duration{0}) {
		t.Errorf("%+v", got)
	}
}
