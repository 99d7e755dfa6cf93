DROP TABLE lease_members;
DROP TABLE shard_leases;
