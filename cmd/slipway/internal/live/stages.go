package live

import (
	"fmt"
	"time"

	"github.com/slipway-deploy/slipway/cmd/slipway/internal/words"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

// rollingName stands for the work of a rolling deployment, which has no stage of its own in the contract.
const rollingName = "rolling update"

// stageName is a stage's name; that of no stage is the rolling deployment's work.
func stageName(s orchestratorpb.LifecycleStage) string {
	if s == orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_UNSPECIFIED {
		return rollingName
	}
	return words.Enum(s)
}

// stageRow is a stage with all the times it was gone through: the two of a traffic step come once for each step.
type stageRow struct {
	stage    orchestratorpb.LifecycleStage
	rollback bool
	step     int32
	took     time.Duration
	outcome  orchestratorpb.StageHistory_Outcome
	open     bool // it goes on
	come     bool // it is still to come
	reason   string
}

// stageRows is the history with the steps of a stage put together, and then what is to come.
func stageRows(d *orchestratorpb.Deployment, now time.Time) []stageRow {
	type key struct {
		stage    orchestratorpb.LifecycleStage
		rollback bool
	}
	var rows []stageRow
	at := map[key]int{}
	for _, h := range d.GetHistory() {
		k := key{h.GetLifecycleStage(), h.GetRollback()}
		i, ok := at[k]
		if !ok {
			i = len(rows)
			at[k] = i
			rows = append(rows, stageRow{stage: k.stage, rollback: k.rollback})
		}
		end := now
		if h.GetEndTime() != nil {
			end = h.GetEndTime().AsTime()
		}
		row := &rows[i]
		row.took += max(0, end.Sub(h.GetStartTime().AsTime()))
		row.step, row.outcome, row.reason = h.GetStep(), h.GetOutcome(), h.GetReason()
		row.open = h.GetEndTime() == nil && !words.Ended(d.GetState())
	}
	return append(rows, toCome(d)...)
}

// toCome is the stages after the last one that a deployment on its way forward has been in.
func toCome(d *orchestratorpb.Deployment) []stageRow {
	forward := d.GetState() == orchestratorpb.Deployment_STATE_PENDING || d.GetState() == orchestratorpb.Deployment_STATE_IN_PROGRESS
	if !forward {
		return nil
	}
	last := orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_UNSPECIFIED
	for _, h := range d.GetHistory() {
		last = max(last, h.GetLifecycleStage())
	}
	var rows []stageRow
	config := d.GetDeploymentConfiguration()
	switch config.GetStrategy() {
	case orchestratorpb.DeploymentConfiguration_STRATEGY_ROLLING, orchestratorpb.DeploymentConfiguration_STRATEGY_UNSPECIFIED:
		if len(d.GetHistory()) == 0 {
			rows = append(rows, stageRow{come: true})
		}
		if config.GetBakeTime().AsDuration() > 0 && last < orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_BAKE_TIME {
			rows = append(rows, stageRow{stage: orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_BAKE_TIME, come: true})
		}
		return rows
	}
	for s := last + 1; s <= orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_CLEAN_UP; s++ {
		rows = append(rows, stageRow{stage: s, come: true})
	}
	return rows
}

// stages lists the stages, or puts those before and after the present one into a count.
func (p page) stages(each bool) []line {
	rows := stageRows(p.Deployment, p.Now)
	var out []line
	var done, come int
	for _, row := range rows {
		switch {
		case each || row.open || row.failed():
			out = append(out, p.stage(row))
		case row.come:
			come++
		default:
			done++
		}
	}
	if done > 0 {
		l := line{}.add("  "+p.g.done, good).add(" "+count(done)+" done", dim)
		out = append([]line{l}, out...)
	}
	if come > 0 {
		out = append(out, line{}.add("  "+p.g.todo+" "+count(come)+" to come", dim))
	}
	return out
}

func count(stages int) string {
	if stages == 1 {
		return "1 stage"
	}
	return fmt.Sprintf("%d stages", stages)
}

func (r stageRow) failed() bool { return r.outcome == orchestratorpb.StageHistory_OUTCOME_FAILED }

func (p page) stage(r stageRow) line {
	mark, st := p.mark(r)
	name := stageName(r.stage)
	if r.rollback {
		name += " (rollback)"
	}
	l := line{}.add("  "+mark+" ", st).add(name, p.nameStyle(r))
	if r.come {
		return l
	}
	l = l.pad(36)
	if n := p.Deployment.GetStepCount(); r.step > 0 && n > 0 && !r.rollback {
		l = l.add(fmt.Sprintf("step %d of %d", r.step, n), plain)
	}
	l = l.pad(50).add(words.Took(r.took), p.nameStyle(r))
	if r.reason != "" && r.outcome != orchestratorpb.StageHistory_OUTCOME_SUCCEEDED {
		l = l.pad(58).add(words.Clean(r.reason), st)
	}
	return l
}

func (p page) mark(r stageRow) (string, style) {
	switch {
	case r.come:
		return p.g.todo, dim
	case r.open:
		return p.g.now, fresh
	}
	switch r.outcome {
	case orchestratorpb.StageHistory_OUTCOME_FAILED:
		return p.g.failed, bad
	case orchestratorpb.StageHistory_OUTCOME_SKIPPED:
		return p.g.skipped, dim
	case orchestratorpb.StageHistory_OUTCOME_STOPPED:
		return p.g.stopped, careful
	}
	return p.g.done, good
}

func (p page) nameStyle(r stageRow) style {
	switch {
	case r.open:
		return bold
	case r.come || r.outcome == orchestratorpb.StageHistory_OUTCOME_SKIPPED:
		return dim
	}
	return plain
}
