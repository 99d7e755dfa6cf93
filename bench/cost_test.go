package bench

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// usage is what PostgreSQL has done so far.
type usage struct{ transactions, rows, wal, size int64 }

func (f *fleet) usage() usage {
	f.b.Helper()
	ctx, cancel := context.WithTimeout(f.b.Context(), 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, f.database)
	check(f.b, err)
	defer func() { _ = conn.Close(ctx) }()
	var u usage
	check(f.b, conn.QueryRow(ctx, `
SELECT xact_commit, tup_inserted + tup_updated + tup_deleted, pg_current_wal_lsn() - '0/0', pg_database_size(datname)
FROM pg_stat_database WHERE datname = current_database()`).Scan(&u.transactions, &u.rows, &u.wal, &u.size))
	return u
}

// What a deployment costs the database. No limit: it is reported.
func BenchmarkCost(b *testing.B) {
	for name, config := range map[string]func() *configuration{"blue-green": blueGreen, "four-steps": fourSteps} {
		b.Run(name, func(b *testing.B) {
			const n = 100
			f := newFleet(b)
			f.populate("web", n, config())
			<-time.After(2 * time.Second) // statistics come late
			before := f.usage()
			rounds := 0
			for b.Loop() {
				f.deploy("web", n)
				rounds++
			}
			<-time.After(2 * time.Second)
			after := f.usage()
			each := float64(n * rounds)
			b.ReportMetric(float64(after.transactions-before.transactions)/each, "transactions/deployment")
			b.ReportMetric(float64(after.rows-before.rows)/each, "rows/deployment")
			b.ReportMetric(float64(after.wal-before.wal)/each/1024, "WAL-KB/deployment")
			b.ReportMetric(float64(after.size-before.size)/each/1024, "disk-KB/deployment")
			b.ReportMetric(0, "ns/op")
		})
	}
}
