package postgresdev

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	fastStop      = 10 * time.Second // after SIGINT: sessions are cut, the data is flushed
	immediateStop = 3 * time.Second  // after SIGQUIT: recovery at the next start
	leftoverStop  = 5 * time.Second  // for each signal to a server of an earlier run
)

// Stop shuts the server down, fast but clean; when ctx ends first, at once. The data stays. Stopping twice is
// fine.
func (s *Server) Stop(ctx context.Context) error {
	defer s.folder.close()
	s.process.signal(syscall.SIGINT)
	select {
	case <-s.process.done:
		return nil
	case <-ctx.Done():
	case <-time.After(fastStop):
	}
	s.kill()
	return fmt.Errorf("PostgreSQL in %s was slow to stop and was ended at once; it recovers at the next start", s.folder.dir)
}

func (s *Server) kill() {
	s.process.signal(syscall.SIGQUIT)
	select {
	case <-s.process.done:
	case <-time.After(immediateStop):
		s.process.signal(syscall.SIGKILL)
		<-s.process.done
	}
}

// endLeftover waits for the end of a server that an earlier, killed program left on this data folder. The
// caller holds the folder's lock, so no living program owns that server.
func endLeftover(ctx context.Context, data string, log *slog.Logger) error {
	if pid := leftoverPid(data); isServerOf(pid, data) {
		log.Info("waiting for the PostgreSQL of an earlier run to end", "pid", pid)
		if err := end(ctx, pid, data, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGKILL); err != nil {
			return err
		}
	} else if pid != 0 && alive(pid) {
		// The id was given to another program; postgres would take it for its own server and refuse to start.
		if err := os.Remove(filepath.Join(data, "postmaster.pid")); err != nil {
			return err
		}
	}
	for _, pid := range sessionsOf(data) { // they outlive a killed server while they are busy, and hold its memory
		if err := end(ctx, pid, data, syscall.SIGQUIT, syscall.SIGKILL); err != nil {
			return err
		}
	}
	return nil
}

// end sends the signals, one after another, until the process is gone.
func end(ctx context.Context, pid int, data string, signals ...syscall.Signal) error {
	for _, signal := range signals {
		_ = syscall.Kill(pid, signal)
		if gone(ctx, pid, data, leftoverStop) {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return fmt.Errorf("process %d of an earlier PostgreSQL does not end", pid)
}

// sessionsOf lists the postgres processes that work in the data folder; only Linux can tell.
func sessionsOf(data string) []int {
	names, _ := filepath.Glob("/proc/[0-9]*") // the only error is a bad pattern
	var pids []int
	for _, name := range names {
		pid, err := strconv.Atoi(filepath.Base(name))
		if err == nil && readTrimmed(name, "comm") == "postgres" && isServerOf(pid, data) {
			pids = append(pids, pid)
		}
	}
	return pids
}

func gone(ctx context.Context, pid int, data string, wait time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	ticker := time.NewTicker(probePause)
	defer ticker.Stop()
	for isServerOf(pid, data) {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// leftoverPid reads the first line of postmaster.pid; 0 when there is none.
func leftoverPid(data string) int {
	line, _, _ := strings.Cut(readTrimmed(data, "postmaster.pid"), "\n")
	pid, err := strconv.Atoi(line)
	if err != nil || pid <= 1 {
		return 0
	}
	return pid
}

func alive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || err == syscall.EPERM
}

// isServerOf reports whether pid is a living server on the data folder. On Linux that is the process whose
// working directory the folder is; a zombie has none.
func isServerOf(pid int, data string) bool {
	if pid == 0 || !alive(pid) {
		return false
	}
	if runtime.GOOS == "linux" {
		cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
		return err == nil && cwd == data
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	line, err := exec.CommandContext(ctx, "ps", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	return err == nil && strings.Contains(string(line), data)
}
