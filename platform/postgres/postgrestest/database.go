package postgrestest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/slipway-deploy/slipway/platform/postgres"
)

// templateLock is the advisory lock under which test programs that share a server make a template.
const templateLock = 0x736c6970

// newDatabase copies the template of the schema.
func (s *server) newDatabase(ctx context.Context, schema string, files fs.FS) (url, name string, err error) {
	template, err := s.template(ctx, schema, files)
	if err != nil {
		return "", "", fmt.Errorf("template of schema %s: %w", schema, err)
	}
	return s.create(ctx, template)
}

func (s *server) emptyDatabase(ctx context.Context) (url, name string, err error) {
	return s.create(ctx, "template0")
}

func (s *server) create(ctx context.Context, template string) (url, name string, err error) {
	name = s.nextName()
	err = s.do(ctx, func(conn *pgx.Conn) error { return createFrom(ctx, conn, name, template) })
	if err != nil {
		return "", "", fmt.Errorf("create database %s: %w", name, err)
	}
	return s.urlOf(name), name, nil
}

func (s *server) drop(ctx context.Context, name string) error {
	return s.do(ctx, func(conn *pgx.Conn) error {
		if _, err := conn.Exec(ctx, "DROP DATABASE IF EXISTS "+quote(name)+" WITH (FORCE)"); err != nil {
			return fmt.Errorf("drop database %s: %w", name, err)
		}
		return nil
	})
}

// template returns the database that was migrated with files, made on first use. Its name holds a hash of the
// files, so changed migrations make another one.
func (s *server) template(ctx context.Context, schema string, files fs.FS) (string, error) {
	hash, err := hashOf(files)
	if err != nil {
		return "", err
	}
	name := prefixOf(schema) + hash
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.templates[name] {
		return name, nil
	}
	err = s.do(ctx, func(conn *pgx.Conn) error { return s.makeTemplate(ctx, conn, name, schema, files) })
	if err != nil {
		return "", err
	}
	s.templates[name] = true
	return name, nil
}

// makeTemplate migrates under another name and renames, so that a template is whole or absent.
func (s *server) makeTemplate(ctx context.Context, conn *pgx.Conn, name, schema string, files fs.FS) error {
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", templateLock); err != nil { // released with conn
		return err
	}
	var exists bool
	err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&exists)
	if err != nil || exists {
		return err
	}
	draft := s.nextName()
	if err := createFrom(ctx, conn, draft, "template0"); err != nil {
		return err
	}
	if err := postgres.Migrate(ctx, s.urlOf(draft), schema, files); err != nil {
		return errors.Join(err, s.drop(ctx, draft))
	}
	err = retryInUse(ctx, func() error {
		_, err := conn.Exec(ctx, "ALTER DATABASE "+quote(draft)+" RENAME TO "+quote(name))
		return err
	})
	if err != nil {
		return err
	}
	return s.dropOutdated(ctx, conn, prefixOf(schema), name)
}

// dropOutdated drops the templates of migrations that have changed since, on a server of our own: of another
// server we do not know who uses what.
func (s *server) dropOutdated(ctx context.Context, conn *pgx.Conn, prefix, current string) error {
	if s.private == nil {
		return nil
	}
	names, err := databases(ctx, conn)
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasPrefix(name, prefix) && name != current && !s.templates[name] {
			if err := s.drop(ctx, name); err != nil {
				return err
			}
		}
	}
	return nil
}

func prefixOf(schema string) string { return "template_" + schema[:min(30, len(schema))] + "_" }

// dropOld removes what failed tests of earlier runs left, after a day.
func (s *server) dropOld(ctx context.Context) error {
	return s.do(ctx, func(conn *pgx.Conn) error {
		names, err := databases(ctx, conn)
		if err != nil {
			return err
		}
		for _, name := range names {
			if !outdated(name, time.Now()) {
				continue
			}
			if err := s.drop(ctx, name); err != nil {
				return err
			}
		}
		return nil
	})
}

// outdated reads the time in the name of a test's database, test_<hex seconds>_<pid>_<count>.
func outdated(name string, now time.Time) bool {
	parts := strings.Split(name, "_")
	if len(parts) != 4 || parts[0] != "test" {
		return false
	}
	made, err := strconv.ParseInt(parts[1], 16, 64)
	return err == nil && now.Sub(time.Unix(made, 0)) > keep
}

func databases(ctx context.Context, conn *pgx.Conn) ([]string, error) {
	rows, err := conn.Query(ctx, "SELECT datname FROM pg_database")
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

func createFrom(ctx context.Context, conn *pgx.Conn, name, template string) error {
	return retryInUse(ctx, func() error {
		_, err := conn.Exec(ctx, "CREATE DATABASE "+quote(name)+" TEMPLATE "+quote(template))
		return err
	})
}

// retryInUse repeats f while a session that is just ending still uses the database.
func retryInUse(ctx context.Context, f func() error) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for range 250 {
		err := f()
		var pg *pgconn.PgError
		if !errors.As(err, &pg) || pg.Code != "55006" { // object_in_use
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		}
	}
	return f()
}

func hashOf(files fs.FS) (string, error) {
	sum := sha256.New()
	err := fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".sql") {
			return err
		}
		data, err := fs.ReadFile(files, path)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(sum, "%s %d\n%s", path, len(data), data)
		return err
	})
	return hex.EncodeToString(sum.Sum(nil)[:12]), err
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }
