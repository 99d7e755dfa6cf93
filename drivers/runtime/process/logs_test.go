//go:build linux || darwin

package process

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	"github.com/slipway-deploy/slipway/platform/problem"
)

func TestTheLogsOfTheLastForgottenTasksAreKept(t *testing.T) {
	t.Parallel()
	d := open(t, Config{Dir: t.TempDir(), KeepLogs: 2})
	set := oneTask(t, shell("echo I am $SLIPWAY_TASK; exec sleep 300"))
	var names []string
	for i := range 4 {
		name := fmt.Sprintf("%s-%d", set.ID, i+1)
		names = append(names, name)
		set.Tasks = []string{name}
		ensure(t, d, 1, set)
		reaches(t, d, name, runtime.Running)
		logged(t, d, name, "I am "+name)
		eventually(t, "the one before is forgotten", func() bool {
			entries, err := os.ReadDir(d.cfg.tasksDir())
			return err == nil && len(entries) == 1
		})
	}
	var kept []string
	for _, name := range names {
		var out strings.Builder
		err := d.Logs(t.Context(), name, runtime.LogOptions{Tail: 1, Follow: name != names[3]}, &out)
		if err == nil && out.String() == "I am "+name+"\n" {
			kept = append(kept, name)
		} else if !errors.Is(err, problem.NotFound) {
			t.Errorf("%s: got %q, %v", name, &out, err)
		}
	}
	if !slices.Equal(kept, names[1:]) {
		t.Errorf("kept are %v, want the last two and the one that runs", kept)
	}
}

func TestTheLogOfATaskThatRunsIsKeptSmall(t *testing.T) {
	t.Parallel()
	d := open(t, Config{Dir: t.TempDir(), LogBytes: 4 << 10})
	set := oneTask(t, shell("i=0; while [ $i -lt 2000 ]; do i=$((i+1)); echo line $i; done; echo end; exec sleep 300"))
	ensure(t, d, 1, set)
	logged(t, d, set.Tasks[0], "line 2000\nend\n")
	path := d.cfg.containerLog(set.Service, set.Tasks[0], "app")
	eventually(t, "the file is cut", func() bool {
		info, err := os.Stat(path)
		return err == nil && info.Size() <= 4<<10
	})
	if info, err := os.Stat(path + ".1"); err != nil || info.Size() > 3*4<<10 {
		t.Errorf("the older file: %v, %v", info, err)
	}
	var out strings.Builder
	if err := d.Logs(t.Context(), set.Tasks[0], runtime.LogOptions{Tail: 1}, &out); err != nil || out.String() != "end\n" {
		t.Errorf("got %q, %v", &out, err)
	}
	if err := d.Logs(t.Context(), set.Tasks[0], runtime.LogOptions{Container: "other"}, io.Discard); !errors.Is(err, problem.InvalidArgument) {
		t.Errorf("an unknown container: got %v", err)
	}
}
