-- Whom to tell about an app, and what was told (store/notices.h).

-- `sealed`: where to send it, and the secret with which it is signed.
CREATE TABLE channel (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    app INTEGER NOT NULL,
    kind TEXT NOT NULL, -- "email", "slack", "webhook"
    hint TEXT NOT NULL, -- what people know it by
    tells INTEGER NOT NULL, -- bits: 1 << the kind of a notice
    sealed BLOB NOT NULL,
    created_s INTEGER NOT NULL,
    told_s INTEGER NOT NULL DEFAULT 0,
    trouble TEXT NOT NULL DEFAULT ''
);
CREATE INDEX channel_app ON channel (app);

-- What holds of a process now, or did a short time ago.
CREATE TABLE watch (
    app INTEGER NOT NULL,
    process TEXT NOT NULL,
    kind INTEGER NOT NULL,
    since_s INTEGER NOT NULL,
    seen_s INTEGER NOT NULL, -- when it was last seen to hold
    told_s INTEGER NOT NULL, -- 0: not told yet
    PRIMARY KEY (app, process, kind)
) WITHOUT ROWID;

CREATE TABLE notice (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    app INTEGER NOT NULL,
    process TEXT NOT NULL, -- '': of the whole app
    kind INTEGER NOT NULL,
    state INTEGER NOT NULL,
    at_s INTEGER NOT NULL,
    title TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX notice_app ON notice (app, at_s);
CREATE INDEX notice_at ON notice (at_s);

-- What is still to be sent. The channel's earlier ones go first.
CREATE TABLE delivery (
    channel INTEGER NOT NULL,
    notice INTEGER NOT NULL,
    due_s INTEGER NOT NULL,
    tries INTEGER NOT NULL,
    PRIMARY KEY (channel, notice)
) WITHOUT ROWID;
CREATE INDEX delivery_due ON delivery (due_s);
