-- To find the events of services alone that are kept no longer; those of a deployment go with it.
CREATE INDEX events_of_services ON events (time) WHERE deployment = '';
