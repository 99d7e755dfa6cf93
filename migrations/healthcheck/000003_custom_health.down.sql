ALTER TABLE targets DROP COLUMN flip_time;
ALTER TABLE targets DROP COLUMN flip_description;
ALTER TABLE targets DROP COLUMN flip_healthy;
