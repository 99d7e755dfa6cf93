-- The alarms service's first schema: alarms with their state and history, and the metrics pushed for them.
CREATE TABLE alarms (
    name               text PRIMARY KEY,
    definition         bytea NOT NULL, -- slipway.alarms.v1.MetricAlarm as the user wrote it
    state              text NOT NULL CHECK (state IN ('OK', 'ALARM', 'INSUFFICIENT_DATA')),
    state_reason       text NOT NULL,
    state_reason_data  text NOT NULL,
    state_time         timestamptz NOT NULL,
    configuration_time timestamptz NOT NULL
);

CREATE TABLE alarm_history (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alarm   text NOT NULL,
    time    timestamptz NOT NULL,
    type    text NOT NULL CHECK (type IN ('CONFIGURATION_UPDATE', 'STATE_UPDATE')),
    summary text NOT NULL,
    data    text NOT NULL
);
CREATE INDEX alarm_history_by_alarm ON alarm_history (alarm, id DESC);

-- Samples of one metric in one second, as they came in. Rows are only added; readers add them up.
CREATE TABLE datapoints (
    metric  bytea NOT NULL, -- hash of namespace, name, dimensions and unit
    time    timestamptz NOT NULL,
    count   double precision NOT NULL CHECK (count > 0),
    sum     double precision NOT NULL,
    minimum double precision NOT NULL,
    maximum double precision NOT NULL,
    values  jsonb -- [[value, count], ...]; NULL when a statistic set hides them
);
CREATE INDEX datapoints_by_metric ON datapoints (metric, time);
CREATE INDEX datapoints_by_time ON datapoints (time);

-- request_id: the same id has the same answer.
CREATE TABLE requests (
    method       text NOT NULL,
    request_id   text NOT NULL,
    request_hash bytea NOT NULL,
    response     bytea NOT NULL,
    create_time  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (method, request_id)
);
