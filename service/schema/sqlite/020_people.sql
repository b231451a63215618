-- Who may do what (store/people.h). Of passwords, sessions, tokens and links only hashes are kept.

CREATE TABLE person (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    folded TEXT NOT NULL UNIQUE,
    role TEXT NOT NULL,
    password TEXT,
    created_s INTEGER NOT NULL,
    seen_s INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE session (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    hash BLOB NOT NULL UNIQUE,
    person INTEGER NOT NULL,
    created_s INTEGER NOT NULL,
    seen_s INTEGER NOT NULL,
    address TEXT NOT NULL,
    agent TEXT NOT NULL
);

CREATE INDEX session_person ON session (person);

CREATE TABLE api_token (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    hash BLOB NOT NULL UNIQUE,
    prefix TEXT NOT NULL,
    name TEXT NOT NULL,
    scope TEXT NOT NULL,
    app INTEGER NOT NULL,
    made_by TEXT NOT NULL,
    created_s INTEGER NOT NULL,
    expires_s INTEGER NOT NULL,
    used_s INTEGER NOT NULL DEFAULT 0
);

-- One-time links: to make the first user ("first"), to set a password ("password").
CREATE TABLE link (
    hash BLOB NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    person INTEGER NOT NULL,
    created_s INTEGER NOT NULL,
    expires_s INTEGER NOT NULL
) WITHOUT ROWID;

-- Rate limits of sign-in: what is left of each allowance, in thousandths.
CREATE TABLE allowance (
    subject TEXT NOT NULL PRIMARY KEY,
    rest INTEGER NOT NULL,
    at_s INTEGER NOT NULL
) WITHOUT ROWID;

-- Addresses from which a person has signed in: others can't use up what these may.
CREATE TABLE known_address (
    person INTEGER NOT NULL,
    address TEXT NOT NULL,
    seen_s INTEGER NOT NULL,
    PRIMARY KEY (person, address)
) WITHOUT ROWID;
