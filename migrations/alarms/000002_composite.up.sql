-- Composite alarms: alarms over the states of other alarms, in the same table, for names are unique among both kinds.
ALTER TABLE alarms
    ADD COLUMN kind text NOT NULL DEFAULT 'METRIC' CHECK (kind IN ('METRIC', 'COMPOSITE')),
    ADD COLUMN suppressor_left_time timestamptz; -- when the suppressor of a composite alarm left ALARM last
