-- Undoes the end of draining: what still drains is gone.
DELETE FROM targets WHERE state = 'DRAINING';
DROP INDEX targets_drain_end;
ALTER TABLE targets DROP CONSTRAINT targets_drain_end_check;
ALTER TABLE targets DROP COLUMN drain_end;
