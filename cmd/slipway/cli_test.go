package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/slipway-deploy/slipway/platform/grpcserver"
)

func TestEveryCommandExplainsItself(t *testing.T) {
	t.Parallel()
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, child := range cmd.Commands() {
			if child.Name() == "help" || child.Name() == "completion" {
				continue
			}
			if child.Short == "" || !strings.Contains(child.Example, child.CommandPath()) {
				t.Errorf("%s has no short text or no example", child.CommandPath())
			}
			if child.Runnable() && child.Args == nil {
				t.Errorf("%s does not check its arguments", child.CommandPath())
			}
			walk(child)
		}
	}
	walk(newRoot(&cli{}))
}

func TestBadUsageIsToldInOneLine(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"deploi":          `error: unknown command "deploi" for "slipway"; did you mean deploy; see "slipway --help"`,
		"deploy":          `error: SERVICE is missing; see "slipway deploy --help"`,
		"deploy a b":      `error: "b" is one argument too many; see "slipway deploy --help"`,
		"watch --follow":  `error: unknown flag: --follow; see "slipway watch --help"`,
		"apply":           `error: -f is missing: the file, folder or - to read; see "slipway apply --help"`,
		"apply -f /x/y":   `error: cannot read /x/y: no such file or directory`,
		"history --limit": `error: flag needs an argument: --limit; see "slipway history --help"`,
		"services web":    `error: "web" is one argument too many; see "slipway services --help"`,
	} {
		s := slipway(t, "", strings.Fields(args)...)
		if s.code != 2 || s.err != want+"\n" || s.out != "" {
			t.Errorf("%s: exit code %d, wrote %q, want %q", args, s.code, s.err, want)
		}
	}
}

func TestTheEnvironmentSetsWhatNoFlagDoes(t *testing.T) {
	t.Parallel()
	f, address := start(t)
	f.addService("web")
	env := map[string]string{"SLIPWAY_ORCHESTRATOR": address, "SLIPWAY_CLUSTER": "nowhere"}
	tt := terminal{env: env}
	tt.slipway(t.Context(), "", "status", "web").want(t, 2, "there is no service web")
	tt.slipway(t.Context(), "", "status", "web", "--cluster", "default").want(t, 0, "web  ACTIVE")
	env["SLIPWAY_INSECURE"] = "perhaps"
	tt.slipway(t.Context(), "", "services").want(t, 2, `SLIPWAY_INSECURE: "perhaps" is not taken`)
}

func TestATokenIsSent(t *testing.T) {
	t.Parallel()
	_, address := startWith(t, grpcserver.Config{Addr: "127.0.0.1:0", Token: "secret"})
	slipway(t, address, "services").want(t, 2, "; set --token or SLIPWAY_TOKEN")
	slipway(t, address, "services", "--token", "secret").want(t, 0, "CLUSTER")
	tt := terminal{env: map[string]string{"SLIPWAY_TOKEN": "secret"}}
	tt.slipway(t.Context(), address, "services").want(t, 0, "CLUSTER")
	if s := slipway(t, address, "services", "--help", "--token", "secret"); strings.Contains(s.out, "secret") {
		t.Error("--help shows the token")
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	slipway(t, "", "version").want(t, 0, "slipway ", "go1.")
	slipway(t, "", "version", "-o", "json").want(t, 0, `"version": `)
}
