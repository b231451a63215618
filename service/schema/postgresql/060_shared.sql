-- What several services on one database need more than SQLite's steps, which are translated by
-- schema/embed.

-- A report's number is of the receiver that took it, and those of its parts follow it: who reads
-- what is new goes by them (ingest/follow.h).
ALTER TABLE report ADD COLUMN number BIGINT NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX report_number ON report (number);
CREATE UNIQUE INDEX part_number ON part (number);
CREATE INDEX part_start ON part (start_s);

-- Rows that live for minutes: what is left of them is cleared away before it takes much room.
ALTER TABLE part SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE report SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE tick SET (autovacuum_vacuum_scale_factor = 0.05);
-- Changed at each tick: with room in each page the change needs no entry in an index.
ALTER TABLE tick_memory SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
ALTER TABLE lease SET (fillfactor = 20);
