package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/slipway-deploy/slipway/platform/postgres"
	"github.com/slipway-deploy/slipway/platform/postgres/postgrestest"
	"github.com/slipway-deploy/slipway/platform/problem"
)

func TestFourMigratorsAtOnceAllSucceed(t *testing.T) {
	url := postgrestest.URL(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	results := make(chan error, 4)
	begin := make(chan struct{})
	for range cap(results) {
		go func() {
			<-begin
			results <- postgres.Migrate(ctx, url, "things", things())
		}()
	}
	close(begin)
	for range cap(results) {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	conn := connect(t, url)
	if got := scan[string](t, conn, "SELECT version || ' ' || dirty FROM things.schema_migrations"); got != "2 false" {
		t.Errorf("version and dirty are %q, want 2 false", got)
	}
	if !scan[bool](t, conn, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'things.things_n'::regclass") {
		t.Error("the index is not valid")
	}
}

func TestSchemasOfOneDatabaseHaveAHistoryEach(t *testing.T) {
	url := postgrestest.URL(t)
	for _, schema := range []string{"one", "two", "one"} {
		if err := postgres.Migrate(t.Context(), url, schema, things()); err != nil {
			t.Fatalf("schema %s: %v", schema, err)
		}
	}
	conn := connect(t, url)
	for _, table := range []string{"one.things", "two.things", "one.schema_migrations", "two.schema_migrations"} {
		if !scan[bool](t, conn, "SELECT to_regclass($1) IS NOT NULL", table) {
			t.Errorf("table %s is missing", table)
		}
	}
	if n := scan[int](t, conn, "SELECT count(*)::int FROM pg_tables WHERE schemaname = 'public'"); n != 0 {
		t.Errorf("%d tables are in schema public, want none", n)
	}
}

func TestAnOlderProgramLeavesANewerSchemaAlone(t *testing.T) {
	url := postgrestest.URL(t)
	if err := postgres.Migrate(t.Context(), url, "things", things()); err != nil {
		t.Fatal(err)
	}
	older := things()
	delete(older, "000002_things_index.up.sql")
	delete(older, "000002_things_index.down.sql")
	if err := postgres.Migrate(t.Context(), url, "things", older); err != nil {
		t.Fatalf("the older program does not start: %v", err)
	}
	if v := scan[int](t, connect(t, url), "SELECT version FROM things.schema_migrations"); v != 2 {
		t.Errorf("version is %d, want 2", v)
	}
}

func TestAFailedMigrationIsToldAndBlocksTheNextStart(t *testing.T) {
	url := postgrestest.URL(t)
	files := things()
	files["000003_broken.up.sql"] = &fstest.MapFile{Data: []byte("CREATE TABLE half (id int); SELECT no_such_function();")}
	err := postgres.Migrate(t.Context(), url, "things", files)
	if err == nil || !strings.Contains(err.Error(), "no_such_function") {
		t.Fatalf("the error of the broken migration is %v", err)
	}
	err = postgres.Migrate(t.Context(), url, "things", files)
	if !errors.Is(err, problem.FailedPrecondition) || !strings.Contains(err.Error(), "migration 3 failed halfway") {
		t.Fatalf("the next start says %v", err)
	}
}

func TestAMigratorEndsWithItsContext(t *testing.T) {
	url := postgrestest.URL(t)
	blocking := fstest.MapFS{
		"000001_slow.up.sql":   {Data: []byte("SELECT pg_advisory_lock(4711);")},
		"000001_slow.down.sql": {Data: []byte("SELECT 1;")},
	}
	scan[string](t, connect(t, url), "SELECT pg_advisory_lock(4711)::text") // held to the end of the test
	working, stopWorking := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() { first <- postgres.Migrate(working, url, "slow", blocking) }()
	observer := connect(t, url)
	eventually(t, "the first migrator is at work", func() bool {
		return scan[bool](t, observer, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query = 'SELECT pg_advisory_lock(4711);' AND wait_event = 'advisory')")
	})

	waiting, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := postgres.Migrate(waiting, url, "slow", blocking); !errors.Is(err, problem.DeadlineExceeded) {
		t.Errorf("the waiting migrator says %v, want deadline exceeded", err)
	}
	stopWorking()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("the working migrator says %v, want canceled", err)
	}
}

func TestABadSchemaNameIsRefused(t *testing.T) {
	for _, schema := range []string{"", "Things", "a-b", `a"; DROP SCHEMA public; --`} {
		err := postgres.Migrate(t.Context(), "postgres://127.0.0.1/x", schema, things())
		if !errors.Is(err, problem.InvalidArgument) {
			t.Errorf("schema %q: %v, want invalid", schema, err)
		}
	}
}

func TestMigrationsGoDownAndUpAgain(t *testing.T) {
	if err := postgrestest.UpDownUp(t, "things", things()); err != nil {
		t.Fatal(err)
	}
	broken := things()
	broken["000001_things.down.sql"] = &fstest.MapFile{Data: []byte("DROP TABLE things;")} // forgets owners
	if err := postgrestest.UpDownUp(t, "things", broken); err == nil || !strings.Contains(fmt.Sprint(err), "owners") {
		t.Errorf("a down that leaves a table gives %v", err)
	}
}
