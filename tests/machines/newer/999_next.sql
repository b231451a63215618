-- What a later version may bring: a column, an index, a table, and a look at each row.
ALTER TABLE report ADD COLUMN next INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rules ADD COLUMN next TEXT;
CREATE INDEX next_series ON series (newest_s);
CREATE TABLE next (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    app INTEGER NOT NULL REFERENCES app (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    value BLOB
);
INSERT INTO next (app, name) SELECT id, name FROM app;
UPDATE rules SET next = 'as before';
