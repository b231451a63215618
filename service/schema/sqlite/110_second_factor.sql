-- The second factor of people who sign in by a password (people/factor.h). Its secret is sealed by the
-- keeper; of recovery codes only hashes are kept.

CREATE TABLE second_factor (
    person INTEGER NOT NULL PRIMARY KEY,
    sealed BLOB NOT NULL,
    confirmed INTEGER NOT NULL,
    last_step INTEGER NOT NULL,
    created_s INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE recovery_code (
    hash BLOB NOT NULL PRIMARY KEY,
    person INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX recovery_code_person ON recovery_code (person);
