-- The newest order of each process is looked for when a service begins to act for all of them.
CREATE INDEX act_newest ON act (app, process, id);
