package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/slipway-deploy/slipway/cmd/slipway/internal/table"
	"github.com/slipway-deploy/slipway/cmd/slipway/internal/words"
	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
)

func newHooksInvocations(c *cli) *cobra.Command {
	var limit int
	var ask hookspb.ListInvocationsRequest
	cmd := &cobra.Command{
		Use:   "invocations",
		Short: "List how hooks were called, newest first",
		Example: `  slipway hooks invocations --deployment d-7
  slipway hooks invocations --service web --hook smoke-test`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 1 {
				return usagef(cmd, "--limit must be at least 1")
			}
			if ask.GetService() != "" && !strings.Contains(ask.GetService(), "/") {
				ask.Service = c.cluster + "/" + ask.GetService()
			}
			return c.listInvocations(cmd, &ask, limit)
		},
	}
	f := cmd.Flags()
	f.StringVar(&ask.Deployment, "deployment", "", "only of this deployment")
	f.StringVar(&ask.Service, "service", "", "only of this service")
	f.StringVar(&ask.Hook, "hook", "", "only of this hook")
	f.IntVar(&limit, "limit", 50, "how many to list")
	return cmd
}

func (c *cli) listInvocations(cmd *cobra.Command, ask *hookspb.ListInvocationsRequest, limit int) error {
	a, err := c.connect()
	if err != nil {
		return err
	}
	ctx, cancel := c.call(cmd.Context())
	defer cancel()
	ask.PageSize = int32(min(limit, 100))
	list, err := pages(limit, func(token string) ([]*hookspb.Invocation, string, error) {
		ask.PageToken = token
		r, err := a.hooks.ListInvocations(ctx, ask)
		return r.GetInvocations(), r.GetNextPageToken(), err
	})
	if err != nil {
		return err
	}
	return c.show(&hookspb.ListInvocationsResponse{Invocations: list}, func() error {
		t := table.New("BEGAN", "INVOCATION", "HOOK", "STATE", "ATTEMPT", "TOOK", "REASON")
		for _, i := range list {
			t.Row(c.clock(i.GetCreateTime().AsTime()), i.GetId(), i.GetHook(), words.Enum(i.GetState()), fmt.Sprint(i.GetAttempt()),
				c.invocationTook(i), i.GetReason())
		}
		return t.Write(c.out)
	})
}

// invocationTook is how long an invocation took, or takes until now.
func (c *cli) invocationTook(i *hookspb.Invocation) string {
	end := c.now()
	if i.GetEndTime() != nil {
		end = i.GetEndTime().AsTime()
	}
	return words.Took(end.Sub(i.GetCreateTime().AsTime()))
}

func newHooksShow(c *cli) *cobra.Command {
	var full bool
	cmd := &cobra.Command{
		Use:   "show INVOCATION",
		Short: "Show an invocation of a hook with every attempt and what came back",
		Example: `  slipway hooks show d-7/POST_SCALE_UP/0/smoke-test
  slipway hooks show d-7/POST_SCALE_UP/0/smoke-test --full`,
		Args: exactly("INVOCATION"),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := c.connect()
			if err != nil {
				return err
			}
			ctx, cancel := c.call(cmd.Context())
			defer cancel()
			r, err := a.hooks.GetInvocation(ctx, &hookspb.GetInvocationRequest{Id: args[0]})
			if err != nil {
				return err
			}
			return c.show(r, func() error { return c.writeInvocation(r, full) })
		},
	}
	cmd.Flags().BoolVar(&full, "full", false, "show all of what was sent and received")
	return cmd
}

func (c *cli) writeInvocation(r *hookspb.GetInvocationResponse, full bool) error {
	var b strings.Builder
	for _, line := range c.invocationLines(r.GetInvocation()) {
		if line[1] != "" {
			fmt.Fprintf(&b, "%-12s %s\n", line[0], words.Clean(line[1]))
		}
	}
	if _, err := fmt.Fprintln(c.out, b.String()); err != nil {
		return err
	}
	if full {
		return c.writeAttempts(r.GetAttempts())
	}
	t := table.New("ATTEMPT", "AT", "TOOK", "STATUS", "WHAT CAME BACK")
	for _, a := range r.GetAttempts() {
		t.Row(fmt.Sprint(a.GetAttempt()), c.clock(a.GetStartTime().AsTime()), attemptTook(a), attemptStatus(a), shorten(cameBack(a)))
	}
	return t.Write(c.out)
}

func (c *cli) invocationLines(i *hookspb.Invocation) [][2]string {
	state := words.Enum(i.GetState())
	switch i.GetOutcome() {
	case hookspb.Invocation_OUTCOME_CONTINUE:
		state += ": the deployment goes on"
	case hookspb.Invocation_OUTCOME_ROLLBACK:
		state += ": the deployment rolls back"
	}
	lines := [][2]string{
		{"invocation", i.GetId()},
		{"hook", i.GetHook()},
		{"service", i.GetService()},
		{"deployment", i.GetDeployment()},
		{"stage", fmt.Sprintf("%s, step %d", i.GetLifecycleStage(), i.GetStep())},
		{"contract", words.Enum(i.GetContract())},
		{"state", state},
		{"reason", i.GetReason()},
		{"took", c.invocationTook(i)},
	}
	if i.GetEndTime() != nil {
		return lines
	}
	if i.GetNextAttemptTime() != nil {
		lines = append(lines, [2]string{"called again", c.clock(i.GetNextAttemptTime().AsTime())})
	}
	then := "the deployment rolls back"
	if i.GetTimeoutAction() == hookspb.Invocation_TIMEOUT_ACTION_CONTINUE {
		then = "the deployment goes on"
	}
	return append(lines, [2]string{"until", c.clock(i.GetDeadlineTime().AsTime()) + ", then " + then})
}

func attemptTook(a *hookspb.Attempt) string {
	if a.GetDuration() == nil {
		return ""
	}
	return words.Precise(a.GetDuration().AsDuration())
}

// attemptStatus says of an answer that changed nothing that it did not.
func attemptStatus(a *hookspb.Attempt) string {
	status := a.GetHookStatus()
	switch {
	case a.GetIgnored():
		return strings.TrimSpace(status + " (ignored)")
	case status == "" && a.GetEndTime() == nil:
		return "on its way"
	case status == "" && a.GetError() != "":
		return "no answer"
	default:
		return status
	}
}

func cameBack(a *hookspb.Attempt) string {
	switch {
	case a.GetError() == "":
		return a.GetResponse()
	case a.GetResponse() == "":
		return a.GetError()
	default:
		return a.GetError() + ": " + a.GetResponse()
	}
}

const shownOfAnswer = 120 // characters in a table

func shorten(s string) string {
	runes := []rune(words.Clean(s))
	if len(runes) <= shownOfAnswer {
		return string(runes)
	}
	return string(runes[:shownOfAnswer-1]) + "…"
}

func (c *cli) writeAttempts(attempts []*hookspb.Attempt) error {
	for _, a := range attempts {
		_, err := fmt.Fprintf(c.out, "attempt %d at %s: %s\n", a.GetAttempt(), c.clock(a.GetStartTime().AsTime()), words.OrDash(attemptStatus(a)))
		if err != nil {
			return err
		}
		for _, part := range [][2]string{{"took", attemptTook(a)}, {"sent", a.GetRequest()}, {"received", a.GetResponse()}, {"error", a.GetError()}} {
			if part[1] == "" {
				continue
			}
			if _, err := fmt.Fprintf(c.out, "  %-9s %s\n", part[0], words.Clean(part[1])); err != nil {
				return err
			}
		}
	}
	return nil
}
