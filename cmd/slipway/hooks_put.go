package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/slipway-deploy/slipway/cmd/slipway/internal/words"
	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
)

// hooking is the flags of hooks put.
type hooking struct {
	webhook, secretFile string
	newSecret, unsigned bool
	grpc                string
	tls                 bool
	lambda, qualifier   string
	exec                string
	call                time.Duration
	attempts            int32
}

func newHooksPut(c *cli) *cobra.Command {
	var h hooking
	cmd := &cobra.Command{
		Use:   "put NAME [-- ARG...]",
		Short: "Register a hook, or change it",
		Long: `Registers a handler that deployments call at their lifecycle stages, under a name that deployment configurations use.

The handler is a webhook, whose calls are signed as Standard Webhooks says when it has a secret; a program that
serves HookHandlerService; an AWS Lambda function; or a command on the machine of the hooks service, which its
operator must allow. The secrets of a webhook stay as they are when neither --secret-file nor --new-secret nor
--unsigned is given.`,
		Example: `  slipway hooks put smoke-test --webhook https://hooks.example.com/smoke --new-secret
  slipway hooks put smoke-test --grpc 127.0.0.1:9000 --call-timeout 5s
  slipway hooks put smoke-test --lambda arn:aws:lambda:eu-north-1:123456789012:function:smoke --qualifier live
  slipway hooks put smoke-test --exec /opt/hooks/smoke -- --suite short`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return h.put(c, cmd, args) },
	}
	f := cmd.Flags()
	f.StringVar(&h.webhook, "webhook", "", "URL to POST to")
	f.StringVar(&h.secretFile, "secret-file", "", "with --webhook: file with one secret (whsec_…) or two, a line each; - for the standard input")
	f.BoolVar(&h.newSecret, "new-secret", false, "with --webhook: make a secret and print it, this once")
	f.BoolVar(&h.unsigned, "unsigned", false, "with --webhook: take the secrets away")
	f.StringVar(&h.grpc, "grpc", "", "host:port of a HookHandlerService")
	f.BoolVar(&h.tls, "tls", false, "with --grpc: call with TLS")
	f.StringVar(&h.lambda, "lambda", "", "name or ARN of an AWS Lambda function")
	f.StringVar(&h.qualifier, "qualifier", "", "with --lambda: version or alias")
	f.StringVar(&h.exec, "exec", "", "absolute path of a command; its arguments follow --")
	f.DurationVar(&h.call, "call-timeout", 0, "how long one call may take (default 30s, 15m for a Lambda function)")
	f.Int32Var(&h.attempts, "max-attempts", 5, "how many calls in a row without an answer fail the hook")
	return cmd
}

func (h *hooking) put(c *cli, cmd *cobra.Command, args []string) error {
	if err := h.check(cmd, args); err != nil {
		return err
	}
	hook := &hookspb.Hook{Name: args[0], MaxAttempts: h.attempts}
	if h.call != 0 {
		hook.CallTimeout = durationpb.New(h.call)
	}
	secret, err := h.target(c, hook, args[1:])
	if err != nil {
		return err
	}
	a, err := c.connect()
	if err != nil {
		return err
	}
	ctx, cancel := c.call(cmd.Context())
	defer cancel()
	r, err := a.hooks.RegisterHook(ctx, &hookspb.RegisterHookRequest{RequestId: requestID(), Hook: hook})
	if err != nil {
		return err
	}
	if secret != "" && c.output != "table" {
		fmt.Fprintln(c.err, "secret:", secret) // not part of the answer
	}
	return c.show(r, func() error {
		kind, where := hookTarget(r.GetHook())
		if _, err := fmt.Fprintf(c.out, "hook %s calls %s %s\n", words.Clean(args[0]), kind, words.Clean(where)); err != nil || secret == "" {
			return err
		}
		_, err := fmt.Fprintf(c.out, "calls are signed with %s; it is not shown again\n", secret)
		return err
	})
}

func (h *hooking) check(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return usagef(cmd, "NAME is missing")
	case count(h.webhook != "", h.grpc != "", h.lambda != "", h.exec != "") != 1:
		return usagef(cmd, "one of --webhook, --grpc, --lambda and --exec is needed")
	case len(args) > 1 && h.exec == "":
		return usagef(cmd, "%q is one argument too many", args[1])
	case count(h.secretFile != "", h.newSecret, h.unsigned) > 1:
		return usagef(cmd, "--secret-file, --new-secret and --unsigned exclude each other")
	case h.webhook == "" && count(h.secretFile != "", h.newSecret, h.unsigned) > 0:
		return usagef(cmd, "--secret-file, --new-secret and --unsigned go with --webhook")
	case h.grpc == "" && h.tls:
		return usagef(cmd, "--tls goes with --grpc; the URL of a webhook says it")
	case h.lambda == "" && h.qualifier != "":
		return usagef(cmd, "--qualifier goes with --lambda")
	}
	return nil
}

func count(given ...bool) (n int) {
	for _, g := range given {
		if g {
			n++
		}
	}
	return n
}

// target sets the target and returns the secret that was made for it.
func (h *hooking) target(c *cli, hook *hookspb.Hook, args []string) (secret string, err error) {
	switch {
	case h.webhook != "":
		to := &hookspb.WebhookTarget{Url: h.webhook, Unsigned: h.unsigned}
		if h.newSecret {
			secret = makeSecret()
			to.Secrets = []string{secret}
		}
		if h.secretFile != "" {
			if to.Secrets, err = readSecrets(c, h.secretFile); err != nil {
				return "", err
			}
		}
		hook.Target = &hookspb.Hook_Webhook{Webhook: to}
	case h.grpc != "":
		hook.Target = &hookspb.Hook_Grpc{Grpc: &hookspb.GrpcTarget{Address: h.grpc, Tls: h.tls}}
	case h.lambda != "":
		hook.Target = &hookspb.Hook_Lambda{Lambda: &hookspb.LambdaTarget{Function: h.lambda, Qualifier: h.qualifier}}
	default:
		hook.Target = &hookspb.Hook_Exec{Exec: &hookspb.ExecTarget{Command: h.exec, Args: args}}
	}
	return secret, nil
}
