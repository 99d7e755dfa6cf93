// Package config fills a program's configuration struct from flags, the environment and defaults, and reports
// every problem at once. It knows no setting.
//
// Each field that can be set has tags:
//
//	Listen string `flag:"listen" env:"SLIPWAY_LISTEN" default:"127.0.0.1:7001" help:"address to serve on"`
//
// A flag wins over the environment, that over the value the struct held before, that over the default tag.
// A struct field is filled too; its own tags go before those inside: in
//
//	Hooks grpcclient.Config `flag:"hooks" env:"SLIPWAY_HOOKS"`
//
// the inner flag "target" with SLIPWAY_TARGET is -hooks-target with SLIPWAY_HOOKS_TARGET. A field without a flag
// tag, or with flag:"-", is left alone. secret:"true" keeps a value out of the help and of error texts.
package config

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/slipway-deploy/slipway/platform/problem"
)

// ErrHelp is what Load returns after it printed the help text; a program then ends with status 0.
var ErrHelp = flag.ErrHelp

// Error is everything that is wrong with a configuration.
type Error struct {
	// Problems holds one line each.
	Problems []string
}

// Error is all the problems, one in a line.
func (e *Error) Error() string {
	if len(e.Problems) == 1 {
		return "configuration: " + e.Problems[0]
	}
	return fmt.Sprintf("configuration, %d problems:\n  %s", len(e.Problems), strings.Join(e.Problems, "\n  "))
}

// Load fills into, a pointer to a struct, for the program called name, from args (without the program's name) and
// the environment, then calls into's Validate() error if it has one. With -h or --help it prints the flags to
// standard output and returns ErrHelp. Any other error is an *Error.
func Load(name string, args []string, into any) error {
	return load(name, args, into, os.LookupEnv, os.Stdout)
}

func load(name string, args []string, into any, env func(string) (string, bool), out io.Writer) error {
	settings, err := settingsOf(into)
	if err != nil {
		return err
	}
	var problems []string
	add := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	for _, s := range settings {
		if err := s.setDefault(); err != nil {
			add("default of -%s: %v", s.flag, err)
		}
	}
	help := func() { printHelp(out, name, settings) }
	for _, s := range settings {
		if text, ok := env(s.env); ok && s.env != "" && text != "" {
			if err := s.set(text); err != nil {
				add("%s: %v", s.env, err)
			}
		}
	}
	if err := parseFlags(args, settings, add); err != nil {
		help()
		return err
	}
	if v, ok := into.(interface{ Validate() error }); ok {
		problems = append(problems, lines(v.Validate())...)
	}
	if len(problems) > 0 {
		return &Error{Problems: problems}
	}
	return nil
}

// parseFlags sets what args say. The only error is ErrHelp; problems are added.
func parseFlags(args []string, settings []*setting, add func(string, ...any)) error {
	set := flag.NewFlagSet("", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.Usage = func() {}
	for _, s := range settings {
		set.Var(&flagValue{setting: s, failed: func(err error) { add("-%s: %v", s.flag, err) }}, s.flag, s.help)
	}
	rest := args
	for {
		err := set.Parse(rest)
		if errors.Is(err, flag.ErrHelp) {
			return ErrHelp
		}
		if err == nil {
			break
		}
		add("%v", err) // an unknown flag or a missing value; go on behind it
		if rest = set.Args(); len(rest) == 0 {
			break
		}
	}
	for _, arg := range set.Args() {
		add("unexpected argument %q", arg)
	}
	return nil
}

// lines takes an error apart: joined errors and violations become a line each.
func lines(err error) []string {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []string
		for _, e := range joined.Unwrap() {
			all = append(all, lines(e)...)
		}
		return all
	}
	if p := problem.As(err); p != nil && len(p.Violations) > 0 {
		all := make([]string, 0, len(p.Violations))
		for _, v := range p.Violations {
			all = append(all, v.String())
		}
		return all
	}
	return []string{err.Error()}
}

func printHelp(out io.Writer, name string, settings []*setting) {
	_, _ = fmt.Fprintf(out, "Usage: %s [flags]\n\nA flag wins over its environment variable.\n\n", name)
	for _, s := range settings {
		_, _ = fmt.Fprintf(out, "  -%s %s\n", s.flag, s.kind())
		line := s.help
		if s.env != "" {
			line += " [" + s.env + "]"
		}
		if shown := s.shown(); shown != "" {
			line += " (default " + shown + ")"
		}
		_, _ = fmt.Fprintf(out, "        %s\n", strings.TrimSpace(line))
	}
}
