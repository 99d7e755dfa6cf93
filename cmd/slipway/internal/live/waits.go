package live

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/slipway-deploy/slipway/cmd/slipway/internal/words"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

// hooks shows the hooks of the present stage.
func (p page) hooks() []line {
	var out []line
	for _, h := range p.Deployment.GetLifecycleHooks() {
		mark, st := p.hookMark(h.GetStatus())
		name := words.Clean(h.GetHook())
		if name == "" {
			name = "pause " + words.Clean(h.GetHookId())
		}
		l := line{}.add("  "+mark+" ", st).add(name, plain).add("  "+words.Enum(h.GetLifecycleStage()), dim).add("  "+words.Enum(h.GetStatus()), st)
		if h.GetQuorum() > 1 {
			l = l.add(fmt.Sprintf("  %d of %d people", len(h.GetApprovers()), h.GetQuorum()), dim)
		}
		if reason := words.Clean(h.GetReason()); reason != "" {
			l = l.add("  "+reason, plain)
		}
		out = append(out, l)
	}
	return titled("Hooks", out)
}

func (p page) hookMark(s orchestratorpb.LifecycleHookStatus_Status) (string, style) {
	switch s {
	case orchestratorpb.LifecycleHookStatus_STATUS_SUCCEEDED:
		return p.g.done, good
	case orchestratorpb.LifecycleHookStatus_STATUS_FAILED, orchestratorpb.LifecycleHookStatus_STATUS_TIMED_OUT:
		return p.g.failed, bad
	case orchestratorpb.LifecycleHookStatus_STATUS_AWAITING_ACTION:
		return p.g.waiting, careful
	}
	return p.g.now, fresh
}

// alarms shows the alarms that the deployment looks at, below each other or in one line.
func (p page) alarms(each bool) []line {
	a := p.Deployment.GetAlarms()
	var out []line
	row := line{}.add("Alarms", bold)
	for _, name := range a.GetAlarmNames() {
		l := line{}.add("  "+p.g.done+" ", good).add(words.Clean(name), plain)
		switch {
		case slices.Contains(a.GetTriggeredAlarmNames(), name):
			l = line{}.add("  "+p.g.failed+" ", bad).add(words.Clean(name)+"  ALARM", bad)
		case a.GetStatus() == orchestratorpb.TaskFailures_STATUS_DISABLED:
			l = line{}.add("  "+p.g.skipped+" ", dim).add(words.Clean(name)+"  not looked at", dim)
		}
		out, row = append(out, l), append(row, l...)
	}
	if !each && len(out) > 0 {
		return []line{row}
	}
	return titled("Alarms", out)
}

// waits shows what the deployment waits for: what, since when, until when, and what then.
func (p page) waits() []line {
	var out []line
	for _, c := range p.Deployment.GetConditions() {
		for i, s := range wrap(words.Clean(c.GetMessage()), p.Width-4, 2) {
			mark := "    "
			if i == 0 {
				mark = "  " + p.g.waiting + " "
			}
			out = append(out, line{}.add(mark, careful).add(s, plain))
		}
		if limits := Limits(c, p.Now); limits != "" {
			out = append(out, line{}.add("    "+limits, dim))
		}
		if c.GetType() == orchestratorpb.Condition_TYPE_CONTINUE {
			out = append(out, text("    go on with: slipway continue "+words.Clean(p.Deployment.GetId())))
		}
	}
	return titled("Waiting", out)
}

// Limits says of a wait since when it is, until when at most, and what happens then.
func Limits(c *orchestratorpb.Condition, now time.Time) string {
	var parts []string
	if since := c.GetSinceTime(); since != nil {
		parts = append(parts, "since "+words.Took(now.Sub(since.AsTime())))
	}
	if until := c.GetUntilTime(); until != nil {
		parts = append(parts, "until "+words.Time(until, now, now.Location())+" ("+countdown(until, now)+")")
		if then := words.Sentence(c.GetThen()); then != "" {
			parts = append(parts, "then "+then)
		}
	}
	return strings.Join(parts, ", ")
}

func countdown(until *timestamppb.Timestamp, now time.Time) string {
	left := until.AsTime().Sub(now)
	if left <= 0 {
		return "now"
	}
	return "in " + words.Took(left)
}

// events shows the last events.
func (p page) events(count int) []line {
	list := p.Events[max(0, len(p.Events)-count):]
	longest := 0
	for _, e := range list {
		longest = max(longest, width(p.time(e)))
	}
	var out []line
	for _, e := range list {
		l := line{}.add("  "+p.time(e), dim).pad(2 + longest + 2)
		l = l.add(words.Since(e.GetTime().AsTime().Sub(words.Begin(p.Deployment))), dim).pad(2 + longest + 2 + 9)
		out = append(out, l.add(eventText(e), eventStyle(e)))
	}
	return titled("Events", out)
}

func (p page) time(e *orchestratorpb.Event) string {
	return words.Time(e.GetTime(), p.Now, p.Now.Location())
}

func eventStyle(e *orchestratorpb.Event) style {
	switch e.GetType() {
	case orchestratorpb.Event_TYPE_ERROR:
		return bad
	case orchestratorpb.Event_TYPE_WARN:
		return careful
	}
	return plain
}

// titled puts a title over a section that has lines.
func titled(title string, lines []line) []line {
	if len(lines) == 0 {
		return nil
	}
	return append([]line{line{}.add(title, bold)}, lines...)
}
