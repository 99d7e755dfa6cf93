-- A deregistered target is shown as draining until a fixed time, also over restarts. Only draining targets have that time.
ALTER TABLE targets ADD COLUMN drain_end timestamptz;
UPDATE targets SET drain_end = state_time WHERE state = 'DRAINING';
ALTER TABLE targets ADD CONSTRAINT targets_drain_end_check CHECK ((state = 'DRAINING') = (drain_end IS NOT NULL));
CREATE INDEX targets_drain_end ON targets (drain_end) WHERE drain_end IS NOT NULL;
