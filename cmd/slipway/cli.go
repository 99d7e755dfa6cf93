package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/slipway-deploy/slipway/cmd/slipway/internal/fault"
)

// cli is what the commands share: the world outside, and the global flags.
type cli struct {
	in       io.Reader
	out, err io.Writer
	env      func(string) string
	now      func() time.Time
	// size is the terminal's that out is; ok is false when out is no terminal.
	size func() (width, height int, ok bool)

	addresses map[string]*string // by the name of the service
	token     string
	tlsCA     string
	insecure  bool
	cluster   string
	output    string
	timeout   time.Duration

	conns  connections
	cancel context.CancelFunc // of --timeout
}

// system is the cli of the process.
func system() *cli {
	return &cli{
		in: os.Stdin, out: os.Stdout, err: os.Stderr, env: os.Getenv, now: time.Now,
		size: func() (int, int, bool) {
			width, height, err := term.GetSize(int(os.Stdout.Fd()))
			return width, height, err == nil && width > 0 && height > 0
		},
	}
}

// callTimeout is how long the calls of a command may take without --timeout.
const callTimeout = 30 * time.Second

// run runs one command line and returns the exit code.
func run(ctx context.Context, c *cli, args []string) int {
	root := newRoot(c)
	root.SetArgs(args)
	command, err := root.ExecuteContextC(ctx)
	c.conns.close()
	if c.cancel != nil {
		c.cancel()
	}
	if err == nil {
		return fault.OK
	}
	var exit *fault.Exit
	if ctx.Err() != nil && fault.Code(err) == fault.Interrupted && !errors.As(err, &exit) { // the user knows
		return fault.Interrupted
	}
	for _, line := range c.explainer().Lines(usage(command, err)) {
		fmt.Fprintln(c.err, line)
	}
	return fault.Code(err)
}

func newRoot(c *cli) *cobra.Command {
	root := &cobra.Command{
		Use:   "slipway",
		Short: "Deploy services, watch how it goes and roll back",
		Long: `slipway talks to the services of a Slipway installation. "slipway dev" starts one on this machine.

Exit codes: 0 done, for a deployment: the asked-for revision is live; 1 the deployment failed, was rolled
back or stopped; 2 bad usage, a file that is not right or a request that was refused; 3 a service cannot
be reached or does not work; 124 --timeout was reached while it goes on; 130 left with Ctrl-C.`,
		Example: `  slipway apply -f web.yaml
  slipway deploy web --task-definition web:2 --steps 10:30s,50:30s,100
  slipway status web`,
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return c.prepare(cmd)
		},
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.SetIn(c.in)
	root.SetOut(c.out)
	root.SetErr(c.err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &fault.Usage{Command: cmd.CommandPath(), Cause: err}
	})
	c.flags(root)
	root.AddCommand(commands(c)...)
	return root
}

// flags are those of every command. Each but --output and --timeout has an environment variable.
func (c *cli) flags(root *cobra.Command) {
	f := root.PersistentFlags()
	c.addresses = map[string]*string{}
	for _, s := range endpoints() {
		c.addresses[s.name] = f.String(s.name, s.address, "address of the "+s.name+" service ("+variable(s.name)+")")
	}
	f.StringVar(&c.token, "token", "", "bearer token to send ("+variable("token")+")")
	f.StringVar(&c.tlsCA, "tls-ca", "", "speak TLS and trust the authorities of this PEM file ("+variable("tls-ca")+")")
	f.BoolVar(&c.insecure, "insecure", false, "speak without TLS, also to other machines ("+variable("insecure")+")")
	f.StringVar(&c.cluster, "cluster", "default", "cluster of the services ("+variable("cluster")+")")
	f.StringVarP(&c.output, "output", "o", "table", "table, json or yaml: json is the API's answer as protojson")
	f.DurationVar(&c.timeout, "timeout", 0, "how long the command may take (default 30s, no limit while it follows a deployment)")
}

// variable is the environment variable of a global flag: that of --tls-ca is SLIPWAY_TLS_CA.
func variable(flag string) string {
	name := []byte("SLIPWAY_" + flag)
	for i, b := range name {
		switch {
		case b == '-':
			name[i] = '_'
		case 'a' <= b && b <= 'z':
			name[i] = b - 'a' + 'A'
		}
	}
	return string(name)
}

// prepare takes what the environment sets and no flag does, and checks the global flags.
func (c *cli) prepare(cmd *cobra.Command) error {
	f := cmd.Flags()
	names := []string{"token", "tls-ca", "insecure", "cluster"}
	for _, s := range endpoints() {
		names = append(names, s.name)
	}
	for _, name := range names {
		value := c.env(variable(name))
		if flag := f.Lookup(name); flag == nil || flag.Changed || value == "" {
			continue
		}
		if err := f.Set(name, value); err != nil {
			return &fault.Usage{Command: cmd.CommandPath(), Cause: fmt.Errorf("%s: %s is not taken", variable(name), strconv.Quote(value))}
		}
	}
	var wrong string
	switch {
	case c.output != "table" && c.output != "json" && c.output != "yaml":
		wrong = fmt.Sprintf("--output is table, json or yaml, not %q", c.output)
	case c.insecure && c.tlsCA != "":
		wrong = "--insecure and --tls-ca exclude each other"
	case c.timeout < 0:
		wrong = "--timeout must not be negative"
	}
	if wrong != "" {
		return usagef(cmd, "%s", wrong)
	}
	if c.timeout > 0 {
		ctx, cancel := context.WithTimeout(cmd.Context(), c.timeout)
		c.cancel = cancel
		cmd.SetContext(ctx)
	}
	return nil
}

// call bounds the calls of a command that does not follow anything.
func (c *cli) call(ctx context.Context) (context.Context, context.CancelFunc) {
	if c.timeout > 0 {
		return context.WithCancel(ctx) // it has the deadline already
	}
	return context.WithTimeout(ctx, callTimeout)
}

// interactive reports whether a person looks at what is written: a view may be redrawn.
func (c *cli) interactive() bool {
	_, _, ok := c.size()
	return ok && c.output == "table" && c.env("TERM") != "dumb"
}

// color reports whether colors may be used (https://no-color.org).
func (c *cli) color() bool { return c.interactive() && c.env("NO_COLOR") == "" }

func usagef(cmd *cobra.Command, format string, args ...any) error {
	return &fault.Usage{Command: cmd.CommandPath(), Cause: fmt.Errorf(format, args...)}
}
