package postgresdev

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

const helperFolder = "SLIPWAY_TEST_POSTGRESDEV_FOLDER"

// TestProgram is no test: it is the program that TestKillOfTheProgram runs and kills.
func TestProgram(t *testing.T) {
	dir := os.Getenv(helperFolder)
	if dir == "" {
		t.Skip("only for TestKillOfTheProgram")
	}
	s, err := Start(t.Context(), dir, nil, ForTests())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("up %d %s\n", s.Pid(), s.URL())
	_, _ = io.Copy(io.Discard, os.Stdin) // until the pipe breaks
	_ = s.Stop(t.Context())
}

type program struct {
	cmd *exec.Cmd
	pid int // of the server
	url string
}

func startProgram(t *testing.T, dir string) *program {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestProgram$", "-test.count=1")
	cmd.Env = append(os.Environ(), helperFolder+"="+dir)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stdin.Close() })
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) == 3 && fields[0] == "up" {
			pid, err := strconv.Atoi(fields[1])
			if err != nil {
				t.Fatal(err)
			}
			return &program{cmd: cmd, pid: pid, url: fields[2]}
		}
		t.Log(lines.Text())
	}
	t.Fatal("the program ended before its server was up")
	return nil
}

func (p *program) kill(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.cmd.Wait() // killed
}

func TestKillOfTheProgram(t *testing.T) {
	t.Run("ends its server", func(t *testing.T) {
		if runtime.GOOS != "linux" {
			t.Skip("only Linux signals a child when its parent dies")
		}
		p := startProgram(t, t.TempDir())
		p.kill(t)
		eventually(t, "the server is gone", func() bool { return !isRunning(p.pid) })
	})

	t.Run("and an immediate restart finds the data on the same port", func(t *testing.T) {
		dir := t.TempDir()
		p := startProgram(t, dir)
		execSQL(t, p.url, "CREATE TABLE kept AS SELECT 9 AS n")
		p.kill(t)
		s := start(t, dir) // at once: the server may be dying still
		if s.URL() != p.url {
			t.Errorf("the restarted server is at %s, want %s", s.URL(), p.url)
		}
		if n := queryInt(t, s.URL(), "SELECT n FROM kept"); n != 9 {
			t.Errorf("kept row is %d, want 9", n)
		}
	})
}

// Without a death signal, as on macOS, the server of a killed program lives on.
func TestAServerThatOutlivedItsProgramIsReplaced(t *testing.T) {
	dir := t.TempDir()
	left := start(t, dir)
	execSQL(t, left.URL(), "CREATE TABLE kept AS SELECT 11 AS n")
	left.folder.close() // what the end of the program does

	s := start(t, dir)
	if isRunning(left.Pid()) {
		t.Error("two servers live on one data folder")
	}
	if s.URL() != left.URL() {
		t.Errorf("the new server is at %s, want %s", s.URL(), left.URL())
	}
	if n := queryInt(t, s.URL(), "SELECT n FROM kept"); n != 11 {
		t.Errorf("kept row is %d, want 11", n)
	}
}

// isRunning is alive, but false for a zombie that nobody has waited for.
func isRunning(pid int) bool {
	if !alive(pid) {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return runtime.GOOS != "linux"
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}
