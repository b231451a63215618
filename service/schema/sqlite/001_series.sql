-- Texts and numbers of the whole service.
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE counter (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;

-- Reports that were counted, kept for an hour: a report that is sent again is found here. Which
-- dynos were heard is read from here too.
CREATE TABLE report (
    app     INTEGER NOT NULL,
    key     BLOB    NOT NULL, -- 16 bytes
    at_s    INTEGER NOT NULL, -- when it arrived
    dyno    TEXT    NOT NULL, -- "web.1"
    PRIMARY KEY (app, key)
) WITHOUT ROWID;
CREATE INDEX report_at ON report (at_s);

-- What is measured: a source ("web", "sidekiq:default") and a signal ("wait", "busy" ...).
CREATE TABLE series (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    app      INTEGER NOT NULL,
    source   TEXT    NOT NULL,
    signal   TEXT    NOT NULL,
    newest_s INTEGER NOT NULL, -- of its samples that are folded
    UNIQUE (app, source, signal)
);

-- What the commits of the last 15 minutes added to ten seconds of a series (series/part.h).
CREATE TABLE part (
    app     INTEGER NOT NULL,
    series  INTEGER NOT NULL,
    start_s INTEGER NOT NULL, -- a multiple of 10
    number  INTEGER NOT NULL, -- of the commit
    data    BLOB    NOT NULL,
    PRIMARY KEY (app, series, start_s, number)
) WITHOUT ROWID;

-- Older samples, folded: level 0 windows of 10 seconds, 1 minutes, 2 hours; each row holds many
-- (series/chunk.h).
CREATE TABLE chunk (
    app     INTEGER NOT NULL,
    series  INTEGER NOT NULL,
    level   INTEGER NOT NULL,
    start_s INTEGER NOT NULL,
    points   BLOB   NOT NULL,
    sketches BLOB   NOT NULL
);
CREATE UNIQUE INDEX chunk_key ON chunk (app, series, level, start_s);
