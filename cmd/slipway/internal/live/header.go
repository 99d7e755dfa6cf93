package live

import (
	"github.com/slipway-deploy/slipway/cmd/slipway/internal/words"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

// header is who, from what to what, how, and where it stands.
func (p page) header() []line {
	d := p.Deployment
	name := words.Clean(d.GetService())
	if d.GetCluster() != "" && d.GetCluster() != "default" {
		name = words.Clean(d.GetCluster()) + "/" + name
	}
	state := words.Enum(d.GetState())
	took := words.Took(words.Elapsed(d, p.Now))
	right := width(state) + 2 + width(took)
	first := line{}.add(name, bold).add("  "+words.Definitions(d, p.g.arrow), plain).cut(p.Width-right-2, p.g.more)
	first = first.pad(p.Width-right).add(state, stateStyle(d.GetState())).add("  "+took, plain)
	second := line{}.
		add("deployment "+words.Clean(d.GetId()), plain).
		add(" "+p.g.dot+" revision "+words.Revisions(d, p.g.arrow), plain).
		add(" "+p.g.dot+" "+words.Strategy(d.GetDeploymentConfiguration()), plain)
	return append([]line{first, second}, p.reason()...)
}

// reason is why it stands so, and what became of the rollback.
func (p page) reason() []line {
	d := p.Deployment
	var out []line
	// While all goes well the reason says no more than the state.
	if d.GetReason() != "" && d.GetState() != orchestratorpb.Deployment_STATE_SUCCESSFUL && stateStyle(d.GetState()) != bold {
		for _, s := range wrap(words.Clean(d.GetReason()), p.Width, 2) {
			out = append(out, line{}.add(s, stateStyle(d.GetState())))
		}
	}
	if d.GetRollback() == nil {
		return out
	}
	l := line{}.add("rollback to "+words.RolledBackTo(d), careful)
	if took, ok := words.Safe(d); ok {
		l = l.add(" "+p.g.dot+" all production traffic was on it after "+words.Precise(took), good)
	}
	return append(out, l)
}

func stateStyle(s orchestratorpb.Deployment_State) style {
	switch s {
	case orchestratorpb.Deployment_STATE_SUCCESSFUL:
		return good
	case orchestratorpb.Deployment_STATE_ROLLBACK_FAILED, orchestratorpb.Deployment_STATE_STOPPED:
		return bad
	case orchestratorpb.Deployment_STATE_PENDING, orchestratorpb.Deployment_STATE_IN_PROGRESS:
		return bold
	}
	return careful
}
