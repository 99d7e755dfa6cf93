package test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slipway-deploy/slipway/internal/stack"
)

// step is a command of a page and the lines of its output that the page shows.
type step struct {
	command string
	shown   []string
}

// steps reads the console blocks of a page.
func steps(t *testing.T, page string) []step {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var list []step
	for i, block := range strings.Split(string(text), "```") {
		body, ok := strings.CutPrefix(block, "console\n")
		if i%2 == 0 || !ok {
			continue
		}
		for line := range strings.Lines(body) {
			line = strings.TrimRight(line, "\n")
			if command, ok := strings.CutPrefix(line, "$ "); ok {
				list = append(list, step{command: command})
			} else if n := len(list); n > 0 && line != "" {
				list[n-1].shown = append(list[n-1].shown, line)
			}
		}
	}
	return list
}

// docs/grpcurl.md is run from top to bottom, against a system of its own.
func TestThePageOnGrpcurlIsTrue(t *testing.T) {
	s := startStack(t, stack.Config{})
	bin := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-modfile=tools/go.mod", "-o", bin, "github.com/fullstorydev/grpcurl/cmd/grpcurl")
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build grpcurl: %v: %s", err, out)
	}
	here := strings.NewReplacer(
		"127.0.0.1:7001", s.Addresses.Orchestrator, "127.0.0.1:7003", s.Addresses.Healthcheck, "127.0.0.1:7004", s.Addresses.Alarms,
		"127.0.0.1:8080", freeAddress(t), "127.0.0.1:8081", freeAddress(t), "$PWD/bin/slipway-example-web", program(t, "web"),
	)
	list := steps(t, "../docs/grpcurl.md")
	if len(list) < 20 {
		t.Fatalf("the page has %d commands", len(list))
	}
	script := "set -euo pipefail\n"
	for i, st := range list {
		script += fmt.Sprintf("printf '\\n@@ %d\\n'\n%s\n", i, here.Replace(st.command))
	}
	file := filepath.Join(bin, "page.sh")
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	run := exec.CommandContext(ctx, "bash", file)
	run.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
	out, err := run.CombinedOutput()
	parts := strings.Split(string(out), "\n@@ ")[1:]
	if err != nil {
		last := list[max(0, len(parts)-1)]
		t.Fatalf("$ %s\n%v: %s", last.command, err, parts[len(parts)-1])
	}
	for i, st := range list {
		for _, line := range st.shown {
			if !strings.Contains(parts[i], line) {
				t.Errorf("$ %s\nthe page shows %q, and it printed:\n%s", st.command, line, parts[i])
			}
		}
	}
}
