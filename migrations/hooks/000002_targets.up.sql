-- Lambda functions and commands as targets, signed webhooks, CodeDeploy's contract, and details that are carried from one
-- invocation of a hook to the next in the same deployment.

ALTER TABLE hooks
    DROP CONSTRAINT hooks_target_kind_check,
    ADD CONSTRAINT hooks_target_kind_check CHECK (target_kind IN ('GRPC', 'WEBHOOK', 'LAMBDA', 'EXEC')),
    ADD COLUMN target_qualifier text NOT NULL DEFAULT '',
    ADD COLUMN target_args text[] NOT NULL DEFAULT '{}',
    ADD COLUMN target_secrets text[] NOT NULL DEFAULT '{}'; -- to sign with; never shown

ALTER TABLE invocations
    DROP CONSTRAINT invocations_target_kind_check,
    ADD CONSTRAINT invocations_target_kind_check CHECK (target_kind IN ('GRPC', 'WEBHOOK', 'LAMBDA', 'EXEC')),
    ADD COLUMN target_qualifier text NOT NULL DEFAULT '',
    ADD COLUMN target_args text[] NOT NULL DEFAULT '{}',
    ADD COLUMN target_secrets text[] NOT NULL DEFAULT '{}', -- until it ends; those of the hook go before them
    ADD COLUMN contract text NOT NULL DEFAULT 'ECS' CHECK (contract IN ('ECS', 'CODEDEPLOY')),
    ADD COLUMN returned json NOT NULL DEFAULT 'null', -- what the hook returned in this deployment
    ADD CONSTRAINT no_secrets_when_terminal CHECK (end_time IS NULL OR target_secrets = '{}');
CREATE INDEX invocations_by_service ON invocations (service, create_time DESC, id DESC);
