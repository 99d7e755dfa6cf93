// Package postgres opens a service's own schema, migrates it and names what goes wrong in it. It knows no table
// of any service.
package postgres

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/slipway-deploy/slipway/platform/problem"
)

const (
	maxConns       = 8 // for each service, unless the URL says pool_max_conns
	connectTimeout = 5 * time.Second
	openTimeout    = 15 * time.Second
)

// DB is a bounded pool of connections whose search_path is one schema.
type DB struct {
	Pool        *pgxpool.Pool
	Schema, URL string
}

// Option changes how connections are made.
type Option func(*pgxpool.Config)

// Replicated is for a service of which there are several replicas: one that is stopped in the middle of a transaction must not hold
// its locks for longer than its leases last.
func Replicated(lease time.Duration) Option {
	return func(config *pgxpool.Config) {
		config.ConnConfig.RuntimeParams["idle_in_transaction_session_timeout"] = fmt.Sprintf("%dms", max(lease, time.Second).Milliseconds())
	}
}

var schemaName = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)

// Open connects to the database at url, a postgres:// URL or a keyword=value string, with or without parameters.
// Every connection has search_path set to schema, time zone UTC and timeouts for a statement (30 s), for a lock
// (10 s) and for an idle transaction (60 s); parameters of the URL win. The error is one sentence without the
// password. The log gets a line when the database answers.
func Open(ctx context.Context, url, schema string, log *slog.Logger, options ...Option) (*DB, error) {
	config, err := poolConfig(url, schema)
	if err != nil {
		return nil, err
	}
	for _, option := range options {
		option(config)
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	pingCtx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	if err := pool.Ping(pingCtx); err != nil {
		pool.Close()
		return nil, problem.New(problem.Unavailable, ReasonUnavailable, "the database at %s cannot be reached",
			address(config.ConnConfig)).Wrap(err)
	}
	if log != nil {
		log.Info("database open", "address", address(config.ConnConfig), "schema", schema, "max_conns", config.MaxConns)
	}
	return &DB{Pool: pool, Schema: schema, URL: url}, nil
}

// Close ends all connections; it waits for those in use.
func (db *DB) Close() { db.Pool.Close() }

// InTx runs f in one transaction: committed when f returns nil, rolled back on an error or a panic. Database
// errors come back classified; problems of f come back as they are.
func (db *DB) InTx(ctx context.Context, f func(pgx.Tx) error) error {
	return Classify(pgx.BeginFunc(ctx, db.Pool, f))
}

func poolConfig(url, schema string) (*pgxpool.Config, error) {
	if !schemaName.MatchString(schema) {
		return nil, problem.Invalid("schema", "%q does not match %s", schema, schemaName)
	}
	if strings.TrimSpace(url) == "" {
		return nil, problem.Invalid("database_url", "must be set, e.g. postgres://user:password@127.0.0.1:5432/slipway")
	}
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, problem.Invalid("database_url", "is not a Postgres URL").Wrap(err)
	}
	if !strings.Contains(url, "pool_max_conns") {
		config.MaxConns = maxConns
	}
	if !strings.Contains(url, "connect_timeout") {
		config.ConnConfig.ConnectTimeout = connectTimeout
	}
	sessionDefaults(config.ConnConfig, schema)
	config.AfterConnect = func(_ context.Context, conn *pgx.Conn) error {
		scanUTC(conn)
		return nil
	}
	return config, nil
}

// sessionDefaults sets the session's parameters; except for search_path and the time zone, those of the URL win.
func sessionDefaults(config *pgx.ConnConfig, schema string) {
	params := config.RuntimeParams
	params["search_path"] = schema
	params["timezone"] = "UTC"
	for name, value := range map[string]string{
		"application_name":                    "slipway-" + schema,
		"statement_timeout":                   "30s",
		"lock_timeout":                        "10s",
		"idle_in_transaction_session_timeout": "60s",
	} {
		if _, set := params[name]; !set {
			params[name] = value
		}
	}
}

// scanUTC makes timestamps arrive as UTC: pgx would give them the zone of this process.
func scanUTC(conn *pgx.Conn) {
	types := conn.TypeMap()
	types.RegisterType(&pgtype.Type{
		Name: "timestamptz", OID: pgtype.TimestamptzOID, Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC},
	})
}

func address(config *pgx.ConnConfig) string {
	return fmt.Sprintf("%s:%d/%s", config.Host, config.Port, config.Database)
}
