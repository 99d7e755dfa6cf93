//go:build unix

package command_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/slipway-deploy/slipway/drivers/hook/command"
)

func sh(text string, args ...string) command.Command {
	return command.Command{Path: "/bin/sh", Args: append([]string{"-c", text, "sh"}, args...), Env: []string{"EXTRA=1"}}
}

func TestACommandHasNothingOfTheServicesEnvironment(t *testing.T) {
	t.Setenv("DATABASE_URL", "postgres://secret")
	r, err := command.Run(t.Context(), command.Command{Path: "/usr/bin/env", Env: []string{"EXTRA=1"}}, nil, 1000)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(string(r.Output)) {
		name, _, _ := strings.Cut(line, "=")
		names = append(names, name)
	}
	if got := strings.Join(names, " "); got != "PATH LANG EXTRA" {
		t.Errorf("it has %s", got)
	}
}

func TestOutputIsBoundedAndDoesNotBlock(t *testing.T) {
	r, err := command.Run(t.Context(), sh("head -c 1000000 /dev/zero; echo last words >&2; exit 7"), nil, 100)
	if err != nil || len(r.Output) != 100 || r.Failure != "exit status 7: last words" {
		t.Errorf("%d bytes, %q, %v", len(r.Output), r.Failure, err)
	}
}

func TestInputThatIsNotReadIsNoFailure(t *testing.T) {
	r, err := command.Run(t.Context(), sh("echo ok"), make([]byte, 1<<20), 100)
	if err != nil || string(r.Output) != "ok\n" || r.Failure != "" {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestWhatCannotBeStartedSaysWhy(t *testing.T) {
	_, err := command.Run(t.Context(), command.Command{Path: "/nobody/there"}, nil, 100)
	if !errors.Is(err, os.ErrNotExist) || errors.Is(err, command.ErrTransient) {
		t.Errorf("%v", err)
	}
}

// When the context ends everything that the command has begun ends, also what it does not wait for.
func TestTheWholeProcessGroupIsKilled(t *testing.T) {
	note := filepath.Join(t.TempDir(), "pid")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, err := command.Run(ctx, sh(`sleep 600 & echo $! >"$1.new"; mv "$1.new" "$1"; wait`, note), nil, 100)
		done <- err
	}()
	child := eventually(t, func() int {
		text, err := os.ReadFile(note)
		if err != nil {
			return 0
		}
		pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
		return pid
	})
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
	eventually(t, func() int {
		if gone(child) {
			return 1
		}
		return 0
	})
}

// gone reports whether a process has ended, also when nobody has waited for it yet.
func gone(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return true
	}
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && strings.Contains(string(status), ") Z ")
}

// What is left running and holds the output open does not hold the answer.
func TestAnAnswerDoesNotWaitForWhatIsLeftRunning(t *testing.T) {
	began := time.Now()
	r, err := command.Run(t.Context(), sh("sleep 600 & echo $!"), nil, 100)
	if err != nil || r.Failure != "" || time.Since(began) > 30*time.Second {
		t.Fatalf("%+v, %v after %s", r, err, time.Since(began))
	}
	child, err := strconv.Atoi(strings.TrimSpace(string(r.Output)))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, func() int {
		if gone(child) {
			return 1
		}
		return 0
	})
}

// eventually polls until there is a value that is not 0.
func eventually(t *testing.T, get func() int) int {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(20 * time.Second); ; {
		if v := get(); v != 0 {
			return v
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("it did not come")
		}
	}
}
