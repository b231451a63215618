-- Heroku's add-on (store/addon.h), and what platforms tell of prices.

-- Resources that Heroku provisioned. One that was removed stays as the record of it, without a name
-- or a secret; one that was removed before it came is kept, so that it does not come after.
CREATE TABLE addon_resource (
    uuid TEXT NOT NULL PRIMARY KEY,
    app INTEGER NOT NULL,
    plan TEXT NOT NULL,
    name TEXT NOT NULL,
    heroku_app TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL,
    trouble TEXT NOT NULL DEFAULT '',
    sealed BLOB,
    dynos INTEGER NOT NULL DEFAULT 0,
    created_s INTEGER NOT NULL,
    next_s INTEGER NOT NULL DEFAULT 0,
    tries INTEGER NOT NULL DEFAULT 0,
    ended_s INTEGER NOT NULL DEFAULT 0
);

CREATE INDEX addon_resource_app ON addon_resource (app);

-- People who came by Heroku's single sign-on, each for one app.
CREATE TABLE addon_person (
    app INTEGER NOT NULL,
    person INTEGER NOT NULL,
    PRIMARY KEY (app, person)
);

-- Single sign-on: what was used once is not used again.
CREATE TABLE addon_used (
    hash BLOB NOT NULL PRIMARY KEY,
    until_s INTEGER NOT NULL
);

-- A session of one app alone; 0: of all.
ALTER TABLE session ADD COLUMN app INTEGER NOT NULL DEFAULT 0;

-- 1: the platform told the price; 0: a person entered it.
ALTER TABLE price ADD COLUMN told INTEGER NOT NULL DEFAULT 0;
