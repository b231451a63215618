-- What a platform refused is tried again once the platform is set, be it as it was.
ALTER TABLE platform ADD COLUMN times_set INTEGER NOT NULL DEFAULT 1;
