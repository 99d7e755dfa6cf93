package postgrestest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/platform/postgres/postgresdev"
)

const (
	// maxSlots bounds how many test programs run a server of their own at the same time on this machine.
	maxSlots = 64
	// keep is for how long the database of a failed test is kept.
	keep = 24 * time.Hour
)

// server is where this test program's databases live.
type server struct {
	admin   *url.URL            // of a database that may create others
	private *postgresdev.Server // nil for a server that somebody else runs
	prefix  string
	count   atomic.Int64

	mu        sync.Mutex
	templates map[string]bool // made or found by this program
}

// sharedServer starts the server of this test program on first use. A server lives as long as its program, so it
// is kept in the package.
var sharedServer = onceOK(openServer) //nolint:gochecknoglobals // see above

// onceOK calls f until it succeeds and then answers with that result for ever. A failure is not remembered: its
// cause may be the caller's context.
func onceOK(f func(context.Context) (*server, error)) func(context.Context) (*server, error) {
	var mu sync.Mutex
	var made *server
	return func(ctx context.Context) (*server, error) {
		mu.Lock()
		defer mu.Unlock()
		if made != nil {
			return made, nil
		}
		var err error
		made, err = f(ctx)
		return made, err
	}
}

func openServer(ctx context.Context) (*server, error) {
	s := &server{
		prefix:    fmt.Sprintf("test_%x_%x", time.Now().Unix(), os.Getpid()),
		templates: make(map[string]bool),
	}
	dsn := os.Getenv("SLIPWAY_TEST_DATABASE_URL")
	if dsn == "" {
		private, err := startInFreeSlot(ctx)
		if err != nil {
			return nil, err
		}
		s.private = private
		dsn = private.URL()
	}
	admin, err := url.Parse(dsn)
	if err != nil || (admin.Scheme != "postgres" && admin.Scheme != "postgresql") {
		return nil, errors.New("SLIPWAY_TEST_DATABASE_URL must be a postgres:// URL")
	}
	s.admin = admin
	return s, s.dropOld(ctx)
}

// startInFreeSlot starts a server in the first folder that no living test program uses. Folders are used again,
// templates and all: their number is that of the test programs that ever ran at once, and a start takes
// milliseconds.
func startInFreeSlot(ctx context.Context) (*postgresdev.Server, error) {
	base := filepath.Join(os.TempDir(), "slipway-postgrestest-"+strconv.Itoa(os.Geteuid()))
	log := slog.New(slog.DiscardHandler)
	for slot := range maxSlots {
		dir := filepath.Join(base, strconv.Itoa(slot))
		private, err := postgresdev.Start(ctx, dir, log, postgresdev.ForTests())
		if err == nil {
			return private, nil
		}
		if !errors.Is(err, postgresdev.ErrInUse) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("all %d folders below %s are in use", maxSlots, base)
}

// do runs f on a connection to the admin database.
func (s *server) do(ctx context.Context, f func(*pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, s.admin.String())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	return f(conn)
}

func (s *server) urlOf(database string) string {
	u := *s.admin
	u.Path = "/" + database
	return u.String()
}

func (s *server) nextName() string {
	return fmt.Sprintf("%s_%d", s.prefix, s.count.Add(1))
}

func (s *server) howToStart() string {
	if s.private == nil {
		return ""
	}
	return " (its server ends with this program; run it again with: " + s.private.Command() + ")"
}
