-- A reported health that comes into force later.
ALTER TABLE targets ADD COLUMN flip_healthy boolean NOT NULL DEFAULT false;
ALTER TABLE targets ADD COLUMN flip_description text NOT NULL DEFAULT '';
ALTER TABLE targets ADD COLUMN flip_time timestamptz;
