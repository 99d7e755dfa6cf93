//go:build linux || darwin

package process

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slipway-deploy/slipway/drivers/runtime"
)

// helperVariable makes the test binary a driver on the folder that it names.
const helperVariable = "SLIPWAY_TEST_HELPER"

// blockVariable names the point at which that driver stops for ever.
const blockVariable = "SLIPWAY_TEST_BLOCK"

// helperOrder is one EnsureTaskSet for the helper, as a line of JSON.
type helperOrder struct {
	Generation int64
	Set        runtime.TaskSet
}

// helperMain is a driver in a process of its own: it reads orders and writes a line for each thing that happens.
func helperMain() int {
	var mu sync.Mutex
	say := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Printf(format+"\n", args...)
	}
	block := os.Getenv(blockVariable)
	d, err := New(Config{Dir: os.Getenv(helperVariable), at: func(point string) error {
		if block != "" && point == block {
			say("at %s", point)
			select {}
		}
		return nil
	}}, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		say("error %v", err)
		return 1
	}
	go func() {
		_ = d.Watch(context.Background(), func(u runtime.Update) {
			for _, task := range u.Tasks {
				say("%s %s", task.Name, task.State)
			}
		})
	}()
	say("ready")
	orders := json.NewDecoder(os.Stdin)
	for {
		var order helperOrder
		if err := orders.Decode(&order); err != nil {
			return 0
		}
		if err := d.EnsureTaskSet(context.Background(), order.Generation, order.Set); err != nil {
			say("error %v", err)
		} else {
			say("accepted %d", order.Generation)
		}
	}
}

// helper is such a process, seen from the test.
type helper struct {
	t     *testing.T
	cmd   *exec.Cmd
	in    *json.Encoder
	lines chan string
	once  sync.Once
}

// startHelper starts a driver on dir that stops at the point block; empty: nowhere.
func startHelper(t *testing.T, dir, block string) *helper {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), helperVariable+"="+dir, blockVariable+"="+block)
	cmd.Stderr = t.Output()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	h := &helper{t: t, cmd: cmd, in: json.NewEncoder(in), lines: make(chan string, 1000)}
	go h.read(out)
	t.Cleanup(h.kill)
	return h
}

func (h *helper) read(out io.Reader) {
	defer close(h.lines)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		h.lines <- lines.Text()
	}
}

func (h *helper) order(generation int64, set runtime.TaskSet) {
	h.t.Helper()
	if err := h.in.Encode(helperOrder{Generation: generation, Set: set}); err != nil {
		h.t.Fatal(err)
	}
}

// expect waits for lines, in any order.
func (h *helper) expect(want ...string) {
	h.t.Helper()
	deadline := time.After(patience)
	var seen []string
	for len(want) > 0 {
		select {
		case line, ok := <-h.lines:
			if !ok || strings.HasPrefix(line, "error") {
				h.t.Fatalf("got %q and then %q; want %q", seen, line, want)
			}
			want = slices.DeleteFunc(want, func(w string) bool { return w == line })
			seen = append(seen, line)
		case <-deadline:
			h.t.Fatalf("got %q; want %q", seen, want)
		}
	}
}

// kill kills the driver as kill -9 does and returns when it is gone.
func (h *helper) kill() {
	h.once.Do(func() {
		_ = h.cmd.Process.Kill()
		for range h.lines { // to the end, so that the pipe is not closed under the reader
		}
		_ = h.cmd.Wait()
	})
}
