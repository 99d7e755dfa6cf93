package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/slipway-deploy/slipway/internal/stack"
	"github.com/slipway-deploy/slipway/internal/stories"
	"github.com/slipway-deploy/slipway/platform/grpcclient"
)

func newDemo(c *cli) *cobra.Command {
	var dir, workload string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Play four deployments of real processes under load",
		Long: `demo starts all of Slipway in a folder of its own and plays four stories on real HTTP servers under continuous load:
a rolling deployment, blue/green with hooks, a canary that an alarm rolls back, and a circuit breaker. It prints what
happens as it happens, then a table. It exits with 0 only if every story ended as it must and no request was lost.`,
		Example: `  slipway demo`,
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return demo(cmd.Context(), c, dir, workload)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "folder for the state (default: a new one that is removed when all went well)")
	cmd.Flags().StringVar(&workload, "workload", besideMe("slipway-example-web"), "the program of examples/web, to be deployed")
	return cmd
}

func besideMe(name string) string {
	me, err := os.Executable()
	if err != nil {
		return name
	}
	return filepath.Join(filepath.Dir(me), name)
}

func demo(ctx context.Context, c *cli, dir, workload string) error {
	if _, err := os.Stat(workload); err != nil {
		return fmt.Errorf("the workload %s is missing: build it with \"make build\", or name it with --workload", workload)
	}
	own := dir == ""
	dir, err := demoDir(dir)
	if err != nil {
		return err
	}
	logFile, err := os.Create(filepath.Join(dir, "slipway.log"))
	if err != nil {
		return err
	}
	defer logFile.Close()
	began := time.Now()
	s, err := stack.Start(ctx, stack.Config{Dir: dir, Addresses: stack.AnyAddresses(), Log: slog.New(slog.NewTextHandler(logFile, nil))})
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, "Slipway runs after %.1f s (PostgreSQL, 5 services, proxy). Log: %s\n", time.Since(began).Seconds(), logFile.Name())
	results, err := play(ctx, c, s, workload)
	s.Stop()
	if err != nil {
		return err
	}
	summary(c.out, results)
	for _, r := range results {
		if r.Err != nil {
			return fmt.Errorf("not every story ended as it must; the log is %s", logFile.Name())
		}
	}
	if own {
		return os.RemoveAll(dir)
	}
	return nil
}

// demoDir makes the folder for the state. PostgreSQL runs as another user when we are root, and must reach it.
func demoDir(dir string) (string, error) {
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "slipway-demo-"); err != nil {
			return "", err
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o755)
}

func play(ctx context.Context, c *cli, s *stack.Stack, workload string) ([]stories.Result, error) {
	conns, closeAll, err := dialAll(s.Addresses)
	defer closeAll()
	if err != nil {
		return nil, err
	}
	env := stories.NewEnv(conns, workload, func(l stories.Line) { fmt.Fprintln(c.out, timeline(l, c.color())) })
	var results []stories.Result
	for _, story := range stories.All() {
		fmt.Fprintf(c.out, "\n== %s: %s\n", story.Name, story.Says)
		r := story.Play(ctx, env)
		results = append(results, r)
		if r.Err != nil {
			fmt.Fprintf(c.out, "   FAILED: %v\n", r.Err)
		}
		if ctx.Err() != nil {
			return results, errors.New("interrupted")
		}
	}
	return results, nil
}

// dialAll connects to the services of a stack.
func dialAll(a stack.Addresses) (conns stories.Conns, closeAll func(), err error) {
	var open []*grpc.ClientConn
	closeAll = func() {
		for _, cc := range open {
			_ = cc.Close()
		}
	}
	for address, conn := range map[string]*grpc.ClientConnInterface{
		a.Orchestrator: &conns.Orchestrator, a.Hooks: &conns.Hooks, a.Healthcheck: &conns.Healthcheck, a.Alarms: &conns.Alarms,
	} {
		cc, err := grpcclient.Dial(grpcclient.Config{Target: address, Name: "demo"})
		if err != nil {
			return conns, closeAll, err
		}
		open = append(open, cc)
		*conn = cc
	}
	return conns, closeAll, nil
}

// timeline is one line of what happens.
func timeline(l stories.Line, color bool) string {
	mark := map[string]string{"WARN": "!", "ERROR": "x", "": ">"}[l.Kind]
	line := fmt.Sprintf("%8.3fs %1s %s", l.Offset.Seconds(), mark, l.Text)
	codes := map[string]string{"WARN": "33", "ERROR": "31", "": "36"}
	if code := codes[l.Kind]; color && code != "" {
		line = "\x1b[" + code + "m" + line + "\x1b[0m"
	}
	return line
}

// summary is the table at the end.
func summary(out io.Writer, results []stories.Result) {
	fmt.Fprintf(out, "\n%-16s %-20s %9s %15s %10s %6s  %s\n", "STORY", "OUTCOME", "SECONDS", "FAILURE->SAFE s", "REQUESTS", "LOST", "SECONDS TO EACH STAGE")
	for _, r := range results {
		outcome, safe := r.Outcome, "-"
		if r.Err != nil {
			outcome = "NOT AS IT MUST"
		}
		if r.FailureToSafe > 0 {
			safe = fmt.Sprintf("%.3f", r.FailureToSafe.Seconds())
		}
		var stages []string
		for _, st := range r.Stages {
			stages = append(stages, fmt.Sprintf("%s %.2f", strings.ToLower(st.Stage), st.Offset.Seconds()))
		}
		fmt.Fprintf(out, "%-16s %-20s %9.2f %15s %10d %6d  %s\n", r.Story, outcome, r.Duration.Seconds(), safe, r.Requests, r.Lost, strings.Join(stages, ", "))
		if r.Err != nil {
			fmt.Fprintf(out, "%-16s %v\n", "", r.Err)
		}
	}
}
