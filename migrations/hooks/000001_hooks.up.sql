-- The hooks service's first schema: hooks, their invocations with every attempt, and what is needed to invoke once.

-- A version is never used twice, so a hook that was deleted and registered again has another etag.
CREATE SEQUENCE hook_versions;

CREATE TABLE hooks (
    name           text PRIMARY KEY,
    target_kind    text NOT NULL CHECK (target_kind IN ('GRPC', 'WEBHOOK')),
    target_address text NOT NULL,
    target_tls     boolean NOT NULL,
    call_timeout   interval NOT NULL,
    max_attempts   int NOT NULL CHECK (max_attempts > 0),
    version        bigint NOT NULL DEFAULT nextval('hook_versions'),
    create_time    timestamptz NOT NULL
);

-- The highest generation seen of each service: a call with a lower one comes from a caller that has been overtaken.
CREATE TABLE service_generations (
    service    text PRIMARY KEY,
    generation bigint NOT NULL CHECK (generation > 0)
);

CREATE TABLE invocations (
    id                text PRIMARY KEY,
    service           text NOT NULL,
    deployment        text NOT NULL,
    lifecycle_stage   text NOT NULL,
    step              int NOT NULL CHECK (step >= 0),
    execution         json NOT NULL,
    details           json NOT NULL, -- merged with what attempts returned; json, not jsonb, which has no \u0000
    timeout           interval NOT NULL,
    timeout_action    text NOT NULL CHECK (timeout_action IN ('ROLLBACK', 'CONTINUE')),
    -- The hook as it was defined when the invocation began.
    hook              text NOT NULL,
    target_kind       text NOT NULL CHECK (target_kind IN ('GRPC', 'WEBHOOK')),
    target_address    text NOT NULL,
    target_tls        boolean NOT NULL,
    call_timeout      interval NOT NULL,
    max_attempts      int NOT NULL CHECK (max_attempts > 0),
    -- How it stands.
    state             text NOT NULL CHECK (state IN ('PENDING', 'IN_PROGRESS', 'SUCCEEDED', 'FAILED', 'TIMED_OUT', 'CANCELED')),
    outcome           text NOT NULL CHECK (outcome IN ('', 'CONTINUE', 'ROLLBACK')),
    reason            text NOT NULL,
    attempt           int NOT NULL CHECK (attempt >= 0),
    attempt_time      timestamptz, -- when the current attempt was recorded
    attempt_open      boolean NOT NULL,
    failures          int NOT NULL CHECK (failures >= 0),
    next_attempt_time timestamptz,
    deadline_time     timestamptz NOT NULL,
    create_time       timestamptz NOT NULL,
    end_time          timestamptz,
    due_time          timestamptz, -- when time alone changes it
    -- Who has it in hand. A lease is for efficiency; it expires by the database's clock.
    lease_owner       text,
    lease_expire_time timestamptz,

    CONSTRAINT ended_when_terminal CHECK ((end_time IS NOT NULL) = (state IN ('SUCCEEDED', 'FAILED', 'TIMED_OUT', 'CANCELED'))),
    CONSTRAINT outcome_when_terminal CHECK ((outcome <> '') = (state IN ('SUCCEEDED', 'FAILED', 'TIMED_OUT', 'CANCELED'))),
    CONSTRAINT due_until_terminal CHECK ((due_time IS NULL) = (state IN ('SUCCEEDED', 'FAILED', 'TIMED_OUT', 'CANCELED'))),
    CONSTRAINT idle_when_terminal CHECK (end_time IS NULL OR (NOT attempt_open AND next_attempt_time IS NULL AND lease_owner IS NULL)),
    CONSTRAINT attempted_when_recorded CHECK ((attempt_time IS NOT NULL) = (attempt > 0)),
    CONSTRAINT pending_until_attempted CHECK (state <> 'PENDING' OR attempt = 0),
    CONSTRAINT in_progress_when_attempted CHECK (state <> 'IN_PROGRESS' OR attempt > 0),
    CONSTRAINT lease_is_whole CHECK ((lease_owner IS NULL) = (lease_expire_time IS NULL))
);
CREATE INDEX invocations_due ON invocations (due_time) WHERE end_time IS NULL;
CREATE INDEX invocations_deadline ON invocations (deadline_time) WHERE end_time IS NULL;
CREATE INDEX invocations_ended ON invocations (end_time) WHERE end_time IS NOT NULL;
CREATE INDEX invocations_by_time ON invocations (create_time DESC, id DESC);
CREATE INDEX invocations_by_deployment ON invocations (deployment, create_time DESC, id DESC);
CREATE INDEX invocations_by_hook ON invocations (hook, create_time DESC, id DESC);

-- An attempt is recorded before it is sent; the request is kept so that it is sent again as it was.
CREATE TABLE attempts (
    invocation  text NOT NULL REFERENCES invocations (id) ON DELETE CASCADE,
    attempt     int NOT NULL CHECK (attempt > 0),
    request     text NOT NULL,
    response    text NOT NULL DEFAULT '',
    hook_status text NOT NULL DEFAULT '',
    error       text NOT NULL DEFAULT '',
    start_time  timestamptz NOT NULL,
    end_time    timestamptz,
    duration    interval,
    PRIMARY KEY (invocation, attempt)
);

-- Answers that came late, twice or for another attempt, and changed nothing.
CREATE TABLE ignored_answers (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    invocation  text NOT NULL REFERENCES invocations (id) ON DELETE CASCADE,
    attempt     int NOT NULL,
    response    text NOT NULL,
    hook_status text NOT NULL,
    error       text NOT NULL,
    cause       text NOT NULL, -- why it changed nothing
    receive_time timestamptz NOT NULL,
    duration    interval
);
CREATE INDEX ignored_answers_by_invocation ON ignored_answers (invocation, id);

-- platform/once
CREATE TABLE requests (
    method       text        NOT NULL,
    request_id   text        NOT NULL,
    request_hash bytea       NOT NULL,
    response     bytea       NOT NULL,
    create_time  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (method, request_id)
);
