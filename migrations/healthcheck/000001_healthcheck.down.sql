-- Undoes the first schema.
DROP TABLE requests, service_generations, targets, target_groups;
