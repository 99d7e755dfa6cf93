-- Undoes subscriptions.
DROP TABLE lanes, deliveries, events, event_feeds, delivery_positions, subscriptions;
DROP SEQUENCE subscription_versions;
