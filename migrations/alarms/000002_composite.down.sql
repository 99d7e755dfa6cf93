-- Undoes composite alarms, which the release before cannot read.
DELETE FROM alarms WHERE kind = 'COMPOSITE';
ALTER TABLE alarms
    DROP COLUMN kind,
    DROP COLUMN suppressor_left_time;
