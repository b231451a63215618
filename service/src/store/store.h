/*
 * The data: opening it, its schema, its copies. What is kept is described topic by topic in the
 * other headers of this folder (apps.h, people.h, series.h, ledger.h ...). Only this folder knows
 * SQL.
 */
#ifndef STORE_H
#define STORE_H

#include "store/driver.h"

enum store_open { STORE_CREATE, STORE_EXISTING, STORE_LOOK };

/*
 * Opens the data and steps its schema forward. `place` is the URL of a PostgreSQL database
 * (postgresql://..., postgres://...), or a folder: where that has a file DIR/database, the URL in
 * it, else DIR/dynoscaled.db. With STORE_CREATE the folder (0700) and the file (0600) are made.
 * NULL with a sentence where it can't: the folder can't be written, the database can't be reached,
 * the schema is newer than this program, the file is damaged. Each thread opens a store of its own.
 * With STORE_LOOK nothing is written, the schema stays as it is, and a file is read as a whole to
 * see whether it is damaged.
 */
struct store *store_open(const char *place, enum store_open how, char *error, size_t size);
bool store_is_url(const char *place);
/* How many steps the schema is behind this program's, after STORE_LOOK; -1: it can't be read. */
int64_t store_missing_steps(struct store *store);
void store_close(struct store *store);

/* Numbers and texts of the whole service: "public_url". get: NULL where there is none; else a copy
 * that the caller frees. */
char *store_meta(struct store *store, const char *name);
bool store_set_meta(struct store *store, const char *name, const char *value);

/* Counts up with each change of what control obeys (apps, rules, platforms, pauses ...), in the
 * transaction of the change; control reads it to learn of changes by other processes. */
bool store_touch_config(struct store *store);
int64_t store_config_version(struct store *store); /* 0: never changed; -1: it failed */

/* Copies the whole of the data, as of one moment, into a new file, while others use it; restores
 * such a file into an empty folder, or over data that no process uses when `replace`. False with a
 * sentence. */
bool store_backup(struct store *store, const char *file, char *error, size_t size);
bool store_restore(const char *file, const char *folder, bool replace, char *error, size_t size);
/* Whether a file could be restored. False with a sentence. */
bool store_check_backup(const char *file, char *error, size_t size);

/* Called, with a sentence, by a thread that could not write as the data's files were removed or
 * replaced under this process: it is to end, since only so what is in them is saved. Every write is
 * refused meanwhile, and each calls it. `told` stays; NULL: nobody is. */
struct store_replaced {
    void (*tell)(void *context, const char *why);
    void *context;
};
void store_when_replaced(const struct store_replaced *told);

/* Long work on the data rests between its transactions, so that others come to theirs. False: it is
 * to end now, and the rest of it is left for the next time. */
struct store_rest {
    bool (*take)(void *context);
    void *context;
};
bool store_rests(const struct store_rest *rest); /* NULL: at once */

#endif
