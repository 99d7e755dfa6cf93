-- Events of deployments, services, hooks and alarms, who subscribes to them, and each event's way to each subscriber.

CREATE SEQUENCE subscription_versions;

CREATE TABLE subscriptions (
    name            text PRIMARY KEY,
    pattern         text NOT NULL, -- '' matches every event
    format          text NOT NULL CHECK (format IN ('EVENTBRIDGE', 'CLOUDEVENTS')),
    target_kind     text NOT NULL CHECK (target_kind IN ('HTTPS', 'GRPC_STREAM', 'SNS', 'EVENTBRIDGE')),
    target_address  text NOT NULL, -- URL, topic's ARN, bus; '' for a stream
    target_region   text NOT NULL,
    target_endpoint text NOT NULL,
    keep_source     boolean NOT NULL,
    secrets         text[] NOT NULL, -- to sign with; never read but for that
    maximum_age     interval NOT NULL,
    maximum_retries int NOT NULL CHECK (maximum_retries >= 0),
    call_timeout    interval NOT NULL,
    version         bigint NOT NULL DEFAULT nextval('subscription_versions'),
    create_time     timestamptz NOT NULL
);

-- Its one row is locked by whoever gives out positions, so positions are committed in their order: a reader that has
-- seen one has seen all before it.
CREATE TABLE delivery_positions (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    position bigint NOT NULL
);
INSERT INTO delivery_positions (position) VALUES (0);

-- Where the events of another service have been read to, and which replica reads on.
CREATE TABLE event_feeds (
    name              text PRIMARY KEY,
    token             text NOT NULL DEFAULT '',
    create_time       timestamptz NOT NULL DEFAULT now(),
    lease_owner       text,
    lease_expire_time timestamptz,
    CONSTRAINT lease_is_whole CHECK ((lease_owner IS NULL) = (lease_expire_time IS NULL))
);
-- From now on: a subscription cannot be older than its feeds, so it misses nothing until they are first read.
INSERT INTO event_feeds (name) VALUES ('orchestrator'), ('alarms');

CREATE TABLE events (
    id          uuid PRIMARY KEY,
    source      text NOT NULL,
    detail_type text NOT NULL,
    order_key   text NOT NULL,
    subject     text NOT NULL,
    envelope    text NOT NULL, -- EventBridge's, as JSON
    event_time  timestamptz NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX events_by_create_time ON events (create_time);

CREATE TABLE deliveries (
    position        bigint PRIMARY KEY,
    subscription    text NOT NULL REFERENCES subscriptions (name) ON DELETE CASCADE,
    event           uuid NOT NULL REFERENCES events (id),
    order_key       text NOT NULL,
    state           text NOT NULL CHECK (state IN ('PENDING', 'DELIVERED', 'DEAD_LETTER')),
    attempts        int NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    reason          text NOT NULL DEFAULT '',
    create_time     timestamptz NOT NULL DEFAULT now(), -- of the record or of the redelivery
    expire_time     timestamptz NOT NULL,
    end_time        timestamptz,
    CONSTRAINT once_for_each_subscription UNIQUE (subscription, event),
    CONSTRAINT ended_unless_pending CHECK ((end_time IS NULL) = (state = 'PENDING'))
);
CREATE INDEX deliveries_by_event ON deliveries (event);
CREATE INDEX deliveries_pending ON deliveries (subscription, order_key, position) WHERE state = 'PENDING';
CREATE INDEX deliveries_by_subscription ON deliveries (subscription, state, position);
CREATE INDEX deliveries_ended ON deliveries (end_time) WHERE end_time IS NOT NULL;

-- The deliveries of one deployment to one subscription wait behind each other: a lane. Who has the lane in hand sends
-- its first delivery. Streams have no lanes.
CREATE TABLE lanes (
    subscription      text NOT NULL REFERENCES subscriptions (name) ON DELETE CASCADE,
    order_key         text NOT NULL,
    due_time          timestamptz NOT NULL,
    lease_owner       text,
    lease_expire_time timestamptz,
    PRIMARY KEY (subscription, order_key),
    CONSTRAINT lease_is_whole CHECK ((lease_owner IS NULL) = (lease_expire_time IS NULL))
);
CREATE INDEX lanes_due ON lanes (subscription, due_time);
