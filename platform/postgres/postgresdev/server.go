// Package postgresdev runs a private PostgreSQL from the binaries on this machine, for `slipway dev` and for
// tests: no container, no configuration. The server listens on loopback only, with a password kept in its folder,
// and ends with this process. It knows nothing of schemas; Linux and macOS only.
package postgresdev

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	role         = "slipway" // superuser and database of the private server
	startTimeout = 60 * time.Second
	portAttempts = 5
	probePause   = 20 * time.Millisecond
)

// Server is a running private PostgreSQL.
type Server struct {
	folder   *folder
	program  string
	process  *process
	port     int
	password string
}

// Option changes how Start runs the server.
type Option func(*options)

type options struct {
	settings  []string
	forgetful bool // fsync is off
}

// ForTests gives up durability for speed: fsync and autovacuum off, more connections. Data survives the end of
// the server but not always a power cut: data that does not start is made anew.
func ForTests() Option {
	return func(o *options) {
		o.forgetful = true
		o.settings = append(o.settings, "fsync=off", "synchronous_commit=off", "full_page_writes=off", "autovacuum=off",
			"max_connections=300", "shared_buffers=64MB", "wal_level=minimal", "max_wal_senders=0", "max_wal_size=256MB")
	}
}

// Start runs a server whose data lives in dir and returns when it answers. dir is made when it is missing; a
// folder of an earlier run is used again, on the same port when that is free, also after a kill -9 of the
// program that ran it. The server stops by itself when this process ends (on Linux at once, elsewhere at the
// next Start). Without PostgreSQL on the machine the error is one sentence that says what to do.
func Start(ctx context.Context, dir string, log *slog.Logger, opts ...Option) (*Server, error) {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	f, err := openFolder(dir, log)
	if err != nil {
		return nil, err
	}
	s := &Server{folder: f}
	err = s.start(ctx, o, log)
	if err != nil && o.forgetful && ctx.Err() == nil && !errors.Is(err, ErrNotInstalled) {
		log.Warn("the data is made anew", "folder", f.dir, "error", err)
		if err = os.RemoveAll(f.data()); err == nil {
			err = s.start(ctx, o, log)
		}
	}
	if err != nil {
		f.close()
		return nil, fmt.Errorf("start PostgreSQL in %s: %w", f.dir, err)
	}
	return s, nil
}

func (s *Server) start(ctx context.Context, o options, log *slog.Logger) error {
	began := time.Now()
	bin, err := findBinaries(candidateFolders(), s.folder.majorVersion())
	if err != nil {
		return err
	}
	s.program = bin.postgres
	if err := s.folder.initialize(ctx, bin, !o.forgetful); err != nil {
		return err
	}
	if s.password, err = s.folder.password(); err != nil {
		return err
	}
	if err := endLeftover(ctx, s.folder.data(), log); err != nil {
		return err
	}
	if err := s.startOnFreePort(ctx, bin, o.settings); err != nil {
		return err
	}
	if err := s.createDatabase(ctx); err != nil {
		s.kill()
		return err
	}
	log.Info("private PostgreSQL is up", "binaries", bin.dir, "folder", s.folder.dir, "port", s.port,
		"pid", s.process.pid, "took", time.Since(began).Round(time.Millisecond))
	return nil
}

// startOnFreePort tries the remembered port, then free ones: another program may take a port between the choice
// and the start.
func (s *Server) startOnFreePort(ctx context.Context, bin *binaries, settings []string) error {
	port := s.folder.rememberedPort()
	var err error
	for range portAttempts {
		if port = freePort(port); port == 0 {
			return errors.New("no free port on 127.0.0.1")
		}
		if err = s.startOn(ctx, bin, port, settings); err == nil {
			return s.folder.rememberPort(port)
		}
		var early *earlyExitError
		if !errors.As(err, &early) || !early.retryable() {
			return err
		}
		select {
		case <-time.After(10 * probePause): // backends of a killed server still hold its shared memory
		case <-ctx.Done():
			return err
		}
	}
	return err
}

func (s *Server) startOn(ctx context.Context, bin *binaries, port int, settings []string) error {
	s.folder.trimLog()
	path, files, err := s.folder.pathsFor(s.folder.data())
	if err != nil {
		return err
	}
	defer closeAll(files)
	args := []string{
		"-D", path[0], "-p", strconv.Itoa(port),
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "logging_collector=off",
	}
	for _, setting := range settings {
		args = append(args, "-c", setting)
	}
	p, err := startProcess(bin.postgres, args, s.folder, files)
	if err != nil {
		return err
	}
	s.process, s.port = p, port
	if err := s.awaitReady(ctx); err != nil {
		s.kill()
		return err
	}
	return nil
}

// awaitReady connects until the server answers, ends, or the ctx does.
func (s *Server) awaitReady(ctx context.Context) error {
	ticker := time.NewTicker(probePause)
	defer ticker.Stop()
	for {
		conn, err := pgx.Connect(ctx, s.urlFor("postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-s.process.done:
			return &earlyExitError{state: s.process.state(), log: s.folder.logTail()}
		case <-ctx.Done():
			return fmt.Errorf("it does not answer on port %d: %w", s.port, errors.Join(ctx.Err(), err))
		case <-ticker.C:
		}
	}
}

// createDatabase makes the database once; a crash between initdb and this is healed at the next start.
func (s *Server) createDatabase(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, s.urlFor("postgres"))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	var exists bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", role).Scan(&exists); err != nil || exists {
		return err
	}
	_, err = conn.Exec(ctx, "CREATE DATABASE "+role)
	return err
}

// URL is the postgres:// URL of the server's database, password included.
func (s *Server) URL() string { return s.urlFor(role) }

// Command is the shell command that runs this server again by hand, on the same port.
func (s *Server) Command() string {
	command := fmt.Sprintf("%s -D %s -p %d -c unix_socket_directories=", s.program, s.folder.data(), s.port)
	if s.folder.owner.switchUser {
		return "runuser -u " + s.folder.owner.name + " -- " + command
	}
	return command
}

// Folder is the server's folder, an absolute path without links.
func (s *Server) Folder() string { return s.folder.dir }

// Pid is the process id of the server.
func (s *Server) Pid() int { return s.process.pid }

func (s *Server) urlFor(database string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(role, s.password), Path: "/" + database, RawQuery: "sslmode=disable",
		Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)),
	}
	return u.String()
}

// freePort returns wanted when it is free, else a free one, else 0.
func freePort(wanted int) int {
	for _, port := range []int{wanted, 0} {
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		chosen := listener.Addr().(*net.TCPAddr).Port
		if listener.Close() == nil {
			return chosen
		}
	}
	return 0
}

// earlyExitError is a server that ended before it answered.
type earlyExitError struct{ state, log string }

func (e *earlyExitError) Error() string {
	return fmt.Sprintf("postgres ended at once (%s); its log ends with: %s", e.state, e.log)
}

// retryable reports whether another attempt may work: the port was taken meanwhile, or the backends of a server
// that was killed have not ended yet.
func (e *earlyExitError) retryable() bool {
	return strings.Contains(e.log, "Address already in use") || strings.Contains(e.log, "could not bind") ||
		strings.Contains(e.log, "still in use")
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

func readTrimmed(dir, name string) string {
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}
