-- The healthcheck service's first schema: target groups, their targets and what is known of each target's health.
CREATE TABLE target_groups (
    name        text PRIMARY KEY,
    definition  bytea NOT NULL, -- slipway.healthcheck.v1.TargetGroup
    create_time timestamptz NOT NULL
);

CREATE TABLE targets (
    target_group text NOT NULL REFERENCES target_groups (name),
    id           text NOT NULL,
    address      text NOT NULL,
    service      text NOT NULL,
    state        text NOT NULL CHECK (state IN ('INITIAL', 'HEALTHY', 'UNHEALTHY', 'UNUSED', 'DRAINING', 'UNAVAILABLE')),
    reason       text NOT NULL,
    description  text NOT NULL,
    successes    int NOT NULL,
    failures     int NOT NULL,
    state_time   timestamptz NOT NULL,
    check_time   timestamptz,
    PRIMARY KEY (target_group, id)
);

-- The highest generation seen of each service: a lower one has been overtaken and is refused.
CREATE TABLE service_generations (
    service    text PRIMARY KEY,
    generation bigint NOT NULL
);

-- request_id: the same id has the same answer.
CREATE TABLE requests (
    method       text NOT NULL,
    request_id   text NOT NULL,
    request_hash bytea NOT NULL,
    response     bytea NOT NULL,
    create_time  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (method, request_id)
);
