-- What the first schema has no place for is lost.
DELETE FROM hooks WHERE target_kind NOT IN ('GRPC', 'WEBHOOK');
DELETE FROM invocations WHERE target_kind NOT IN ('GRPC', 'WEBHOOK') OR contract <> 'ECS';

DROP INDEX invocations_by_service;
ALTER TABLE invocations
    DROP CONSTRAINT no_secrets_when_terminal,
    DROP COLUMN returned,
    DROP COLUMN contract,
    DROP COLUMN target_secrets,
    DROP COLUMN target_args,
    DROP COLUMN target_qualifier,
    DROP CONSTRAINT invocations_target_kind_check,
    ADD CONSTRAINT invocations_target_kind_check CHECK (target_kind IN ('GRPC', 'WEBHOOK'));

ALTER TABLE hooks
    DROP COLUMN target_secrets,
    DROP COLUMN target_args,
    DROP COLUMN target_qualifier,
    DROP CONSTRAINT hooks_target_kind_check,
    ADD CONSTRAINT hooks_target_kind_check CHECK (target_kind IN ('GRPC', 'WEBHOOK'));
