package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/services/orchestrator/internal/store"
)

// Old deployments go with their events and revisions. A service's last ones stay, and so does what its state names.
func TestOldDeploymentsArePruned(t *testing.T) {
	t.Parallel()
	s, db := setup(t)
	column := func(sql string) []string {
		t.Helper()
		rows, err := db.Pool.Query(t.Context(), sql)
		if err != nil {
			t.Fatal(err)
		}
		list, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	exec := func(sql string) {
		t.Helper()
		if _, err := db.Pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	state := create(t, s, "web")
	for i := 2; i <= 30; i++ { // each supersedes the one before
		state = deploy(t, s, state, fmt.Sprintf("web-d%02d", i), true)
	}
	create(t, s, "shop")
	exec(`UPDATE deployments SET id = 'web-d01' WHERE id = 'web-d1'`) // for the order
	exec(`UPDATE events SET deployment = 'web-d01' WHERE deployment = 'web-d1'`)
	exec(`UPDATE service_revisions SET deployment = 'web-d01' WHERE deployment = 'web-d1'`)
	exec(`UPDATE deployments SET create_time = create_time + right(id, 2)::int * interval '1 s' WHERE service = 'web'`)
	exec(`UPDATE services SET state = jsonb_set(state, '{Completed}', '{"Deployment": "web-d05"}') WHERE name = 'web'`)
	exec(`INSERT INTO events (cluster, service, deployment, sequence, type, name, reason, detail, time) VALUES
		('default', 'web', '', 1, 'INFO', 'SERVICE_STEADY_STATE', '', '{}', '2026-01-01'), ('default', 'web', '', 2, 'INFO', 'SERVICE_STEADY_STATE', '', '{}', '2027-01-01')`)
	const ids = `SELECT id FROM deployments ORDER BY service, create_time, id`
	all := column(ids)
	prune := func(before time.Time) int64 {
		t.Helper()
		n, err := s.Prune(t.Context(), before)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := prune(epoch); n != 0 || len(column(ids)) != len(all) {
		t.Errorf("%d deployments that had not finished by then were deleted", n)
	}
	if n := prune(epoch.Add(time.Hour)); n != 19 {
		t.Errorf("%d deployments were deleted, want 19", n)
	}
	kept := append([]string{"shop-d1", "web-d05"}, all[len(all)-store.KeptDeployments:]...)
	if got := column(ids); !slices.Equal(got, kept) {
		t.Errorf("%v are kept, want %v", got, kept)
	}
	for table, sql := range map[string]string{
		"events":    `SELECT DISTINCT deployment FROM events WHERE deployment <> '' EXCEPT SELECT id FROM deployments`,
		"revisions": `SELECT deployment FROM service_revisions EXCEPT SELECT id FROM deployments`,
	} {
		if left := column(sql); len(left) > 0 {
			t.Errorf("%s of deployments that are gone: %v", table, left)
		}
	}
	if left := column(`SELECT sequence::text FROM events WHERE deployment = ''`); !slices.Equal(left, []string{"2"}) {
		t.Errorf("events %v of the service are kept, want 2", left)
	}
	exec(`UPDATE services SET phase = 'INACTIVE' WHERE name = 'web'`)
	exec(`UPDATE deployments SET finish_time = create_time, state = 'STOPPED' WHERE finish_time IS NULL AND service = 'web'`)
	prune(epoch.Add(time.Hour))
	if got := column(ids); !slices.Equal(got, []string{"shop-d1", "web-d05"}) {
		t.Errorf("of a deleted service %v are kept", got)
	}
}
