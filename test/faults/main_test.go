// Package faults breaks a whole Slipway of real processes on a real PostgreSQL while deployments and requests go on, and checks that
// nothing is lost or doubled: that is what `make chaos` plays for minutes, and each fault once in `make test`.
package faults

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

var (
	minutes = flag.Int("minutes", 0, "how long faults are drawn at random; 0: each once")
	seed    = flag.Uint64("seed", 0, "of what is drawn; 0: another one each time")
	only    = flag.String("only", "", "which faults are drawn: those with this in their name")
	report  = flag.String("report", "", "file for the report of -minutes")
)

// programs is the folder of the programs that the tests run.
var programs string

func TestMain(m *testing.M) {
	flag.Parse()
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "slipway-faults-")
	if err != nil {
		return 0, err
	}
	programs = dir
	if err := build(); err != nil {
		return 0, errors.Join(err, os.RemoveAll(dir))
	}
	return m.Run(), os.RemoveAll(dir)
}

func build() error {
	for name, pkg := range map[string]string{
		"orchestrator": "./services/orchestrator", "hooks": "./services/hooks", "healthcheck": "./services/healthcheck", "alarms": "./services/alarms",
		"proxy": "./services/proxy", "runtime": "./services/runtime", "web": "./examples/web",
	} {
		if err := compile("../..", name, pkg); err != nil {
			return err
		}
	}
	return compile("../../tools/toxiproxy", "toxiproxy", "github.com/Shopify/toxiproxy/v2/cmd/server")
}

func compile(dir, name, pkg string) error {
	cmd := exec.CommandContext(context.Background(), "go", "build", "-o", filepath.Join(programs, name), pkg)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w: %s", pkg, err, out)
	}
	return nil
}
