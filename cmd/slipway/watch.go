package main

import (
	"github.com/spf13/cobra"
)

func newWatch(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "watch DEPLOYMENT|SERVICE",
		Short: "Follow a deployment, or a service's latest, until it has ended",
		Long: `Follow a deployment until it has ended; for a service the one at work, or else its latest.

The exit codes are those of "slipway deploy". With -o json each answer is one line.`,
		Example: `  slipway watch web
  slipway watch d-7 -o json | jq .deployment.state`,
		Args: exactly("DEPLOYMENT|SERVICE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := c.connect()
			if err != nil {
				return err
			}
			ctx, cancel := c.call(cmd.Context())
			d, err := c.deployment(ctx, a, args[0])
			cancel()
			switch {
			case err != nil:
				return err
			case d == nil:
				return errNoDeployment(args[0])
			}
			return c.follow(cmd.Context(), a, d, following{succeeded: isLive, each: true})
		},
	}
}
