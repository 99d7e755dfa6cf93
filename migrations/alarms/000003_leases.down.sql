DROP INDEX datapoints_in_order;
ALTER TABLE datapoints DROP COLUMN tx, DROP COLUMN origin;
ALTER TABLE alarms DROP COLUMN evaluation_state, DROP COLUMN evaluation_reason;
DROP TABLE lease_members;
DROP TABLE shard_leases;
