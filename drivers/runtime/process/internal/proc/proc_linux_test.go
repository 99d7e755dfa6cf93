package proc_test

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/slipway-deploy/slipway/drivers/runtime/process/internal/proc"
)

func TestWhatIsLeftOfTheGroupIsSignalledAfterTheLeaderIsGone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "child")
	h := start(t, "sleep 300 & echo $! >"+file)
	wait(t, h)
	h.Reap() // from here on the id of the leader is nobody's
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	childStart, err := proc.StartTime(child)
	if err != nil {
		t.Fatal(err)
	}
	orphan := open(t, proc.Process{PID: child, Start: childStart})
	if err := h.SignalGroup(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	wait(t, orphan)
	if got := orphan.Reap(); got.Known {
		t.Errorf("the exit of a process that is no child of ours: got %+v", got)
	}
}

func TestAProcessIsFoundByItsOutput(t *testing.T) {
	file := filepath.Join(t.TempDir(), "out.log")
	output, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer output.Close()
	want := run(t, proc.Command{
		Path: "/bin/sh", Args: []string{"sh", "-c", "sleep 300; exit 0"}, Dir: "/", Output: output,
	}).Process()
	found, err := proc.Find("SLIPWAY_TEST_NOT_SET", map[string]string{file: "mark"})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(found["mark"], want) {
		t.Errorf("got %+v, want %+v among them", found["mark"], want)
	}
}
