-- The orchestrator's first schema: what users registered, and one aggregate for each service with its deployments and events.
CREATE TABLE clusters (
    name        text PRIMARY KEY,
    create_time timestamptz NOT NULL
);
INSERT INTO clusters (name, create_time) VALUES ('default', now());

CREATE TABLE task_definitions (
    family        text NOT NULL,
    revision      int NOT NULL CHECK (revision > 0),
    definition    bytea NOT NULL, -- slipway.orchestrator.v1.TaskDefinition
    register_time timestamptz NOT NULL,
    PRIMARY KEY (family, revision)
);

CREATE TABLE deployment_configs (
    name        text PRIMARY KEY,
    config      bytea NOT NULL, -- slipway.orchestrator.v1.DeploymentConfig
    create_time timestamptz NOT NULL
);

-- A row is one aggregate: generation guards it and the deployment at work (compare-and-swap).
CREATE TABLE services (
    cluster     text NOT NULL REFERENCES clusters (name),
    name        text NOT NULL,
    generation  bigint NOT NULL CHECK (generation > 0),
    phase       text NOT NULL CHECK (phase IN ('ACTIVE', 'DRAINING', 'INACTIVE')),
    deployment  text, -- the one at work
    spec        bytea NOT NULL, -- slipway.orchestrator.v1.Service as the user wrote it
    state       jsonb NOT NULL, -- rollout.Service
    create_time timestamptz NOT NULL,
    update_time timestamptz NOT NULL,
    PRIMARY KEY (cluster, name)
);

CREATE TABLE deployments (
    id            text PRIMARY KEY,
    cluster       text NOT NULL,
    service       text NOT NULL,
    generation    bigint NOT NULL,
    state         text NOT NULL CHECK (state IN ('PENDING', 'IN_PROGRESS', 'SUCCESSFUL', 'STOP_REQUESTED', 'STOPPED',
                      'ROLLBACK_REQUESTED', 'ROLLBACK_IN_PROGRESS', 'ROLLBACK_SUCCESSFUL', 'ROLLBACK_FAILED')),
    rollout_state text NOT NULL CHECK (rollout_state IN ('IN_PROGRESS', 'COMPLETED', 'FAILED')),
    body          jsonb NOT NULL, -- rollout.Deployment
    create_time   timestamptz NOT NULL,
    finish_time   timestamptz,
    FOREIGN KEY (cluster, service) REFERENCES services (cluster, name),
    CONSTRAINT finished_when_terminal CHECK ((finish_time IS NOT NULL) =
        (state IN ('SUCCESSFUL', 'STOPPED', 'ROLLBACK_SUCCESSFUL', 'ROLLBACK_FAILED')))
);
CREATE INDEX deployments_by_service ON deployments (cluster, service, create_time DESC, id DESC);
CREATE INDEX deployments_by_time ON deployments (create_time DESC, id DESC);
-- One deployment at a time for a service.
CREATE UNIQUE INDEX deployments_one_at_work ON deployments (cluster, service) WHERE finish_time IS NULL;

CREATE TABLE service_revisions (
    cluster         text NOT NULL,
    service         text NOT NULL,
    number          bigint NOT NULL,
    task_definition text NOT NULL,
    deployment      text NOT NULL,
    create_time     timestamptz NOT NULL,
    PRIMARY KEY (cluster, service, number)
);

-- Events are written with the state they tell of. tx and id order them for readers: rows of a transaction that is still
-- open come later, so a reader takes only rows with a tx below the oldest open one and never skips any.
CREATE TABLE events (
    tx         xid8 NOT NULL DEFAULT pg_current_xact_id(),
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cluster    text NOT NULL,
    service    text NOT NULL,
    deployment text NOT NULL, -- '' for events of the service alone
    sequence   bigint NOT NULL CHECK (sequence > 0),
    type       text NOT NULL CHECK (type IN ('INFO', 'WARN', 'ERROR')),
    name       text NOT NULL,
    reason     text NOT NULL,
    detail     jsonb NOT NULL,
    time       timestamptz NOT NULL,
    UNIQUE (cluster, service, deployment, sequence)
);
CREATE INDEX events_by_deployment ON events (deployment, sequence) WHERE deployment <> '';
CREATE INDEX events_in_order ON events (tx, id);

-- request_id: the same id has the same answer.
CREATE TABLE requests (
    method       text NOT NULL,
    request_id   text NOT NULL,
    request_hash bytea NOT NULL,
    response     bytea NOT NULL,
    create_time  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (method, request_id)
);
