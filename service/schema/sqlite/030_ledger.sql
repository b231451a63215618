-- Every tick of every process type (store/ledger_pack.h). The hour that runs and the one before are
-- rows of one tick each; older hours are packed, a row each.
CREATE TABLE tick (
    app     INTEGER NOT NULL,
    process TEXT    NOT NULL,
    at_s    INTEGER NOT NULL,
    changes INTEGER NOT NULL, -- 1: its decision was no hold
    data    BLOB    NOT NULL,
    PRIMARY KEY (app, process, at_s)
) WITHOUT ROWID;

CREATE TABLE tick_pack (
    app     INTEGER NOT NULL,
    process TEXT    NOT NULL,
    start_s INTEGER NOT NULL, -- of its hour
    changes INTEGER NOT NULL, -- how many of its decisions were no hold
    data    BLOB    NOT NULL,
    PRIMARY KEY (app, process, start_s)
);

-- What the next tick of a process is given.
CREATE TABLE tick_memory (
    app     INTEGER NOT NULL,
    process TEXT    NOT NULL,
    data    BLOB    NOT NULL,
    PRIMARY KEY (app, process)
) WITHOUT ROWID;

-- Orders to platforms.
CREATE TABLE act (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    app        INTEGER NOT NULL,
    process    TEXT    NOT NULL,
    from_dynos INTEGER NOT NULL,
    to_dynos   INTEGER NOT NULL,
    epoch      INTEGER NOT NULL, -- of the lease under which it was made
    ordered_s  INTEGER NOT NULL,
    ended_s    INTEGER NOT NULL, -- 0: under way
    state      INTEGER NOT NULL, -- enum act_state
    tries      INTEGER NOT NULL,
    trouble    TEXT    NOT NULL
);
CREATE INDEX act_of_process ON act (app, process, ordered_s);

-- Who may act for a shard of apps, until when; the epoch counts up with each other holder.
CREATE TABLE lease (
    shard     INTEGER PRIMARY KEY,
    holder    TEXT    NOT NULL,
    epoch     INTEGER NOT NULL,
    expires_s INTEGER NOT NULL
);
