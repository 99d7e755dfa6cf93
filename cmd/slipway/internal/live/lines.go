package live

import (
	"fmt"
	"strings"
	"time"

	"github.com/slipway-deploy/slipway/cmd/slipway/internal/words"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

// stageStarted is the name of the event that a stage began.
const stageStarted = "LIFECYCLE_STAGE_STARTED"

// eventText is what happened, in words.
func eventText(e *orchestratorpb.Event) string {
	reason := words.Clean(e.GetReason())
	if e.GetName() == stageStarted {
		reason = words.Clean(e.GetDetail()["lifecycleStage"]) + " begins"
		if step := e.GetDetail()["step"]; step != "" {
			reason += ", step " + words.Clean(step)
		}
	}
	if reason == "" {
		return words.Clean(e.GetName())
	}
	return reason
}

// Lines writes events one below the other for where no terminal is. It remembers the stage between events and what
// waits it has told. The zero value is ready.
type Lines struct {
	stage string
	told  map[string]bool
}

// Event is the line of one event: time of day in the location, time since the deployment began, stage (or, outside
// stages, the event's name) and what happened.
func (l *Lines) Event(d *orchestratorpb.Deployment, e *orchestratorpb.Event, place *time.Location) string {
	stage := e.GetDetail()["lifecycleStage"]
	if stage != "" {
		l.stage = stage
	}
	if stage = l.stage; stage == "" {
		stage = e.GetName()
	}
	text := eventText(e)
	if e.GetName() == stageStarted {
		text = strings.TrimPrefix(text, stage+" ")
	}
	switch e.GetType() {
	case orchestratorpb.Event_TYPE_WARN:
		text = "warning: " + text
	case orchestratorpb.Event_TYPE_ERROR:
		text = "error: " + text
	}
	return stamp(d, e.GetTime().AsTime(), place) + fmt.Sprintf("%-30s  %s", words.Clean(stage), text)
}

// patience is how long a wait lasts before it is worth a line.
const patience = 5 * time.Second

// Waits is a line for each wait that has lasted a while and was not told yet.
func (l *Lines) Waits(d *orchestratorpb.Deployment, now time.Time) []string {
	var out []string
	for _, c := range d.GetConditions() {
		since := c.GetSinceTime().AsTime()
		key := fmt.Sprint(c.GetType(), since)
		if l.told[key] || now.Sub(since) < patience {
			continue
		}
		if l.told == nil {
			l.told = map[string]bool{}
		}
		l.told[key] = true
		stage := words.Enum(d.GetLifecycleStage())
		if stage == "" {
			stage = words.Enum(c.GetType())
		}
		text := "waiting: " + words.Clean(c.GetMessage())
		if limits := Limits(c, now); limits != "" {
			text += " (" + limits + ")"
		}
		out = append(out, stamp(d, now, now.Location())+fmt.Sprintf("%-30s  %s", stage, text))
	}
	return out
}

// stamp is the beginning of each line.
func stamp(d *orchestratorpb.Deployment, at time.Time, place *time.Location) string {
	return fmt.Sprintf("%s %-8s ", at.In(place).Format(time.TimeOnly), words.Since(at.Sub(words.Begin(d))))
}
