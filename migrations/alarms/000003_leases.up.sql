-- Which replica evaluates which alarms (package platform/lease).
CREATE TABLE shard_leases (
    shard       int PRIMARY KEY CHECK (shard >= 0),
    holder      text NOT NULL DEFAULT '', -- '' for nobody
    generation  bigint NOT NULL DEFAULT 0, -- grows whenever the shard is taken
    expire_time timestamptz NOT NULL DEFAULT '-infinity' -- by the database's clock
);
INSERT INTO shard_leases (shard) SELECT generate_series(0, 63);
CREATE TABLE lease_members (
    member      text PRIMARY KEY,
    expire_time timestamptz NOT NULL
);

-- What the evaluating replica finds wrong, for watchers at the others.
ALTER TABLE alarms
    ADD COLUMN evaluation_state text NOT NULL DEFAULT '',
    ADD COLUMN evaluation_reason text NOT NULL DEFAULT '';

-- Who took a datapoint in, and in which transaction: the others read what is new to them. A bigint, for xid8 has no BRIN index; the
-- rows there are have none.
ALTER TABLE datapoints
    ADD COLUMN origin text NOT NULL DEFAULT '',
    ADD COLUMN tx bigint;
ALTER TABLE datapoints ALTER COLUMN tx SET DEFAULT pg_current_xact_id()::text::bigint;
CREATE INDEX datapoints_in_order ON datapoints USING brin (tx) WITH (pages_per_range = 16, autosummarize = on);
