package postgrestest

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"testing"

	"github.com/golang-migrate/migrate/v4"
	migratepgx "github.com/golang-migrate/migrate/v4/database/pgx/v5"
	"github.com/golang-migrate/migrate/v4/source/iofs"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/slipway-deploy/slipway/platform/postgres"
)

// UpDownUp applies every migration of files to a database of the test's own, takes all back step by step, checks
// that nothing is left in the schema, and applies them again. The error says which step fails or what is left.
func UpDownUp(t testing.TB, schema string, files fs.FS) error {
	t.Helper()
	url := URL(t)
	if err := postgres.Migrate(t.Context(), url, schema, files); err != nil {
		return err
	}
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := down(pool.Config().ConnConfig, schema, files); err != nil {
		return err
	}
	rows, err := pool.Query(t.Context(), `
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname <> 'schema_migrations' AND c.relname <> 'schema_migrations_pkey'
UNION ALL
SELECT p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = $1
UNION ALL
SELECT y.typname FROM pg_type y JOIN pg_namespace n ON n.oid = y.typnamespace WHERE n.nspname = $1 AND y.typtype IN ('e', 'd')`, schema)
	if err != nil {
		return err
	}
	left, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	if len(left) > 0 {
		slices.Sort(left)
		return fmt.Errorf("after all migrations were taken back, schema %s still has %q", schema, left)
	}
	return postgres.Migrate(t.Context(), url, schema, files)
}

func down(config *pgx.ConnConfig, schema string, files fs.FS) error {
	config.RuntimeParams["search_path"] = schema
	steps, err := iofs.New(files, ".")
	if err != nil {
		return err
	}
	driver, err := migratepgx.WithInstance(stdlib.OpenDB(*config), &migratepgx.Config{SchemaName: schema})
	if err != nil {
		return errors.Join(err, steps.Close())
	}
	m, err := migrate.NewWithInstance("iofs", steps, "pgx5", driver)
	if err != nil {
		return errors.Join(err, steps.Close(), driver.Close())
	}
	for {
		version, _, err := m.Version()
		if errors.Is(err, migrate.ErrNilVersion) {
			sourceErr, databaseErr := m.Close()
			return errors.Join(sourceErr, databaseErr)
		}
		if err == nil {
			err = m.Steps(-1)
		}
		if err != nil {
			sourceErr, databaseErr := m.Close()
			return errors.Join(fmt.Errorf("take back migration %d: %w", version, err), sourceErr, databaseErr)
		}
	}
}
