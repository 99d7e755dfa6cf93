package main

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/slipway-deploy/slipway/cmd/slipway/internal/fault"
)

// exactly and atMost are cobra's checks of the number of arguments, with the arguments' names in the message.
func exactly(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return usagef(cmd, "%s is missing", names[len(args)])
		case len(args) > len(names):
			return usagef(cmd, "%q is one argument too many", args[len(names)])
		}
		return nil
	}
}

func atMostOne() cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > 1 {
			return usagef(cmd, "%q is one argument too many", args[1])
		}
		return nil
	}
}

// usage makes cobra's complaint about an unknown command what it is: bad usage. Its suggestions go into the same line.
func usage(cmd *cobra.Command, err error) error {
	text := err.Error()
	if !strings.HasPrefix(text, "unknown command ") {
		return err
	}
	text = strings.ReplaceAll(strings.TrimSpace(text), "\n\nDid you mean this?\n\t", "; did you mean ")
	return &fault.Usage{Command: cmd.CommandPath(), Cause: errors.New(strings.ReplaceAll(text, "\n\t", ", "))}
}
