package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/slipway-deploy/slipway/cmd/slipway/internal/table"
	"github.com/slipway-deploy/slipway/cmd/slipway/internal/words"
	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
)

func newHooks(c *cli) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "hooks",
		Short: "List hooks, register them, show how they were called",
		Example: `  slipway hooks
  slipway hooks put smoke-test --webhook https://hooks.example.com/smoke --new-secret
  slipway hooks invocations --deployment d-7
  slipway hooks show d-7/POST_SCALE_UP/0/smoke-test`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.listHooks(cmd) },
	}
	list := &cobra.Command{
		Use: "list", Short: "List hooks", Example: "  slipway hooks list", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.listHooks(cmd) },
	}
	cmd.AddCommand(list, newHooksPut(c), newHooksDelete(c), newHooksInvocations(c), newHooksShow(c))
	return cmd
}

func (c *cli) listHooks(cmd *cobra.Command) error {
	a, err := c.connect()
	if err != nil {
		return err
	}
	ctx, cancel := c.call(cmd.Context())
	defer cancel()
	list, err := pages(0, func(token string) ([]*hookspb.Hook, string, error) {
		r, err := a.hooks.ListHooks(ctx, &hookspb.ListHooksRequest{PageSize: 100, PageToken: token})
		return r.GetHooks(), r.GetNextPageToken(), err
	})
	if err != nil {
		return err
	}
	return c.show(&hookspb.ListHooksResponse{Hooks: list}, func() error {
		t := table.New("HOOK", "KIND", "TARGET", "SIGNED", "CALL TIMEOUT", "ATTEMPTS")
		for _, hook := range list {
			kind, where := hookTarget(hook)
			signed := ""
			if n := hook.GetWebhook().GetSecretCount(); n > 0 {
				signed = fmt.Sprintf("yes (%d)", n)
			}
			t.Row(hook.GetName(), kind, where, signed, words.Length(hook.GetCallTimeout()), fmt.Sprint(hook.GetMaxAttempts()))
		}
		return t.Write(c.out)
	})
}

// hookTarget is how and where a hook is called.
func hookTarget(h *hookspb.Hook) (kind, where string) {
	switch target := h.GetTarget().(type) {
	case *hookspb.Hook_Grpc:
		where = target.Grpc.GetAddress()
		if target.Grpc.GetTls() {
			where += " (TLS)"
		}
		return "gRPC", where
	case *hookspb.Hook_Webhook:
		return "webhook", target.Webhook.GetUrl()
	case *hookspb.Hook_Lambda:
		if where = target.Lambda.GetFunction(); target.Lambda.GetQualifier() != "" {
			where += ":" + target.Lambda.GetQualifier()
		}
		return "Lambda", where
	case *hookspb.Hook_Exec:
		return "exec", strings.Join(append([]string{target.Exec.GetCommand()}, target.Exec.GetArgs()...), " ")
	default:
		return "", ""
	}
}

func newHooksDelete(c *cli) *cobra.Command {
	return &cobra.Command{
		Use: "delete NAME", Short: "Delete a hook; invocations that run go on", Example: "  slipway hooks delete smoke-test", Args: exactly("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := c.connect()
			if err != nil {
				return err
			}
			ctx, cancel := c.call(cmd.Context())
			defer cancel()
			r, err := a.hooks.DeleteHook(ctx, &hookspb.DeleteHookRequest{RequestId: requestID(), Name: args[0]})
			if err != nil {
				return err
			}
			return c.show(r, func() error {
				_, err := fmt.Fprintf(c.out, "hook %s is deleted\n", words.Clean(args[0]))
				return err
			})
		},
	}
}
