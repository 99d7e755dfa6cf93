DELETE FROM deployments WHERE queued;
DROP INDEX deployments_one_at_work;
CREATE UNIQUE INDEX deployments_one_at_work ON deployments (cluster, service) WHERE finish_time IS NULL;
ALTER TABLE deployments DROP COLUMN queued;
