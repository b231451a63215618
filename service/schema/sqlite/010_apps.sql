-- Apps and what people set for them (store/apps.h).

-- AUTOINCREMENT: the number of a removed app is never given to another.
CREATE TABLE app (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    zone TEXT NOT NULL,
    created_s INTEGER NOT NULL,
    kept_days INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE report_token (
    hash BLOB NOT NULL PRIMARY KEY,
    app INTEGER NOT NULL,
    hint TEXT NOT NULL,
    created_s INTEGER NOT NULL,
    expires_s INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

CREATE INDEX report_token_app ON report_token (app);

CREATE TABLE rules (
    app INTEGER NOT NULL,
    version INTEGER NOT NULL,
    at_s INTEGER NOT NULL,
    who TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (app, version)
) WITHOUT ROWID;

CREATE TABLE platform (
    app INTEGER NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    settings TEXT NOT NULL,
    sealed BLOB
);

CREATE TABLE orders (
    app INTEGER NOT NULL,
    process TEXT NOT NULL,
    paused INTEGER NOT NULL,
    paused_until_s INTEGER NOT NULL,
    paused_by TEXT NOT NULL,
    boost INTEGER NOT NULL,
    boost_until_s INTEGER NOT NULL,
    boost_by TEXT NOT NULL,
    PRIMARY KEY (app, process)
) WITHOUT ROWID;

-- Only ever added to. The app's name stays readable after the app is removed.
CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at_s INTEGER NOT NULL,
    who TEXT NOT NULL,
    app INTEGER NOT NULL,
    what TEXT NOT NULL,
    difference TEXT NOT NULL
);

CREATE INDEX audit_app ON audit (app, id);
