//go:build man

package main

import (
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// extra is a command that only the build for a release has (-tags man): it writes the manual pages.
func extra(c *cli) []*cobra.Command {
	return []*cobra.Command{{
		Use: "man DIR", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			date := time.Unix(0, 0) // the same text for the same sources
			return doc.GenManTree(cmd.Root(), &doc.GenManHeader{Title: "SLIPWAY", Section: "1", Source: "Slipway", Manual: "Slipway", Date: &date}, args[0])
		},
	}}
}
