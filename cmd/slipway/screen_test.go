package main

import (
	"strings"
	"testing"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

const (
	takesScreen = "\x1b[?1049h\x1b[?25l"
	givesScreen = "\x1b[?25h\x1b[?1049l"
)

func TestOnATerminalTheViewIsRedrawnAndStaysAtTheEnd(t *testing.T) {
	t.Parallel()
	f, address := start(t)
	f.addService("web")
	r := terminal{width: 100, height: 40}.start(t, address, "deploy", "web", "--task-definition", "web:2")
	r.out.contains(t, takesScreen)
	r.out.contains(t, "IN_PROGRESS")
	f.change("d-2", 4, "TASK_HEALTHY", "task web-2-1 is healthy", func(*orchestratorpb.Deployment) {})
	r.out.contains(t, "task web-2-1 is healthy")
	f.end("d-2", orchestratorpb.Deployment_STATE_SUCCESSFUL, "")
	s := <-r.done
	s.want(t, 0)
	_, after, gave := strings.Cut(s.out, givesScreen)
	if !gave || !strings.Contains(after, "SUCCESSFUL") || !strings.HasSuffix(after, "deployment d-2 SUCCESSFUL after 12s: web:2 is live\n") {
		t.Errorf("after the screen was given back there is\n%s", after)
	}
	if strings.Contains(after, "Ctrl-C") || strings.Contains(after, "\x1b[?") {
		t.Errorf("the last picture is not a plain text:\n%q", after)
	}
}

func TestCtrlCGivesTheTerminalBack(t *testing.T) {
	t.Parallel()
	f, address := start(t)
	f.addService("web")
	r := terminal{width: 100, height: 40}.start(t, address, "deploy", "web", "--task-definition", "web:2")
	r.out.contains(t, "IN_PROGRESS")
	s := r.left(t)
	s.want(t, 130, givesScreen, "left; deployment d-2 goes on (IN_PROGRESS). Come back with: slipway watch d-2. Stop it with: slipway stop d-2\n")
}

func TestALostConnectionIsShownInTheView(t *testing.T) {
	t.Parallel()
	f, address := start(t)
	f.addService("web")
	f.breakAfter = make([]int, 8) // the client makes four attempts before it says that the connection is lost
	r := terminal{width: 100, height: 40}.start(t, address, "deploy", "web", "--task-definition", "web:2")
	r.out.contains(t, "connection lost: ")
	f.end("d-2", orchestratorpb.Deployment_STATE_SUCCESSFUL, "")
	(<-r.done).want(t, 0)
}

func TestColorsAreForTerminalsThatWantThem(t *testing.T) {
	t.Parallel()
	f, address := start(t)
	f.addService("web")
	for name, test := range map[string]struct {
		terminal terminal
		color    bool
	}{
		"a terminal":          {terminal{width: 80, height: 30}, true},
		"NO_COLOR":            {terminal{width: 80, height: 30, env: map[string]string{"NO_COLOR": "1"}}, false},
		"a dumb terminal":     {terminal{width: 80, height: 30, env: map[string]string{"TERM": "dumb"}}, false},
		"a file":              {terminal{}, false},
		"a terminal and JSON": {terminal{width: 80, height: 30}, false},
	} {
		args := []string{"status", "web"}
		if strings.HasSuffix(name, "JSON") {
			args = append(args, "-o", "json")
		}
		s := test.terminal.slipway(t.Context(), address, args...)
		if s.want(t, 0); strings.Contains(s.out, "\x1b[") != test.color {
			t.Errorf("%s: colors are %v, want %v", name, !test.color, test.color)
		}
	}
	ascii := terminal{env: map[string]string{"LANG": "C"}}.slipway(t.Context(), address, "status", "web")
	for _, r := range ascii.out {
		if r > 127 {
			t.Fatalf("%q is shown where the locale has no Unicode", r)
		}
	}
}
