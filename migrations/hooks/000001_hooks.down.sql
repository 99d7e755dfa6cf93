-- Undoes the first schema.
DROP TABLE requests, ignored_answers, attempts, invocations, service_generations, hooks;
DROP SEQUENCE hook_versions;
