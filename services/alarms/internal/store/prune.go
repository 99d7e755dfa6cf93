package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/slipway-deploy/slipway/platform/once"
	"github.com/slipway-deploy/slipway/platform/postgres"
)

const (
	pruneDatapoints = `DELETE FROM datapoints WHERE ctid IN (SELECT ctid FROM datapoints WHERE time < $1 ORDER BY time LIMIT 10000)`
	pruneHistory    = `DELETE FROM alarm_history WHERE ctid IN (SELECT ctid FROM alarm_history WHERE time < $1 ORDER BY time LIMIT 10000)`
)

// Prune deletes datapoints, history and answered requests from before the given times, in portions, until ctx ends.
func (s *Store) Prune(ctx context.Context, datapoints, history, requests time.Time) error {
	for _, portion := range []func() (int64, error){
		func() (int64, error) { return s.prune(ctx, pruneDatapoints, datapoints) },
		func() (int64, error) { return s.prune(ctx, pruneHistory, history) },
		func() (int64, error) { return once.Prune(ctx, s.db, requests) },
	} {
		for n := int64(1); n > 0; {
			var err error
			if n, err = portion(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Store) prune(ctx context.Context, sql string, before time.Time) (int64, error) {
	tag, err := s.db.Pool.Exec(ctx, sql, before)
	if err != nil {
		return 0, fmt.Errorf("prune: %w", postgres.Classify(err))
	}
	return tag.RowsAffected(), nil
}

// Refused reports whether the database refuses what it was given, so that the same again cannot succeed: bad data (class 22),
// a broken constraint (23), a limit (54).
func Refused(err error) bool {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || len(pg.Code) < 2 {
		return false
	}
	switch pg.Code[:2] {
	case "22", "23", "54":
		return true
	}
	return false
}
