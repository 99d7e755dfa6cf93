package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/platform/postgres"
	"github.com/slipway-deploy/slipway/services/hooks/internal/invocation"
)

// Attempt is one identity of a call, or an answer that changed nothing.
type Attempt struct {
	Number     int
	Request    string
	Response   string
	HookStatus string
	Error      string
	StartTime  time.Time // of an ignored answer: when it came
	EndTime    time.Time // zero while on its way
	Duration   time.Duration
	Ignored    bool
}

// Reply is what came back for an attempt.
type Reply struct {
	Response   string
	HookStatus string
	Error      string
	Duration   time.Duration // of the call; 0 for a result reported from outside
}

// KeptAttempts is how many attempts of an invocation are kept, the newest: a handler that answers IN_PROGRESS for days
// must not fill the database. KeptIgnored is the same for ignored answers, of which the oldest are kept.
const (
	KeptAttempts = 200
	KeptIgnored  = 100
)

const (
	attemptInsertSQL = `INSERT INTO attempts (invocation, attempt, request, start_time) VALUES (@invocation, @attempt, @request, @start_time)`
	attemptForgetSQL = `DELETE FROM attempts WHERE invocation = @invocation AND attempt <= @attempt::int - @kept::int`
)

// queueAttempt records a new attempt and its request.
func queueAttempt(b *pgx.Batch, i invocation.Invocation, request string) {
	args := pgx.NamedArgs{"invocation": i.ID, "attempt": i.Attempt, "request": request, "start_time": i.AttemptTime, "kept": KeptAttempts}
	b.Queue(attemptInsertSQL, args)
	if i.Attempt > KeptAttempts {
		b.Queue(attemptForgetSQL, args)
	}
}

const attemptCloseSQL = `
UPDATE attempts SET response = @response, hook_status = @hook_status, error = @error, end_time = greatest(now(), start_time),
    duration = coalesce(@duration, duration)
WHERE invocation = @invocation AND attempt = @attempt`

// queueReply records what the current attempt brought.
func queueReply(b *pgx.Batch, id string, attempt int, r Reply) {
	b.Queue(attemptCloseSQL, replyArgs(id, attempt, r))
}

const ignoredInsertSQL = `
INSERT INTO ignored_answers (invocation, attempt, response, hook_status, error, cause, receive_time, duration)
SELECT @invocation, @attempt, @response, @hook_status, @error, @cause, now(), @duration
WHERE (SELECT count(*) FROM ignored_answers WHERE invocation = @invocation) < @kept`

// queueIgnored records an answer that changed nothing.
func queueIgnored(b *pgx.Batch, id string, attempt int, cause string, r Reply) {
	args := replyArgs(id, attempt, r)
	args["cause"], args["kept"] = cause, KeptIgnored
	b.Queue(ignoredInsertSQL, args)
}

// AnswerIgnored records an answer that changed nothing, and why.
func (s *Store) AnswerIgnored(ctx context.Context, id string, attempt int, cause string, r Reply) error {
	args := replyArgs(id, attempt, r)
	args["cause"], args["kept"] = cause, KeptIgnored
	_, err := s.exec(ctx, "record an ignored answer for "+id, ignoredInsertSQL, args)
	return err
}

func replyArgs(id string, attempt int, r Reply) pgx.NamedArgs {
	args := pgx.NamedArgs{
		"invocation": id, "attempt": attempt,
		"response": r.Response, "hook_status": r.HookStatus, "error": r.Error, "duration": (*time.Duration)(nil),
	}
	if r.Duration > 0 {
		args["duration"] = &r.Duration
	}
	return args
}

const attemptListSQL = `
SELECT number, request, response, hook_status, error, start_time, end_time, duration, ignored FROM (
    SELECT attempt AS number, request, response, hook_status, error, start_time, end_time, duration, false AS ignored, 0 AS id
    FROM attempts WHERE invocation = @invocation
    UNION ALL
    SELECT attempt, '', response, hook_status, concat_ws(': ', cause, nullif(error, '')), receive_time, receive_time AS end_time, duration, true, id
    FROM ignored_answers WHERE invocation = @invocation
) a ORDER BY start_time, ignored, number, id`

type attemptRow struct {
	Number     int
	Request    string
	Response   string
	HookStatus string
	Error      string
	StartTime  time.Time
	EndTime    *time.Time
	Duration   *time.Duration
	Ignored    bool
}

// AttemptList returns the kept attempts of an invocation and the answers that changed nothing, oldest first.
func (s *Store) AttemptList(ctx context.Context, id string) ([]Attempt, error) {
	rows, err := s.db.Pool.Query(ctx, attemptListSQL, pgx.NamedArgs{"invocation": id})
	if err != nil {
		return nil, postgres.Classify(fmt.Errorf("read attempts of %s: %w", id, err))
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[attemptRow])
	if err != nil {
		return nil, postgres.Classify(fmt.Errorf("read attempts of %s: %w", id, err))
	}
	attempts := make([]Attempt, len(found))
	for n, r := range found {
		attempts[n] = Attempt{
			Number: r.Number, Request: r.Request, Response: r.Response, HookStatus: r.HookStatus, Error: r.Error,
			StartTime: r.StartTime, EndTime: orZero(r.EndTime), Ignored: r.Ignored,
		}
		if r.Duration != nil {
			attempts[n].Duration = *r.Duration
		}
	}
	return attempts, nil
}
