package engine_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/platform/postgres"
)

// written is the rows of a transition, as the engine wrote one of middling size, and how many events come with each.
type written struct {
	state, body, detail string
	reason              string
	events              float64
}

// sample keeps the engine's rows in functions of the database, from which pgbench takes them: its scripts can hold no JSON. They are text,
// so that the JSON is read for each row that is written, as that of the others is.
func sample(b *testing.B, db *postgres.DB) written {
	b.Helper()
	var w written
	must(b, db.Pool.QueryRow(b.Context(), `
SELECT s.state::text, d.body::text FROM services s JOIN deployments d ON d.id = s.deployment
ORDER BY length(s.state::text) + length(d.body::text) OFFSET (SELECT count(*) / 2 FROM services WHERE deployment IS NOT NULL) LIMIT 1`).Scan(&w.state, &w.body))
	must(b, db.Pool.QueryRow(b.Context(), `SELECT detail::text, reason FROM events ORDER BY id DESC LIMIT 1`).Scan(&w.detail, &w.reason))
	must(b, db.Pool.QueryRow(b.Context(), `SELECT (SELECT count(*) FROM events) / (SELECT sum(generation) FROM services)::float8`).Scan(&w.events))
	b.Logf("rows of %d bytes, %.2f events with each", len(w.state)+len(w.body), w.events)
	for name, text := range map[string]string{"bench_state": w.state, "bench_body": w.body, "bench_detail": w.detail} {
		_, err := db.Pool.Exec(b.Context(), fmt.Sprintf(`CREATE OR REPLACE FUNCTION %s() RETURNS text VOLATILE LANGUAGE sql AS $bench$ SELECT $json$%s$json$ $bench$`, name, text))
		must(b, err)
	}
	for _, sql := range []string{
		`CREATE SEQUENCE bench_sequence START 1000000`,
		`UPDATE deployments SET state = 'STOPPED', finish_time = now() WHERE finish_time IS NULL`,
		`INSERT INTO deployments (id, cluster, service, generation, state, rollout_state, body, create_time)
			SELECT 'd-' || name, cluster, name, 1, 'IN_PROGRESS', 'IN_PROGRESS', bench_body()::jsonb, now() FROM services`,
		`VACUUM ANALYZE`,
	} {
		_, err := db.Pool.Exec(b.Context(), sql)
		must(b, err)
	}
	return w
}

func findPgbench(b *testing.B) string {
	b.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/pgbench")
	must(b, err)
	if len(found) == 0 {
		path, err := exec.LookPath("pgbench")
		if err != nil {
			b.Skip("pgbench is not installed (Debian: postgresql)")
		}
		return path
	}
	return found[len(found)-1]
}

// pgbenchTransitions writes one transition a transaction, from the server's own copies of the rows.
func pgbenchTransitions(b *testing.B, db *postgres.DB, program string, events float64) float64 {
	b.Helper()
	script := filepath.Join(b.TempDir(), "transition.sql")
	text := fmt.Sprintf(`\set i random(0, %d)
\set n %d + case when random(0, 99) < %d then 1 else 0 end
BEGIN;
UPDATE orchestrator.services SET generation = generation + 1, state = orchestrator.bench_state()::jsonb, update_time = now() WHERE cluster = 'default' AND name = 's' || :i;
INSERT INTO orchestrator.deployments (id, cluster, service, generation, state, rollout_state, body, create_time) VALUES ('d-s' || :i, 'default', 's' || :i, 1, 'IN_PROGRESS', 'IN_PROGRESS', orchestrator.bench_body()::jsonb, now())
  ON CONFLICT (id) DO UPDATE SET generation = deployments.generation + 1, body = excluded.body;
INSERT INTO orchestrator.events (cluster, service, deployment, sequence, type, name, reason, detail, time)
  SELECT 'default', 's' || :i, 'd-s' || :i, nextval('orchestrator.bench_sequence'), 'INFO', 'LIFECYCLE_STAGE_STARTED', 'PRODUCTION_TRAFFIC_SHIFT', orchestrator.bench_detail()::jsonb, now() FROM generate_series(1, :n);
COMMIT;
`, benchServices-1, int(events), int(events*100)%100)
	must(b, os.WriteFile(script, []byte(text), 0o600))
	out, err := exec.CommandContext(b.Context(), program, "-n", "-M", "prepared", "-c", strconv.Itoa(benchClients), "-j", "2",
		"-T", strconv.Itoa(int(benchSpan.Seconds())), "-f", script, db.URL).CombinedOutput()
	found := regexp.MustCompile(`tps = ([0-9.]+)`).FindSubmatch(out)
	if err != nil || found == nil {
		b.Fatalf("pgbench: %v\n%s", err, out)
	}
	tps, err := strconv.ParseFloat(string(found[1]), 64)
	must(b, err)
	return tps
}

// loopTransitions writes the rows in batches over one connection.
func loopTransitions(b *testing.B, db *postgres.DB, w written) float64 {
	b.Helper()
	conn, err := pgx.Connect(b.Context(), db.URL)
	must(b, err)
	defer func() { _ = conn.Close(b.Context()) }()
	var names, states, bodies, owners, details []string
	var sequences []int64
	done, next, start := 0, 0, time.Now()
	sequence, owed := int64(1<<40), 0.0
	for time.Since(start) < benchSpan {
		names, states, bodies = names[:0], states[:0], bodies[:0]
		owners, details, sequences = owners[:0], details[:0], sequences[:0]
		for range benchBatch {
			name := fmt.Sprint("s", next%benchServices)
			next++
			names, states, bodies = append(names, name), append(states, w.state), append(bodies, w.body)
			owed += w.events
			for ; owed >= 1; owed-- {
				sequence++
				owners, details, sequences = append(owners, name), append(details, w.detail), append(sequences, sequence)
			}
		}
		var batch pgx.Batch
		batch.Queue(`UPDATE orchestrator.services s SET generation = s.generation + 1, state = n.state, update_time = now()
			FROM unnest($1::text[], $2::jsonb[]) AS n (name, state) WHERE s.cluster = 'default' AND s.name = n.name`, names, states)
		batch.Queue(`INSERT INTO orchestrator.deployments (id, cluster, service, generation, state, rollout_state, body, create_time)
			SELECT 'd-' || n.name, 'default', n.name, 1, 'IN_PROGRESS', 'IN_PROGRESS', n.body, now() FROM unnest($1::text[], $2::jsonb[]) AS n (name, body)
			ON CONFLICT (id) DO UPDATE SET generation = deployments.generation + 1, body = excluded.body`, names, bodies)
		batch.Queue(`INSERT INTO orchestrator.events (cluster, service, deployment, sequence, type, name, reason, detail, time)
			SELECT 'default', n.name, 'd-' || n.name, n.sequence, 'INFO', 'LIFECYCLE_STAGE_STARTED', $4, n.detail, now()
			FROM unnest($1::text[], $2::bigint[], $3::jsonb[]) AS n (name, sequence, detail)`, owners, sequences, details, w.reason)
		must(b, conn.SendBatch(b.Context(), &batch).Close()) // one transaction
		done += benchBatch
	}
	return float64(done) / time.Since(start).Seconds()
}
