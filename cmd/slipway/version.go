package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func newVersion(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version of this command",
		Example: `  slipway version`,
		Args:    exactly(),
		RunE: func(*cobra.Command, []string) error {
			v := version()
			if c.output != "table" {
				data, err := json.Marshal(v)
				if err != nil {
					return err
				}
				return c.raw(data)
			}
			_, err := fmt.Fprintf(c.out, "slipway %s (%s, %s)\n", v.Version, v.Revision, v.Go)
			return err
		},
	}
}

// versionInfo is what the build knows of itself.
type versionInfo struct {
	Version  string `json:"version"`
	Revision string `json:"revision"`
	Go       string `json:"go"`
}

func version() versionInfo {
	v := versionInfo{Version: "unknown", Revision: "revision unknown", Go: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	v.Version = cmp.Or(info.Main.Version, v.Version)
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v.Revision = s.Value
		}
	}
	return v
}
