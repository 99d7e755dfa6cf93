package live

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/slipway-deploy/slipway/cmd/slipway/internal/words"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

// labels is the width of the column with the names of listeners.
const labels = 12

// traffic shows, for each listener, which share goes to which task set.
func (p page) traffic() []line {
	sets := p.Deployment.GetTaskSets()
	if !slices.ContainsFunc(sets, func(s *orchestratorpb.TaskSet) bool { return s.GetTargetGroup() != "" }) {
		return nil
	}
	out := []line{line{}.add("Traffic", bold)}
	out = append(out, p.listener("production", (*orchestratorpb.TaskSet).GetProductionTrafficWeight)...)
	if slices.ContainsFunc(sets, func(s *orchestratorpb.TaskSet) bool { return s.GetTestTrafficWeight() > 0 }) {
		out = append(out, p.listener("test", (*orchestratorpb.TaskSet).GetTestTrafficWeight)...)
	}
	return out
}

func (p page) listener(name string, weight func(*orchestratorpb.TaskSet) float64) []line {
	var out []line
	for _, s := range p.Deployment.GetTaskSets() {
		if name == "test" && weight(s) == 0 {
			continue
		}
		l := line{}.add("  "+name, plain).pad(2 + labels)
		name = "" // once for each listener
		set := words.Clean(s.GetTaskDefinition() + " " + s.GetTargetGroup())
		l = l.add(p.tail(set, p.names()), plain).pad(2 + labels + p.names() + 1)
		out = append(out, append(l, p.share(weight(s), p.setStyle(s))...))
	}
	return out
}

// share is a bar of a percent, and the percent.
func (p page) share(percent float64, st style) line {
	cells := p.Width - 2 - labels - p.names() - 1 - 8
	full := int(math.Round(percent / 100 * float64(cells)))
	if percent > 0 {
		full = max(full, 1) // a share of traffic is never drawn as none
	}
	if percent < 100 {
		full = min(full, cells-1)
	}
	return line{}.
		add(strings.Repeat(p.g.full, max(0, full)), st).
		add(strings.Repeat(p.g.empty, max(0, cells-full)), dim).
		add(fmt.Sprintf(" %7s", words.Percent(percent)), plain)
}

// names is the width of the column that names task definition and target group.
func (p page) names() int {
	longest := 0
	for _, s := range p.Deployment.GetTaskSets() {
		longest = max(longest, width(words.Clean(s.GetTaskDefinition()+" "+s.GetTargetGroup())))
	}
	return min(longest, p.Width/2-labels)
}

// tail is the text, or as much of its end as fits: what tells revisions and target groups apart stands there.
func (p page) tail(s string, limit int) string {
	if width(s) <= limit {
		return s
	}
	for i := range s {
		if i > 0 && width(s[i:])+width(p.g.more) <= limit {
			return p.g.more + s[i:]
		}
	}
	return p.g.more
}

// setStyle tells the new revision's task set from the old ones.
func (p page) setStyle(s *orchestratorpb.TaskSet) style {
	if s.GetServiceRevision() == p.Deployment.GetTargetServiceRevision().GetId() {
		return fresh
	}
	return plain
}

// tasks shows each task set's tasks, and the count of failed ones.
func (p page) tasks() []line {
	sets := p.Deployment.GetTaskSets()
	if len(sets) == 0 {
		return nil
	}
	out := []line{line{}.add("Tasks", bold).add(p.failures())}
	column := labels - 1
	for _, s := range sets {
		column = min(max(column, width(words.Clean(s.GetTaskDefinition()))), p.Width/3)
	}
	for _, s := range sets {
		l := line{}.add("  "+p.tail(words.Clean(s.GetTaskDefinition()), column), plain).pad(3 + column)
		l = append(l, p.taskBar(s)...)
		out = append(out, append(l, p.counts(s)...))
	}
	return out
}

// maxCells is how many tasks are drawn with a cell for each; more are drawn to scale.
const maxCells = 24

func (p page) taskBar(s *orchestratorpb.TaskSet) line {
	healthy := int(s.GetHealthyCount())
	waiting := max(0, int(s.GetRunningCount())-healthy)
	pending := int(s.GetPendingCount())
	total := max(int(s.GetDesiredCount()), healthy+waiting+pending)
	cells := min(total, maxCells, max(4, p.Width/4))
	scale := func(n int) int {
		if total == 0 {
			return 0
		}
		return n * cells / total
	}
	a, b, c := scale(healthy), scale(healthy+waiting), scale(healthy+waiting+pending)
	return line{}.
		add(strings.Repeat(p.g.full, a), good).
		add(strings.Repeat(p.g.half, b-a), careful).
		add(strings.Repeat(p.g.empty, c-b), plain).
		add(strings.Repeat(p.g.missing, cells-c), dim).
		add(strings.Repeat(" ", max(0, p.barWidth()-cells)+1), plain)
}

// barWidth is the longest bar's, so that the counts stand below each other.
func (p page) barWidth() int {
	longest := 0
	for _, s := range p.Deployment.GetTaskSets() {
		total := max(int(s.GetDesiredCount()), int(max(s.GetHealthyCount(), s.GetRunningCount())+s.GetPendingCount()))
		longest = max(longest, min(total, maxCells, max(4, p.Width/4)))
	}
	return longest
}

func (p page) counts(s *orchestratorpb.TaskSet) line {
	l := line{}.add(" none desired", plain)
	if s.GetDesiredCount() > 0 {
		l = line{}.add(fmt.Sprintf(" %d of %d healthy", s.GetHealthyCount(), s.GetDesiredCount()), plain)
	}
	l = l.add(fmt.Sprintf(", %d running", s.GetRunningCount()), plain)
	if n := s.GetPendingCount(); n > 0 {
		l = l.add(fmt.Sprintf(", %d pending", n), plain)
	}
	if n := s.GetDrainingCount(); n > 0 {
		l = l.add(fmt.Sprintf(", %d draining", n), careful)
	}
	return l
}

// failures is the count of failed tasks beside the threshold that fails the deployment.
func (p page) failures() (string, style) {
	f := p.Deployment.GetTaskFailures()
	st := dim
	switch {
	case f.GetStatus() == orchestratorpb.TaskFailures_STATUS_TRIGGERED:
		st = bad
	case f.GetFailureCount() > 0:
		st = careful
	}
	switch {
	case f.GetThreshold() > 0:
		return fmt.Sprintf("  %d failed, %d fail the deployment", f.GetFailureCount(), f.GetThreshold()), st
	case f.GetFailureCount() > 0:
		return fmt.Sprintf("  %d failed", f.GetFailureCount()), st
	}
	return "", plain
}
