package main

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/slipway-deploy/slipway/internal/stack"
)

func newDev(c *cli) *cobra.Command {
	cfg := stack.Config{Addresses: stack.DefaultAddresses()}
	var verbose bool
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run all of Slipway on this machine",
		Long: `dev runs all services in one program: a PostgreSQL of its own (or any, by DATABASE_URL), the process runtime and
the proxy. It is the code of production, not a simulation. Everything listens on loopback.

The state stays in the folder: after a crash or a restart running deployments go on where they were, and tasks that
still run are taken up again. To begin anew, stop it and delete the folder.`,
		Example: `  slipway dev
  slipway dev --dir /tmp/slipway`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg.DatabaseURL = c.env("DATABASE_URL")
			cfg.Log = logger(c, verbose)
			s, err := stack.Start(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			defer s.Stop()
			fmt.Fprintf(c.out, "Slipway runs. Its state is in %s.\n\n", cfg.Dir)
			for _, line := range [][2]string{
				{"orchestrator", s.Addresses.Orchestrator},
				{"hooks", s.Addresses.Hooks},
				{"healthcheck", s.Addresses.Healthcheck},
				{"alarms", s.Addresses.Alarms},
				{"proxy (control)", s.Addresses.Proxy},
			} {
				fmt.Fprintf(c.out, "  %-16s %s\n", line[0], line[1])
			}
			fmt.Fprintf(c.out, "\nTry: slipway services, or grpcurl -plaintext %s list. Ctrl-C stops it; tasks go on.\n", s.Addresses.Orchestrator)
			<-cmd.Context().Done()
			fmt.Fprintln(c.out, "stopping")
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&cfg.Dir, "dir", stateDir(), "folder for the state")
	f.StringSliceVar(&cfg.AllowedOrigins, "allowed-origins", nil, "origins whose pages may call, such as http://localhost:5173; * is every one")
	f.StringSliceVar(&cfg.HookTargets.AllowedCommands, "allowed-commands", nil, "programs that exec hooks may run, or directories for all below them")
	f.StringVar(&cfg.HookTargets.LambdaEndpoint, "lambda-endpoint", "", "URL to call AWS Lambda functions of hooks at, e.g. of a local emulator")
	f.StringVar(&cfg.HookTargets.LambdaRegion, "lambda-region", "", "AWS region of Lambda functions of hooks")
	f.BoolVarP(&verbose, "verbose", "v", false, "log everything, not only trouble")
	for name, address := range map[string]*string{
		"listen-orchestrator": &cfg.Addresses.Orchestrator, "listen-hooks": &cfg.Addresses.Hooks, "listen-healthcheck": &cfg.Addresses.Healthcheck,
		"listen-alarms": &cfg.Addresses.Alarms, "listen-proxy": &cfg.Addresses.Proxy,
	} {
		f.StringVar(address, name, *address, "address to serve it on, host:port")
	}
	return cmd
}

func logger(c *cli, verbose bool) *slog.Logger {
	level := slog.LevelWarn
	if verbose {
		level = slog.LevelInfo
	}
	return slog.New(slog.NewTextHandler(c.err, &slog.HandlerOptions{Level: level}))
}

// stateDir is where the state lies by default. PostgreSQL does not run as root, and its user must reach the folder: so it
// is not in root's home.
func stateDir() string {
	if os.Geteuid() == 0 {
		return "/var/lib/slipway"
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ".slipway"
	}
	return filepath.Join(home, ".local", "share", "slipway")
}
