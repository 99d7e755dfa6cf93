// Package command runs a program once: input on its standard input, a bounded answer from its standard output. It has an
// environment of its own and a process group of its own, which is killed when the context ends.
package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Command is a program to run.
type Command struct {
	Path string // absolute
	Args []string
	Env  []string // added to PATH and LANG, all there is otherwise
}

// Result is what a program that was run left.
type Result struct {
	Output  []byte // at most the limit
	Failure string // "" for exit code 0; else e.g. "exit status 3: the last line of standard error"
}

// ErrTransient says that the machine could not start a program now; it may later.
var ErrTransient = errors.New("the machine cannot start a program now")

const (
	maxErrorTail = 4 << 10
	// drain is how long output may come after the program has ended, from what it has left running.
	drain = time.Second
)

// The environment of every command. That of the service is not passed on: it holds the service's secrets.
const (
	pathVariable = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	langVariable = "LANG=C.UTF-8"
)

// Run runs a program in / until it ends. When ctx ends first its process group is killed and the error is that of ctx;
// other errors are about starting it.
func Run(ctx context.Context, c Command, input []byte, limit int) (Result, error) {
	cmd := exec.CommandContext(ctx, c.Path, c.Args...) // the operator allows it
	cmd.Dir = "/"
	cmd.Env = append([]string{pathVariable, langVariable}, c.Env...)
	cmd.Stdin = bytes.NewReader(input)
	output, problems := &head{limit: limit}, &tail{limit: maxErrorTail}
	cmd.Stdout, cmd.Stderr = output, problems
	cmd.WaitDelay = drain
	ownGroup(cmd)
	if err := cmd.Start(); err != nil {
		if ctx.Err() != nil {
			return Result{}, ctx.Err()
		}
		return Result{}, startError(err)
	}
	err := cmd.Wait()
	if ctx.Err() != nil {
		return Result{}, ctx.Err()
	}
	if errors.Is(err, exec.ErrWaitDelay) {
		killGroup(cmd) // what is left holds the output open, so the group is still this one
		err = nil
	}
	r := Result{Output: output.kept.Bytes()}
	if err != nil {
		r.Failure = err.Error()
		if line := problems.lastLine(); line != "" {
			r.Failure += ": " + line
		}
	}
	return r, nil
}

func startError(err error) error {
	for _, transient := range []error{syscall.EAGAIN, syscall.ENOMEM, syscall.ETXTBSY, syscall.EMFILE, syscall.ENFILE} {
		if errors.Is(err, transient) {
			return fmt.Errorf("%w: %w", ErrTransient, err)
		}
	}
	return err
}

// head keeps the beginning of what is written and throws the rest away, so that the program does not block.
type head struct {
	limit int
	kept  bytes.Buffer
}

var _ io.Writer = (*head)(nil)

func (h *head) Write(p []byte) (int, error) {
	h.kept.Write(p[:min(len(p), h.limit-h.kept.Len())])
	return len(p), nil
}

// tail keeps the end of what is written.
type tail struct {
	limit int
	kept  []byte
}

var _ io.Writer = (*tail)(nil)

func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p[max(len(p)-t.limit, 0):]...)
	if over := len(t.kept) - t.limit; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	return len(p), nil
}

func (t *tail) lastLine() string {
	text := strings.TrimSpace(string(t.kept))
	return strings.TrimSpace(text[strings.LastIndexByte(text, '\n')+1:])
}
