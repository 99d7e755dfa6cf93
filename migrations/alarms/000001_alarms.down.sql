-- Undoes the first schema.
DROP TABLE requests, datapoints, alarm_history, alarms;
