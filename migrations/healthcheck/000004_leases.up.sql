-- Which replica checks which targets (package platform/lease).
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
