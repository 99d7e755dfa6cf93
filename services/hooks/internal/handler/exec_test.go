package handler

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slipway-deploy/slipway/services/hooks/internal/invocation"
)

// script writes a program and returns its path.
func script(t *testing.T, directory, name, text string) string {
	t.Helper()
	path := filepath.Join(directory, name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func runCommand(t *testing.T, allowed []string, path string, timeout time.Duration, args ...string) Reply {
	t.Helper()
	return NewCaller(Config{Commands: allowed}, quiet()).Call(t.Context(), Call{
		Target: invocation.Target{Kind: invocation.Exec, Address: path, Args: args}, Invocation: "d-1/X/0/smoke", Attempt: 3,
		Request: `{"executionId":"d-1/X/0/smoke"}`, Timeout: timeout,
	})
}

func TestACommandReadsTheRequestAndWritesTheAnswer(t *testing.T) {
	directory := t.TempDir()
	path := script(t, directory, "smoke", `test "$(cat)" = '{"executionId":"d-1/X/0/smoke"}' || exit 1
echo "{\"hookStatus\":\"SUCCEEDED\",\"reason\":\"$1 $SLIPWAY_INVOCATION_ID $SLIPWAY_ATTEMPT\"}"`)
	r := runCommand(t, []string{directory}, path, 5*time.Second, "first")
	if e, ok := r.Event.(invocation.Answered); !ok || e.Answer.Status != "SUCCEEDED" || e.Answer.Reason != "first d-1/X/0/smoke 3" {
		t.Errorf("%+v", r)
	}
}

func TestWhatACommandCannotAnswer(t *testing.T) {
	directory := t.TempDir()
	for name, tt := range map[string]struct{ text, want string }{
		"an exit code":  {"echo begun >&2; echo no disk >&2; exit 3", "the command failed: exit status 3: no disk"},
		"a signal":      {"kill -9 $$", "the command failed: signal: killed"},
		"another shape": {"echo done", "answered what is not a JSON object: done"},
		"too much":      {"head -c 70000 /dev/zero", "answered more than 65536 bytes"},
	} {
		r := runCommand(t, []string{directory}, script(t, directory, "x", tt.text), 5*time.Second)
		var got string
		switch e := r.Event.(type) {
		case invocation.Unanswered:
			if got = e.Error; !e.Final {
				t.Errorf("%s: tried again", name)
			}
		case invocation.Answered:
			got = e.Answer.Broken
		}
		if strings.TrimSpace(got) != tt.want || len(r.Response) > MaxAnswer {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
	slow := runCommand(t, []string{directory}, script(t, directory, "slow", "sleep 60"), 50*time.Millisecond)
	if u, ok := slow.Event.(invocation.Unanswered); !ok || u.Final || !u.Begun || u.Error != "no answer within 50ms" {
		t.Errorf("%+v", slow)
	}
}

// What is allowed is looked at again when the command is run, with links followed.
func TestACommandThatIsNotAllowedIsNotRun(t *testing.T) {
	allowed, elsewhere := t.TempDir(), t.TempDir()
	marker := filepath.Join(elsewhere, "ran")
	outside := script(t, elsewhere, "outside", fmt.Sprintf("touch %s", marker))
	link := filepath.Join(allowed, "link")
	if err := os.Symlink(outside, link); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		outside:                          "is not among the commands that the operator allows",
		link:                             "which the operator does not allow",
		filepath.Join(allowed, "nobody"): "cannot be found",
		allowed + "/../x":                "must be an absolute path without . and ..",
	} {
		r := runCommand(t, []string{allowed}, path, 5*time.Second)
		if u, ok := r.Event.(invocation.Unanswered); !ok || !u.Final || !strings.Contains(u.Error, want) {
			t.Errorf("%s: %+v, want %q", path, r, want)
		}
	}
	if r := runCommand(t, nil, outside, 5*time.Second); !strings.Contains(r.Error, "the operator allows no commands") {
		t.Errorf("with nothing allowed: %+v", r)
	}
	if _, err := os.Stat(marker); err == nil {
		t.Error("it was run")
	}
	if r := runCommand(t, []string{link}, link, 5*time.Second); strings.Contains(r.Error, "allow") {
		t.Errorf("a link that is allowed itself: %+v", r)
	}
}
