//go:build !man

package main

import "github.com/spf13/cobra"

func extra(*cli) []*cobra.Command { return nil }
