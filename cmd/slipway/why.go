package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/slipway-deploy/slipway/cmd/slipway/internal/live"
	"github.com/slipway-deploy/slipway/cmd/slipway/internal/words"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

func newWhy(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "why DEPLOYMENT|SERVICE",
		Short: "Explain what a deployment waits for, or why it ended so, and what can be done",
		Long: `Explain a deployment, or that of a service which is at work or was the last: what it waits for, on what
evidence, who can act and how, until when, and what happens then. Of one that has ended: why it ended so, what serves
now and how to go on.`,
		Example: `  slipway why web
  slipway why d-7 -o json`,
		Args: exactly("DEPLOYMENT|SERVICE"),
		RunE: func(cmd *cobra.Command, args []string) error { return c.why(cmd.Context(), args[0]) },
	}
}

func (c *cli) why(ctx context.Context, name string) error {
	a, err := c.connect()
	if err != nil {
		return err
	}
	ctx, cancel := c.call(ctx)
	defer cancel()
	d, err := c.deployment(ctx, a, name)
	switch {
	case err != nil:
		return err
	case d == nil:
		return errNoDeployment(name)
	}
	r, err := a.deployments.ExplainDeployment(ctx, &orchestratorpb.ExplainDeploymentRequest{Deployment: d.GetId()})
	if err != nil {
		return err
	}
	return c.show(r, func() error {
		_, err := fmt.Fprint(c.out, c.whyText(r))
		return err
	})
}

// whyText is an explanation for people.
func (c *cli) whyText(r *orchestratorpb.ExplainDeploymentResponse) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("%s", words.Clean(r.GetSummary()))
	for _, w := range r.GetWaits() {
		line("\nwaits for  %s", words.Clean(w.GetCondition().GetMessage()))
		if limits := live.Limits(w.GetCondition(), c.now()); limits != "" {
			line("           %s", limits)
		}
		c.evidence(&b, "evidence", w.GetEvidence())
		line("who        %s", words.Clean(w.GetWho()))
		actions(&b, w.GetActions())
	}
	if len(r.GetCauses()) > 0 {
		line("")
		c.evidence(&b, "because", r.GetCauses())
	}
	if len(r.GetServing()) > 0 {
		line("")
		c.evidence(&b, "serving", r.GetServing())
	}
	if len(r.GetActions()) > 0 {
		line("\nyou can")
		actions(&b, r.GetActions())
	}
	if t := r.GetDeadlineTime(); t != nil {
		line("\nits time is over at %s, in %s", words.Time(t, c.now(), c.now().Location()), words.Took(t.AsTime().Sub(c.now())))
	}
	return b.String()
}

// evidence writes what is known, the title before the first of it.
func (c *cli) evidence(b *strings.Builder, title string, list []*orchestratorpb.Evidence) {
	for _, f := range list {
		text := strings.ToLower(words.Enum(f.GetKind())) + " " + words.Clean(f.GetSubject())
		if f.GetState() != "" {
			text += " " + words.Clean(f.GetState())
		}
		if f.GetText() != "" {
			text += ": " + words.Clean(f.GetText())
		}
		if f.GetTime() != nil {
			text += " (" + words.Time(f.GetTime(), c.now(), c.now().Location()) + ")"
		}
		fmt.Fprintf(b, "%-10s %s\n", title, text)
		title = ""
	}
}

// actions writes what can be done, each with its command or else its call of the API.
func actions(b *strings.Builder, list []*orchestratorpb.ExplainedAction) {
	for _, a := range list {
		fmt.Fprintf(b, "           %s\n", words.Clean(a.GetDescription()))
		for _, how := range []string{a.GetCommand(), a.GetGrpcurl()} {
			if how != "" {
				fmt.Fprintf(b, "             %s\n", words.Clean(how))
			}
		}
	}
}
