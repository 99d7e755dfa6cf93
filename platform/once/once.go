// Package once makes a mutating call with a request_id take effect once: the same id gives the same answer.
// The caller's schema has the table requests; see DDL. It knows no message of any service.
package once

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	"github.com/slipway-deploy/slipway/platform/postgres"
	"github.com/slipway-deploy/slipway/platform/problem"
)

// DDL is the table of answered requests. Each service's first migration holds a copy.
const DDL = `CREATE TABLE requests (
	method       text        NOT NULL,
	request_id   text        NOT NULL,
	request_hash bytea       NOT NULL,
	response     bytea       NOT NULL,
	create_time  timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (method, request_id)
)`

// ReasonReused is the reason of a request_id that came before with another request.
const ReasonReused = "REQUEST_ID_REUSED"

// Do runs f, whose answer is kept in tx under method and requestID; a later call with the same id and the same
// request gets that answer and f does not run. A concurrent call with the same id waits for the first to commit
// or to roll back. An error of f must roll tx back: failures are not kept. With an empty requestID f simply runs.
//
// The same id with another request is a FailedPrecondition problem with reason REQUEST_ID_REUSED.
func Do[T proto.Message](ctx context.Context, tx pgx.Tx, method, requestID string, req proto.Message, f func() (T, error)) (T, error) {
	var none T
	if requestID == "" {
		return f()
	}
	hash, err := hashOf(req)
	if err != nil {
		return none, fmt.Errorf("hash the request of %s: %w", method, err)
	}
	first, err := claim(ctx, tx, method, requestID, hash)
	if err != nil {
		return none, err
	}
	if !first {
		return answered[T](ctx, tx, method, requestID, hash)
	}
	response, err := f()
	if err != nil {
		return none, err
	}
	return response, keep(ctx, tx, method, requestID, response)
}

const claimSQL = `
INSERT INTO requests (method, request_id, request_hash, response) VALUES ($1, $2, $3, '')
ON CONFLICT DO NOTHING`

// claim reports whether this call is the first with the id. The insert waits for a concurrent first one to end.
func claim(ctx context.Context, tx pgx.Tx, method, requestID string, hash []byte) (bool, error) {
	tag, err := tx.Exec(ctx, claimSQL, method, requestID, hash)
	if err != nil {
		return false, postgres.Classify(fmt.Errorf("claim request %s: %w", requestID, err))
	}
	return tag.RowsAffected() == 1, nil
}

const answerSQL = `SELECT request_hash = $3, response FROM requests WHERE method = $1 AND request_id = $2`

func answered[T proto.Message](ctx context.Context, tx pgx.Tx, method, requestID string, hash []byte) (T, error) {
	var none T
	var same bool
	var data []byte
	err := tx.QueryRow(ctx, answerSQL, method, requestID, hash).Scan(&same, &data)
	if errors.Is(err, pgx.ErrNoRows) { // pruned between the two statements
		return none, problem.New(problem.Aborted, postgres.ReasonConflict, "request_id %s was forgotten just now; try again", requestID)
	}
	if err != nil {
		return none, postgres.Classify(fmt.Errorf("read the answer to request %s: %w", requestID, err))
	}
	if !same {
		return none, problem.New(problem.FailedPrecondition, ReasonReused,
			"request_id %s was used before with another request; use a new one", requestID).With("request_id", requestID)
	}
	response, ok := none.ProtoReflect().New().Interface().(T)
	if !ok {
		return none, fmt.Errorf("%T is no generated message", none)
	}
	if err := proto.Unmarshal(data, response); err != nil {
		return none, fmt.Errorf("read the answer to request %s: %w", requestID, err)
	}
	return response, nil
}

const keepSQL = `UPDATE requests SET response = $3 WHERE method = $1 AND request_id = $2`

func keep(ctx context.Context, tx pgx.Tx, method, requestID string, response proto.Message) error {
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(response)
	if err != nil {
		return fmt.Errorf("keep the answer to request %s: %w", requestID, err)
	}
	if data == nil {
		data = []byte{} // an empty message is an answer too; NULL is not
	}
	if _, err := tx.Exec(ctx, keepSQL, method, requestID, data); err != nil {
		return postgres.Classify(fmt.Errorf("keep the answer to request %s: %w", requestID, err))
	}
	return nil
}

// pruneSQL is bounded, so that the first call after a long while locks little.
const pruneSQL = `
DELETE FROM requests WHERE ctid IN (
	SELECT ctid FROM requests WHERE create_time < $1 ORDER BY create_time LIMIT 1000 FOR UPDATE SKIP LOCKED)`

// Prune forgets up to 1000 requests that were made before the given time and returns how many; call it again
// while it returns 1000. A forgotten id may be used again.
func Prune(ctx context.Context, db *postgres.DB, before time.Time) (int64, error) {
	tag, err := db.Pool.Exec(ctx, pruneSQL, before)
	if err != nil {
		return 0, postgres.Classify(fmt.Errorf("prune requests: %w", err))
	}
	return tag.RowsAffected(), nil
}

func hashOf(req proto.Message) ([]byte, error) {
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(req)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	return sum[:], nil
}
