package postgres

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/puddle/v2"

	"github.com/slipway-deploy/slipway/platform/problem"
)

// The reasons of slipway.errors.v1.Reason that a database error may have.
const (
	ReasonAlreadyExists = "ALREADY_EXISTS"
	ReasonInUse         = "IN_USE"
	ReasonConflict      = "CONFLICT"
	ReasonUnavailable   = "DATABASE_UNAVAILABLE"
)

// Classify names what went wrong in the database, as a problem whose cause is err:
//
//   - unique violation: AlreadyExists, Metadata["constraint"] and Metadata["table"] set
//   - foreign key violation: FailedPrecondition IN_USE when the row is referenced, Aborted when the row it
//     refers to is gone; with the same metadata
//   - serialization failure, deadlock, lock timeout: Aborted, try again
//   - no connection, server shutting down, too many connections: Unavailable
//   - the context's end and a statement timeout: Canceled or DeadlineExceeded
//
// Problems, nil and every other error, pgx.ErrNoRows among them, are returned as they are.
func Classify(err error) error {
	if err == nil || problem.As(err) != nil {
		return err
	}
	var pg *pgconn.PgError
	switch {
	case errors.As(err, &pg):
		if p := classifyCode(pg); p != nil {
			return p.Wrap(err)
		}
		return err
	case errors.Is(err, context.Canceled):
		return problem.New(problem.Canceled, "", "the call was canceled").Wrap(err)
	case errors.Is(err, context.DeadlineExceeded):
		return problem.New(problem.DeadlineExceeded, "", "the database did not answer in time").Wrap(err)
	case connectionLost(err):
		return unavailable().Wrap(err)
	}
	return err
}

func classifyCode(pg *pgconn.PgError) *problem.Error {
	switch pg.Code {
	case "23505": // unique_violation
		return constraint(pg, problem.New(problem.AlreadyExists, ReasonAlreadyExists, "it exists already"))
	case "23503": // foreign_key_violation
		if strings.Contains(pg.Detail, "still referenced") {
			return constraint(pg, problem.New(problem.FailedPrecondition, ReasonInUse, "it is in use"))
		}
		return constraint(pg, problem.New(problem.Aborted, ReasonConflict, "what it refers to is gone; read again and retry"))
	case "40001", "40P01", "55P03", "25P03", "25P04":
		// serialization_failure, deadlock_detected, lock_not_available, idle_in_transaction, transaction_timeout
		return problem.New(problem.Aborted, ReasonConflict, "another writer changed the same rows; try again")
	case "57014": // query_canceled: by us, when a context ends, or by statement_timeout
		return problem.New(problem.DeadlineExceeded, "", "the database did not answer in time")
	case "57P01", "57P02", "57P03", "25006": // shutdown, crash, starting up, turned into a standby
		return unavailable()
	}
	switch pg.Code[:min(2, len(pg.Code))] {
	case "08", "53": // connection exception, insufficient resources
		return unavailable()
	}
	return nil
}

func constraint(pg *pgconn.PgError, p *problem.Error) *problem.Error {
	return p.With("constraint", pg.ConstraintName).With("table", pg.TableName)
}

func unavailable() *problem.Error {
	return problem.New(problem.Unavailable, ReasonUnavailable, "the database cannot be reached")
}

func connectionLost(err error) bool {
	var connect *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connect) || errors.As(err, &network) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, puddle.ErrClosedPool) ||
		strings.Contains(err.Error(), "conn closed") // pgconn has no exported value for it
}
