package postgresdev

import (
	"context"
	"errors"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

func TestARestartKeepsTheDataAndThePort(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "with a space")
	s := start(t, dir)
	first := s.URL()
	execSQL(t, first, "CREATE TABLE kept AS SELECT 42 AS n")
	stop(t, s)

	s = start(t, dir, durable)
	if s.URL() != first {
		t.Errorf("after the restart the URL is %s, want %s", s.URL(), first)
	}
	if n := queryInt(t, s.URL(), "SELECT n FROM kept"); n != 42 {
		t.Errorf("kept row is %d, want 42", n)
	}
	if got := queryText(t, s.URL(), "SHOW fsync"); got != "on" {
		t.Errorf("fsync is %s on a durable server, want on", got)
	}
}

func TestAnotherPortIsChosenWhenTheOldOneIsTaken(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir)
	old := portOf(t, s)
	stop(t, s)
	taken, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(old)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()

	s = start(t, dir)
	if portOf(t, s) == old {
		t.Fatalf("the server says it is on port %d, which another program holds", old)
	}
	if n := queryInt(t, s.URL(), "SELECT 1"); n != 1 {
		t.Errorf("SELECT 1 is %d", n)
	}
}

func TestASecondServerInTheSameFolderIsRefused(t *testing.T) {
	dir := t.TempDir()
	start(t, dir)
	if _, err := Start(t.Context(), dir, nil, ForTests()); !errors.Is(err, ErrInUse) {
		t.Fatalf("the second Start gives %v, want ErrInUse", err)
	}
}

func TestOnlyLoopbackWithThePasswordGetsIn(t *testing.T) {
	s := start(t, t.TempDir())
	u, err := url.Parse(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(role, "wrong")
	if conn, err := pgx.Connect(t.Context(), u.String()); err == nil {
		_ = conn.Close(t.Context())
		t.Error("a wrong password gets in")
	}
	if got := queryText(t, s.URL(), "SHOW listen_addresses"); got != "127.0.0.1" {
		t.Errorf("listen_addresses is %q", got)
	}
	info, err := os.Stat(filepath.Join(s.Folder(), "password"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("password file: %v, %v; want mode 0600", info.Mode(), err)
	}
}

func TestRootCanKeepTheDataWhereOnlyRootMayEnter(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root starts the server as another user")
	}
	hidden := filepath.Join(t.TempDir(), "hidden")
	if err := os.Mkdir(hidden, 0o700); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(hidden, "postgres")
	s := start(t, dir)
	execSQL(t, s.URL(), "CREATE TABLE kept AS SELECT 7 AS n")
	execSQL(t, s.URL(), "SELECT pg_reload_conf()")
	stop(t, s)
	s = start(t, dir)
	if n := queryInt(t, s.URL(), "SELECT n FROM kept"); n != 7 {
		t.Errorf("kept row is %d, want 7", n)
	}
}

// A killed server (not only its program) leaves busy sessions behind, which hold its shared memory.
func TestAServerThatWasKilledWithABusySessionStartsAgain(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir, durable)
	execSQL(t, s.URL(), "CREATE TABLE kept AS SELECT 5 AS n")
	busy := make(chan error, 1)
	go func() {
		conn, err := pgx.Connect(context.WithoutCancel(t.Context()), s.URL()+"&application_name=busy")
		if err == nil {
			_, err = conn.Exec(t.Context(), "SELECT count(*) FROM generate_series(1, 100000000000)")
		}
		busy <- err
	}()
	eventually(t, "the session is busy", func() bool {
		return queryInt(t, s.URL(), "SELECT count(*)::int FROM pg_stat_activity WHERE application_name = 'busy' AND state = 'active'") == 1
	})
	if err := syscall.Kill(s.Pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-s.process.done
	stop(t, s)

	s = start(t, dir, durable)
	if n := queryInt(t, s.URL(), "SELECT n FROM kept"); n != 5 {
		t.Errorf("kept row is %d, want 5", n)
	}
	if err := <-busy; err == nil {
		t.Error("the busy session of the killed server ended well")
	}
}

func TestAPidFileWhoseNumberIsAnotherProgramsIsNoObstacle(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir)
	file := filepath.Join(s.folder.data(), "postmaster.pid")
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	stop(t, s)
	other := sleeperOf(t, s.folder.owner) // the same user as the server: postgres itself would refuse
	_, rest, _ := cutLine(string(content))
	if err := s.folder.writeOwned(file, strconv.Itoa(other)+"\n"+rest); err != nil {
		t.Fatal(err)
	}
	s = start(t, dir)
	if !alive(other) {
		t.Error("the other program was ended")
	}
	if n := queryInt(t, s.URL(), "SELECT 1"); n != 1 {
		t.Errorf("SELECT 1 is %d", n)
	}
}

func TestStartEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Start(ctx, t.TempDir(), nil, ForTests()); !errors.Is(err, context.Canceled) {
		t.Fatalf("Start with a canceled context gives %v", err)
	}
}

func TestASlowStopIsCutShort(t *testing.T) {
	s := start(t, t.TempDir())
	if err := s.process.cmd.Process.Signal(syscall.SIGSTOP); err != nil { // it cannot react to SIGINT
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := s.Stop(ctx); err == nil {
		t.Error("Stop of a stuck server tells nothing")
	}
	if alive(s.Pid()) {
		t.Error("the server lives on")
	}
}
