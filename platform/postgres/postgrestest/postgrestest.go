// Package postgrestest gives each test a database of its own on a real PostgreSQL: a copy of a template that was
// migrated once. The server is a private one for each test program (see postgresdev), or the one that
// SLIPWAY_TEST_DATABASE_URL names.
package postgrestest

import (
	"context"
	"io/fs"
	"log/slog"
	"testing"
	"time"

	"github.com/slipway-deploy/slipway/platform/postgres"
)

// setUpTimeout bounds what New does: the server's start, the template, the copy.
const setUpTimeout = 2 * time.Minute

// New returns a database whose schema is migrated with files, the test's own. It is dropped when the test passes
// and kept when it fails; the DSN is logged then. Without PostgreSQL on the machine the test fails and says what
// to install.
func New(t testing.TB, schema string, files fs.FS) *postgres.DB {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), setUpTimeout)
	defer cancel()
	s, err := sharedServer(ctx)
	if err != nil {
		t.Fatalf("postgrestest: %v", err)
	}
	url, name, err := s.newDatabase(ctx, schema, files)
	if err != nil {
		t.Fatalf("postgrestest: %v", err)
	}
	s.cleanUp(t, url, name)
	db, err := postgres.Open(ctx, url, schema, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("postgrestest: %v", err)
	}
	t.Cleanup(func() { closeBounded(t, db) }) // runs before cleanUp
	return db
}

// URL returns the URL of an empty database, the test's own, for tests that migrate themselves or start a whole
// service.
func URL(t testing.TB) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), setUpTimeout)
	defer cancel()
	s, err := sharedServer(ctx)
	if err != nil {
		t.Fatalf("postgrestest: %v", err)
	}
	url, name, err := s.emptyDatabase(ctx)
	if err != nil {
		t.Fatalf("postgrestest: %v", err)
	}
	s.cleanUp(t, url, name)
	return url
}

// cleanUp drops the database at the end of a test that passed.
func (s *server) cleanUp(t testing.TB, url, name string) {
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("postgrestest: the test's database is kept: %s%s", url, s.howToStart())
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), setUpTimeout)
		defer cancel()
		if err := s.drop(ctx, name); err != nil {
			t.Logf("postgrestest: %v", err)
		}
	})
}

// closeBounded closes the pool; a connection that the test forgot to release must not hang the run.
func closeBounded(t testing.TB, db *postgres.DB) {
	done := make(chan struct{})
	go func() {
		db.Close()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(3 * time.Second):
		t.Errorf("postgrestest: a connection of %s is still in use at the end of the test", db.Schema)
	}
}
