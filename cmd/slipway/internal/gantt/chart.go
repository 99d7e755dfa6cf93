// Package gantt lays out the picture of a plan: its stages over time, the weight of production traffic, and the tasks of
// the old and the new revision. What it draws is a function of the plan alone.
package gantt

import (
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/slipway-deploy/slipway/cmd/slipway/internal/words"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

// Chart is a plan as it is drawn. Times are the expected ones, from the beginning of the deployment.
type Chart struct {
	Rows   []Row
	Points []Point
	Axis   Axis
	// Peak is the most tasks at once, and Lower and Upper the envelope of a rolling deployment; 0 when there is none.
	Peak, Lower, Upper int
	// Tests tells whether test traffic goes another way than production traffic.
	Tests bool
	// Open tells that the plan does not end, and Why, when it is known.
	Open bool
	Why  string
}

// Row is a lifecycle stage, with a bar for each time that it is gone through.
type Row struct {
	Name  string
	Bars  []Bar
	Marks []Mark
}

// Bar is a stage from its start to its end, which may be the same moment.
type Bar struct {
	Start, End time.Duration
	// BakeStart and BakeEnd are the same when nothing bakes.
	BakeStart, BakeEnd time.Duration
	Weight             float64 // percent of production traffic on the new revision, in a traffic step
	Step               int     // 0 outside traffic steps
	Open               bool
}

// Mark is a hook that is called, or a pause.
type Mark struct {
	At    time.Duration
	Name  string
	Pause bool
}

// Point is how traffic and tasks stand from a moment on.
type Point struct {
	At               time.Duration
	Production, Test float64 // percent on the new revision
	Old, New         int
}

// New lays a plan out.
func New(r *orchestratorpb.PlanDeploymentResponse) Chart {
	c := Chart{Peak: int(r.GetPeakTasks()), Open: r.GetExpectedDuration() == nil, Why: r.GetDeadlockReason()}
	if r.GetMaximumTasks() > 0 {
		c.Lower, c.Upper = int(r.GetMinimumHealthyTasks()), int(r.GetMaximumTasks())
	}
	var moments []time.Duration
	for _, s := range r.GetStages() {
		start, end := s.GetExpectedStartOffset().AsDuration(), s.GetExpectedEndOffset().AsDuration()
		moments = append(moments, start, end)
		row := c.row(StageName(s.GetLifecycleStage()))
		bake := s.GetBakeTime().AsDuration()
		bar := Bar{Start: start, End: end, BakeStart: start, BakeEnd: min(start+bake, end), Open: s.GetExpectedEndOffset() == nil}
		if s.GetLifecycleStage() == orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_PRODUCTION_TRAFFIC_SHIFT {
			bar.Step, bar.Weight = int(s.GetStep()), s.GetProductionTrafficWeight()
			bar.BakeStart, bar.BakeEnd = max(start, end-bake), end // its tasks start and its traffic moves before
		}
		row.Bars = append(row.Bars, bar)
		for _, call := range s.GetCalls() {
			mark := Mark{At: call.GetExpectedOffset().AsDuration(), Name: words.Clean(call.GetHook()), Pause: call.GetPause()}
			if mark.Pause {
				mark.Name = "pause"
			}
			moments = append(moments, mark.At)
			row.Marks = append(row.Marks, mark)
		}
	}
	for _, s := range r.GetSteps() {
		at := s.GetExpectedOffset().AsDuration()
		moments = append(moments, at)
		c.Tests = c.Tests || s.GetTestTrafficWeight() != s.GetProductionTrafficWeight()
		c.point(Point{at, s.GetProductionTrafficWeight(), s.GetTestTrafficWeight(), int(s.GetSourceTasks()), int(s.GetTargetTasks())})
	}
	c.Axis = newAxis(append(moments, duration(r.GetExpectedDuration())))
	return c
}

func duration(d *durationpb.Duration) time.Duration { return d.AsDuration() }

// row returns the row of the name, and makes it when there is none.
func (c *Chart) row(name string) *Row {
	i := slices.IndexFunc(c.Rows, func(r Row) bool { return r.Name == name })
	if i < 0 {
		c.Rows = append(c.Rows, Row{Name: name})
		i = len(c.Rows) - 1
	}
	return &c.Rows[i]
}

// point adds a point, unless nothing has changed since the last. Of several at one moment the tasks keep their most: what
// exists for an instant is part of the peak.
func (c *Chart) point(p Point) {
	if n := len(c.Points); n > 0 {
		last := c.Points[n-1]
		if last.Production == p.Production && last.Test == p.Test && last.Old == p.Old && last.New == p.New {
			return
		}
	}
	c.Points = append(c.Points, p)
}

// StageName is a stage's name; that of no stage is the rolling deployment's work.
func StageName(s orchestratorpb.LifecycleStage) string {
	if s == orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_UNSPECIFIED {
		return "rolling update"
	}
	return words.Enum(s)
}
