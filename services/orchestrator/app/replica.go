package app

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/slipway-deploy/slipway/drivers/runtime/local"
	"github.com/slipway-deploy/slipway/platform/lease"
	"github.com/slipway-deploy/slipway/platform/postgres"
	"github.com/slipway-deploy/slipway/platform/problem"
)

// lonely is the runtimes whose tasks only the orchestrator knows that started them: with one of them it must be the only one. Its
// name says which, and where, so that it gets its services back at once when it starts again.
var lonely = []string{local.Process, local.Docker}

// replicaName is the name under which this program holds leases.
func (c Config) replicaName() string {
	if c.alone() {
		host, err := os.Hostname()
		if err != nil {
			host = "unknown"
		}
		dir := c.RuntimeDir
		if abs, err := filepath.Abs(dir); err == nil {
			dir = abs
		}
		return c.Runtime + ":" + host + ":" + dir
	}
	if c.Replica != "" {
		return c.Replica
	}
	return lease.RandomName()
}

// alone reports whether the runtime allows no other orchestrator.
func (c Config) alone() bool { return c.Driver == nil && slices.Contains(lonely, c.Runtime) }

const (
	lookAgain = 100 * time.Millisecond
	leaseRest = time.Second // after a lease ended, for a replica that has just died
)

// admit refuses to work beside an orchestrator whose tasks this one could not see, or that could not see this one's. A replica
// that died is waited for until its lease has ended.
func (c Config) admit(ctx context.Context, db *postgres.DB, name string, log *slog.Logger) error {
	ctx, cancel := context.WithTimeout(ctx, c.Lease+leaseRest)
	defer cancel()
	told := false
	for {
		names, err := lease.Replicas(ctx, db)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(names, func(other string) bool {
			kind, _, _ := strings.Cut(other, ":")
			return other != name && (c.alone() || slices.Contains(lonely, kind))
		})
		if i < 0 {
			return nil
		}
		if !told {
			told = true
			log.Info("waiting for another orchestrator to end", "replica", names[i])
		}
		select {
		case <-ctx.Done():
			return problem.New(problem.FailedPrecondition, "CONFLICT", "the orchestrator %s works on this database; several can only with "+
				"-runtime remote, for the process and docker runtimes are known to one orchestrator alone", names[i])
		case <-time.After(lookAgain):
		}
	}
}

// share has the engine work on this replica's share of the services.
func (a *App) share(db *postgres.DB, name string, cfg Config, log *slog.Logger) *lease.Leases {
	return lease.New(db, lease.Config{
		Holder: name, Duration: cfg.Lease, Now: cfg.Clock, Log: log,
		Acquired: func(shards []int) { a.engine.Acquired(shards) },
		Lost:     func(shards []int) { a.engine.Lost(shards) },
		Told:     func(service string) { a.engine.Told(service) },
		Alone:    cfg.alone(),
		Overtaken: func() {
			select {
			case a.failed <- problem.New(problem.Aborted, "CONFLICT", "another orchestrator has gone on with the services, and "+
				"this one's runtime cannot be shared"):
			default:
			}
		},
	})
}
