-- Undoes the first schema.
DROP TABLE requests, events, service_revisions, deployments, services, deployment_configs, task_definitions, clusters;
