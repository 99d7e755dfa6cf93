package postgres_test

import (
	"context"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
)

// things is a small schema, its second migration one that a waiter inside a transaction would deadlock with.
func things() fstest.MapFS {
	return fstest.MapFS{
		"000001_things.up.sql": {Data: []byte(`
			CREATE TABLE owners (name text PRIMARY KEY);
			CREATE TABLE things (name text CONSTRAINT things_name_key PRIMARY KEY, owner text REFERENCES owners, n int NOT NULL DEFAULT 0);`)},
		"000001_things.down.sql":       {Data: []byte(`DROP TABLE things; DROP TABLE owners;`)},
		"000002_things_index.up.sql":   {Data: []byte(`CREATE INDEX CONCURRENTLY things_n ON things (n);`)},
		"000002_things_index.down.sql": {Data: []byte(`DROP INDEX CONCURRENTLY things_n;`)},
	}
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

func scan[T any](t *testing.T, q interface {
	QueryRow(context.Context, string, ...any) pgx.Row
}, sql string, args ...any,
) T {
	t.Helper()
	var value T
	if err := q.QueryRow(t.Context(), sql, args...).Scan(&value); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return value
}

// eventually polls until the condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatalf("never: %s", what)
		}
	}
}
