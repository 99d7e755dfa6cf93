DROP INDEX events_of_services;
