package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/slipway-deploy/slipway/internal/stack"
	"github.com/slipway-deploy/slipway/internal/stories"
	"github.com/slipway-deploy/slipway/platform/grpcclient"
)

func newDemo(c *cli) *cobra.Command {
	var d demo
	var running bool
	var image, proxyHost, handlerHost string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Play four deployments of real processes under load",
		Long: `demo starts all of Slipway in a folder of its own and plays four stories on real HTTP servers under continuous load:
a rolling deployment, blue/green with hooks, a canary that an alarm rolls back, and a circuit breaker. It prints what
happens as it happens, then a table. It exits with 0 only if every story ended as it must and no request was lost.

With --running it starts nothing and plays them on the installation that the global flags name, as containers of --image.`,
		Example: `  slipway demo
  slipway demo --running --image slipway/example-web --proxy-host proxy --handler-host demo`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if running {
				return playRunning(cmd.Context(), c, stories.Place{
					Image: image, Listen: "0.0.0.0", Dial: proxyHost, HandlerListen: "0.0.0.0", HandlerDial: handlerHost,
				})
			}
			return d.run(cmd.Context(), c)
		},
	}
	f := cmd.Flags()
	f.StringVar(&d.dir, "dir", "", "folder for the state (default: a new one that is removed when all went well)")
	f.StringVar(&d.workload, "workload", besideMe("slipway-example-web"), "the program of examples/web, to be deployed")
	f.BoolVar(&running, "running", false, "play on a running installation")
	f.StringVar(&image, "image", "slipway/example-web", "with --running: the image of examples/web, to be deployed")
	f.StringVar(&proxyHost, "proxy-host", "127.0.0.1", "with --running: where the proxy's listeners are reached from here")
	f.StringVar(&handlerHost, "handler-host", "127.0.0.1", "with --running: where the hooks service reaches this program")
	return cmd
}

// playRunning plays on the installation that the global flags name.
func playRunning(ctx context.Context, c *cli, place stories.Place) error {
	if _, err := c.connect(); err != nil {
		return err
	}
	conns := stories.Conns{
		Orchestrator: c.conns[orchestratorName], Hooks: c.conns[hooksName], Healthcheck: c.conns[healthcheckName], Alarms: c.conns[alarmsName],
	}
	results, err := play(ctx, c, conns, place)
	if err != nil {
		return err
	}
	return verdict(c, results, "see the log of the services")
}

// demo is a demonstration on an installation of its own.
type demo struct{ dir, workload string }

func besideMe(name string) string {
	me, err := os.Executable()
	if err != nil {
		return name
	}
	return filepath.Join(filepath.Dir(me), name)
}

func (d demo) run(ctx context.Context, c *cli) error {
	if _, err := os.Stat(d.workload); err != nil {
		return fmt.Errorf("the workload %s is missing: build it with \"make build\", or name it with --workload", d.workload)
	}
	own := d.dir == ""
	dir, err := demoDir(d.dir)
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
	results, err := playStack(ctx, c, s, d.workload)
	s.Stop()
	if err == nil {
		err = verdict(c, results, "the log is "+logFile.Name())
	}
	if err != nil {
		return err
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

func playStack(ctx context.Context, c *cli, s *stack.Stack, workload string) ([]stories.Result, error) {
	conns, closeAll, err := dialAll(s.Addresses)
	defer closeAll()
	if err != nil {
		return nil, err
	}
	return play(ctx, c, conns, stories.OnThisMachine(workload))
}

func play(ctx context.Context, c *cli, conns stories.Conns, place stories.Place) ([]stories.Result, error) {
	env := stories.NewEnv(conns, place, func(l stories.Line) { fmt.Fprintln(c.out, timeline(l, c.color())) })
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
