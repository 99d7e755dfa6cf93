package store

import (
	"context"
	"database/sql"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/golang-migrate/migrate/v4"
	migratepgx "github.com/golang-migrate/migrate/v4/database/pgx/v5"
	"github.com/golang-migrate/migrate/v4/source/iofs"
	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib"

	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	"github.com/slipway-deploy/slipway/migrations/hooks"
	"github.com/slipway-deploy/slipway/platform/once"
	"github.com/slipway-deploy/slipway/platform/postgres/postgrestest"
	"github.com/slipway-deploy/slipway/services/hooks/internal/invocation"
)

var quoted = regexp.MustCompile(`'([A-Z_]*)'`)

// constraint returns the values that a CHECK constraint of one column allows.
func constraint(t *testing.T, conn interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}, table, column string,
) []string {
	t.Helper()
	var def string
	err := conn.QueryRow(t.Context(), `SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = $1`, table+"_"+column+"_check").Scan(&def)
	if err != nil {
		t.Fatalf("the constraint of %s.%s: %v", table, column, err)
	}
	var values []string
	for _, m := range quoted.FindAllStringSubmatch(def, -1) {
		if m[1] != "" {
			values = append(values, m[1])
		}
	}
	slices.Sort(values)
	return values
}

func names[T ~string](values []T) []string {
	all := make([]string, len(values))
	for n, v := range values {
		all[n] = string(v)
	}
	slices.Sort(all)
	return all
}

func protoNames(names map[int32]string, prefix string) []string {
	var all []string
	for number, name := range names {
		if number != 0 {
			all = append(all, strings.TrimPrefix(name, prefix))
		}
	}
	slices.Sort(all)
	return all
}

// The states and their like are spelled the same in Go, in the contract and in SQL.
func TestGoProtoAndSQLHaveTheSameStates(t *testing.T) {
	_, db := open(t)
	for what, spelled := range map[string][][]string{
		"state": {
			names(invocation.States()), protoNames(hookspb.Invocation_State_name, "STATE_"), constraint(t, db.Pool, "invocations", "state"),
		},
		"outcome": {
			names(invocation.Outcomes()), protoNames(hookspb.Invocation_Outcome_name, "OUTCOME_"), constraint(t, db.Pool, "invocations", "outcome"),
		},
		"timeout action": {
			names(invocation.TimeoutActions()), protoNames(hookspb.Invocation_TimeoutAction_name, "TIMEOUT_ACTION_"),
			constraint(t, db.Pool, "invocations", "timeout_action"),
		},
		"contract": {
			names(invocation.Contracts()), protoNames(hookspb.Contract_name, "CONTRACT_"), constraint(t, db.Pool, "invocations", "contract"),
		},
		"target": {
			names(invocation.TargetKinds()), constraint(t, db.Pool, "hooks", "target_kind"), constraint(t, db.Pool, "invocations", "target_kind"),
		},
	} {
		for _, other := range spelled[1:] {
			if len(other) == 0 || !slices.Equal(other, spelled[0]) {
				t.Errorf("%s: %v", what, spelled)
			}
		}
	}
	oneof := (&hookspb.Hook{}).ProtoReflect().Descriptor().Oneofs().ByName("target").Fields()
	for n := range oneof.Len() {
		if kind := strings.ToUpper(string(oneof.Get(n).Name())); !slices.Contains(invocation.TargetKinds(), invocation.TargetKind(kind)) {
			t.Errorf("the contract has the target %s", kind)
		}
	}
}

// The terminal states of the schema's constraints are those of the transition table.
func TestTheSchemaEndsWhatTheTableEnds(t *testing.T) {
	_, db := open(t)
	for _, name := range []string{"ended_when_terminal", "outcome_when_terminal", "due_until_terminal"} {
		var def string
		if err := db.Pool.QueryRow(t.Context(), `SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = $1`, name).Scan(&def); err != nil {
			t.Fatal(err)
		}
		for _, state := range invocation.States() {
			if strings.Contains(def, "'"+string(state)+"'") != state.Terminal() {
				t.Errorf("%s and %s disagree: %s", name, state, def)
			}
		}
	}
}

func TestEveryStatementPrepares(t *testing.T) {
	_, db := open(t)
	conn, err := db.Pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	statements := []string{
		fenceSQL, nowSQL, hookPutSQL, hookLockSQL, hookGetSQL, hookListSQL, hookDeleteSQL, invocationInsertSQL,
		invocationGetSQL, invocationByIDsSQL, invocationRecentSQL, invocationOfDeploymentSQL, invocationPruneSQL, invocationLockSQL,
		invocationSaveSQL, attemptInsertSQL, attemptForgetSQL, attemptCloseSQL, ignoredInsertSQL, attemptListSQL, claimSQL,
		claimExpiredSQL, nextDueSQL, nextDeadlineSQL, carriedSQL, deploymentKnownSQL, leaseRenewSQL, leaseReleaseSQL, notifySQL,
		Page{Deployment: "d", Hook: "h", Service: "s", BeforeTime: hookRow{}.CreateTime.AddDate(1, 0, 0)}.sql(),
	}
	for n, statement := range statements {
		rewritten, _, err := namedToNumbered(t.Context(), conn.Conn(), statement)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Conn().Prepare(t.Context(), fmt.Sprint("s", n), rewritten); err != nil {
			t.Errorf("%v\n%s", err, statement)
		}
	}
}

func namedToNumbered(ctx context.Context, conn *pgx.Conn, statement string) (string, []any, error) {
	return pgx.NamedArgs{}.RewriteQuery(ctx, conn, statement, nil)
}

func TestMigrationsGoUpDownAndUp(t *testing.T) {
	t.Parallel()
	db, err := sql.Open("pgx", postgrestest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	files, err := iofs.New(hooks.FS, ".")
	if err != nil {
		t.Fatal(err)
	}
	driver, err := migratepgx.WithInstance(db, &migratepgx.Config{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := migrate.NewWithInstance("iofs", files, "pgx5", driver)
	if err != nil {
		t.Fatal(err)
	}
	empty := tables(t, db)
	if err := m.Up(); err != nil {
		t.Fatal(err)
	}
	full := tables(t, db)
	if err := m.Down(); err != nil {
		t.Fatal(err)
	}
	if left := tables(t, db); left != empty {
		t.Errorf("down leaves %q, want %q", left, empty)
	}
	if err := m.Up(); err != nil {
		t.Fatal(err)
	}
	if again := tables(t, db); again != full || full == empty {
		t.Errorf("up again makes %q, want %q", again, full)
	}
}

func tables(t *testing.T, db *sql.DB) (all string) {
	t.Helper()
	err := db.QueryRowContext(t.Context(), `SELECT coalesce(string_agg(relkind::text || ' ' || relname, ', ' ORDER BY relname), '') FROM pg_class c
		JOIN pg_namespace n ON n.oid = c.relnamespace WHERE nspname = 'public' AND relname NOT LIKE 'schema_migrations%'`).Scan(&all)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestTheTableOfRequestsIsPlatforms(t *testing.T) {
	up, err := hooks.FS.ReadFile("000001_hooks.up.sql")
	if err != nil {
		t.Fatal(err)
	}
	squeeze := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	if !strings.Contains(squeeze(string(up)), squeeze(once.DDL)) {
		t.Errorf("the migration lacks %s", once.DDL)
	}
}
