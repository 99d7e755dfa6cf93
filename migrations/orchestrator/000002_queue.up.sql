-- Deployments that wait for their turn are not at work.
ALTER TABLE deployments ADD COLUMN queued boolean NOT NULL DEFAULT false;
DROP INDEX deployments_one_at_work;
CREATE UNIQUE INDEX deployments_one_at_work ON deployments (cluster, service) WHERE finish_time IS NULL AND NOT queued;
