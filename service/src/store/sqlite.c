/*
 * SQLite: one file, DIR/dynoscaled.db. In WAL mode readers never wait for a writer; with
 * synchronous=FULL a commit survives a power failure.
 */
#define _GNU_SOURCE /* O_CLOEXEC, dev_t */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "array.h"
#include "store/database.h"
#include "store/statements.h"
#include "store/store.h"

enum {
    PATH_SIZE = 4096,
    BUSY_MS = 10000, /* how long a writer waits for another process */
};

/* The queue of this process's writers for each file, in the order in which they came. */
struct turns {
    struct turns *next;
    dev_t device;
    ino_t inode;
    ino_t log; /* of the write-ahead log, which is there once somebody writes; 0: not yet */
    int users;
    uint64_t taken, served;
    pthread_cond_t turn;
};
static struct turns *all_turns;
static pthread_mutex_t turns_lock = PTHREAD_MUTEX_INITIALIZER; /* guards all queues */

struct statement {
    struct statement_head head; /* first */
    struct sqlite_store *store;
    sqlite3_stmt *prepared;
};

enum end { BEGIN_WRITING, BEGIN_READING, COMMIT, ROLLBACK, ENDS };

struct sqlite_store {
    struct store base;
    sqlite3 *file;
    sqlite3_stmt *ends[ENDS];
    struct turns *turns;
    struct statements statements;
    int64_t *noted; /* rows changed by statements of this transaction */
    size_t noted_count, noted_room;
};

static const struct database sqlite;

/* ---- Turns --------------------------------------------------------------------------------- */

static struct turns *turns_of(const char *path) {
    struct stat found;
    if (stat(path, &found) != 0) return NULL;
    pthread_mutex_lock(&turns_lock);
    struct turns *turns = all_turns;
    while (turns && (turns->device != found.st_dev || turns->inode != found.st_ino))
        turns = turns->next;
    if (!turns && (turns = calloc(1, sizeof *turns))) {
        turns->device = found.st_dev;
        turns->inode = found.st_ino;
        pthread_cond_init(&turns->turn, NULL);
        turns->next = all_turns;
        all_turns = turns;
    }
    if (turns) turns->users++;
    pthread_mutex_unlock(&turns_lock);
    return turns;
}

static void leave_turns(struct turns *turns) {
    if (!turns) return;
    pthread_mutex_lock(&turns_lock);
    if (--turns->users == 0) {
        struct turns **at = &all_turns;
        while (*at != turns) at = &(*at)->next;
        *at = turns->next;
        pthread_cond_destroy(&turns->turn);
        free(turns);
    }
    pthread_mutex_unlock(&turns_lock);
}

static void take_turn(struct turns *turns) {
    pthread_mutex_lock(&turns_lock);
    uint64_t number = turns->taken++;
    while (turns->served != number) pthread_cond_wait(&turns->turn, &turns_lock);
    pthread_mutex_unlock(&turns_lock);
}

static void end_turn(struct turns *turns) {
    pthread_mutex_lock(&turns_lock);
    turns->served++;
    pthread_cond_broadcast(&turns->turn);
    pthread_mutex_unlock(&turns_lock);
}

/* ---- Files that are gone -------------------------------------------------------------------- */

static _Atomic(const struct store_replaced *) told_of_replaced;

void store_when_replaced(const struct store_replaced *told) {
    atomic_store(&told_of_replaced, told);
}

/* Removed or replaced files are still open here, and would take what is written to them with them
 * when this process ends. NULL: all are in place; else a sentence. With the writers' turn. */
static const char *find_replaced(struct turns *turns, const char *path, bool *for_good) {
    char log[PATH_SIZE + 8];
    struct stat found;
    bool data = stat(path, &found) == 0;
    if (!data && errno == ENOENT)
        return "the data's file was removed or renamed while it is in use: put it back under its "
               "name; what was kept is in that file, and nothing is kept meanwhile";
    *for_good = true;
    if (data && (found.st_dev != turns->device || found.st_ino != turns->inode))
        return "the data's file was replaced by another one while it was in use, which can be kept "
               "only once this process has ended: `dynoscaled restore` replaces data that no "
               "service uses";
    snprintf(log, sizeof log, "%s-wal", path);
    bool there = stat(log, &found) == 0;
    if (there && turns->log == 0) turns->log = found.st_ino;
    if (turns->log == 0 || (there && found.st_ino == turns->log) || (!there && errno != ENOENT))
        return NULL;
    return "the data's log (dynoscaled.db-wal) was removed while it is in use: it is part of the "
           "data; what was in it is in the data's file now";
}

/* ---- What went wrong ----------------------------------------------------------------------- */

static void explain(char *sentence, size_t size, int code, const char *words) {
    switch (code & 0xFF) {
    case SQLITE_FULL:
        snprintf(sentence, size, "the disk is full: make room where the data is");
        break;
    case SQLITE_IOERR:
        snprintf(sentence, size,
                 "the disk that holds the data can't be read or written (error %d): look at the "
                 "system's log",
                 code);
        break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        snprintf(sentence, size,
                 "the data was in use by another process for too long: end that process, or try "
                 "again");
        break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        snprintf(sentence, size, "the data is damaged: restore a backup");
        break;
    case SQLITE_READONLY:
    case SQLITE_PERM:
        snprintf(sentence, size, "the data can't be written by this user");
        break;
    case SQLITE_CANTOPEN:
        snprintf(sentence, size, "the data can't be opened by this user");
        break;
    case SQLITE_NOMEM:
        snprintf(sentence, size, "out of memory");
        break;
    default:
        snprintf(sentence, size, "the database says: %s", words);
    }
}

static void failed(struct store *base) {
    struct sqlite_store *store = (struct sqlite_store *)base;
    char sentence[STORE_ERROR_SIZE];
    int code = sqlite3_extended_errcode(store->file);
    if ((code & 0xFF) == SQLITE_CANTOPEN && sqlite3_system_errno(store->file) == EMFILE)
        snprintf(sentence, sizeof sentence,
                 "this process may open no more files: allow more (ulimit -n)");
    else explain(sentence, sizeof sentence, code, sqlite3_errmsg(store->file));
    store_failed(base, "%s", sentence);
}

/* ---- Statements ---------------------------------------------------------------------------- */

static void *compile(struct store *base, struct statement_head head) {
    struct sqlite_store *store = (struct sqlite_store *)base;
    struct statement *statement = calloc(1, sizeof *statement);
    if (!statement) {
        store_failed(base, "out of memory");
        return NULL;
    }
    *statement = (struct statement){.head = head, .store = store};
    unsigned flags = head.kept ? SQLITE_PREPARE_PERSISTENT : 0;
    if (sqlite3_prepare_v3(store->file, head.sql, -1, flags, &statement->prepared, NULL) !=
        SQLITE_OK) {
        failed(base);
        free(statement);
        return NULL;
    }
    return statement;
}

static void free_statement(void *given) {
    struct statement *statement = given;
    sqlite3_finalize(statement->prepared);
    free(statement);
}

static void leave_transaction(struct store *base);

static void *sqlite_prepare(struct store *base, const char *sql) {
    /* Otherwise a transaction that could not be undone for lack of memory would be read as if it
     * were committed. */
    if (!base->in_transaction && !base->reading) leave_transaction(base);
    return statements_take(&((struct sqlite_store *)base)->statements, base, sql, compile);
}

static void sqlite_end(void *given) {
    struct statement *statement = given;
    if (!statement->head.kept) {
        free_statement(statement);
        return;
    }
    sqlite3_reset(statement->prepared);
    sqlite3_clear_bindings(statement->prepared);
    statement->head.in_use = false;
}

static bool sqlite_writes(void *statement) {
    return !sqlite3_stmt_readonly(((struct statement *)statement)->prepared);
}

/* A parameter that does not exist is a mistake of the program: reported as the reason of the
 * failure. */
static void check(struct statement *statement, int code) {
    if (code != SQLITE_OK) failed(&statement->store->base);
}

static void sqlite_bind_int(void *statement, int parameter, int64_t value) {
    check(statement,
          sqlite3_bind_int64(((struct statement *)statement)->prepared, parameter, value));
}

static void sqlite_bind_text(void *statement, int parameter, const char *value, size_t length) {
    check(statement, sqlite3_bind_text64(((struct statement *)statement)->prepared, parameter,
                                         value, length, SQLITE_STATIC, SQLITE_UTF8));
}

static void sqlite_bind_blob(void *statement, int parameter, const void *value, size_t length) {
    sqlite3_stmt *prepared = ((struct statement *)statement)->prepared;
    if (!value && length == 0) check(statement, sqlite3_bind_null(prepared, parameter));
    else check(statement, sqlite3_bind_blob64(prepared, parameter, value, length, SQLITE_STATIC));
}

static enum database_row sqlite_next(void *given) {
    struct statement *statement = given;
    int code = sqlite3_step(statement->prepared);
    if (code == SQLITE_ROW) return ROW_FOUND;
    if (code == SQLITE_DONE) return ROW_NONE;
    failed(&statement->store->base);
    return ROW_FAILED;
}

static int64_t sqlite_column_int(void *statement, int column) {
    return sqlite3_column_int64(((struct statement *)statement)->prepared, column);
}

static const char *sqlite_column_text(void *statement, int column) {
    return (const char *)sqlite3_column_text(((struct statement *)statement)->prepared, column);
}

static const void *sqlite_column_blob(void *statement, int column, size_t *length) {
    sqlite3_stmt *prepared = ((struct statement *)statement)->prepared;
    const void *bytes = sqlite3_column_blob(prepared, column);
    *length = (size_t)sqlite3_column_bytes(prepared, column);
    return bytes;
}

static bool sqlite_column_is_null(void *statement, int column) {
    return sqlite3_column_type(((struct statement *)statement)->prepared, column) == SQLITE_NULL;
}

static bool sqlite_run(struct store *base, const char *sql) {
    struct sqlite_store *store = (struct sqlite_store *)base;
    if (sqlite3_exec(store->file, sql, NULL, NULL, NULL) == SQLITE_OK) return true;
    failed(base);
    return false;
}

static int64_t sqlite_changed(struct store *store) {
    return sqlite3_changes64(((struct sqlite_store *)store)->file);
}

/* Statements run at once, so the last one is the one whose rows are read. */
static int64_t sqlite_last_statement(struct store *base) {
    struct sqlite_store *store = (struct sqlite_store *)base;
    void *array =
        array_grown(store->noted, &store->noted_room, store->noted_count + 1, sizeof *store->noted);
    if (!array) {
        store_failed(base, "out of memory");
        return -1;
    }
    store->noted = array;
    store->noted[store->noted_count] = sqlite_changed(base);
    return (int64_t)store->noted_count++;
}

static int64_t sqlite_changed_by(struct store *base, int64_t statement) {
    struct sqlite_store *store = (struct sqlite_store *)base;
    bool known = statement >= 0 && statement < (int64_t)store->noted_count;
    return known ? store->noted[statement] : -1;
}

/* ---- Transactions -------------------------------------------------------------------------- */

/* Compiled when the data is opened: ending a transaction must not need memory. */
static const char *const ends[ENDS] = {[BEGIN_WRITING] = "BEGIN IMMEDIATE",
                                       [BEGIN_READING] = "BEGIN",
                                       [COMMIT] = "COMMIT",
                                       [ROLLBACK] = "ROLLBACK"};

static bool compile_ends(struct sqlite_store *store) {
    for (int i = 0; i < ENDS; i++) {
        sqlite3_finalize(store->ends[i]);
        if (sqlite3_prepare_v3(store->file, ends[i], -1, SQLITE_PREPARE_PERSISTENT, &store->ends[i],
                               NULL) == SQLITE_OK)
            continue;
        failed(&store->base);
        return false;
    }
    return true;
}

static bool run_end(struct store *base, enum end end) {
    struct sqlite_store *store = (struct sqlite_store *)base;
    bool ok = sqlite3_step(store->ends[end]) == SQLITE_DONE;
    if (!ok) failed(base);
    sqlite3_reset(store->ends[end]);
    return ok;
}

/* A transaction that could not be ended before is ended now: otherwise no other could begin. */
static void leave_transaction(struct store *base) {
    struct sqlite_store *store = (struct sqlite_store *)base;
    if (!sqlite3_get_autocommit(store->file)) run_end(base, ROLLBACK);
}

/* Deleted rows were overwritten (secure_delete), but the write-ahead log still has them. While
 * somebody reads the earlier state, they remain until the next checkpoint. */
static void sqlite_erase(struct store *base) {
    struct sqlite_store *store = (struct sqlite_store *)base;
    sqlite3_wal_checkpoint_v2(store->file, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
}

/* In a transaction, which is left where files are not in place for good. What is in the log then
 * goes into the file that it is of: it must not be lost with the log, nor be taken for the log of
 * another file. */
static bool is_in_place(struct sqlite_store *store) {
    bool for_good = false;
    const char *path = sqlite3_db_filename(store->file, "main");
    const char *why = find_replaced(store->turns, path, &for_good);
    if (!why) return true;
    leave_transaction(&store->base);
    if (for_good) sqlite_erase(&store->base);
    const struct store_replaced *told = for_good ? atomic_load(&told_of_replaced) : NULL;
    if (told) told->tell(told->context, why);
    store_failed(&store->base, "%s", why);
    return false;
}

static bool sqlite_begin(struct store *base) {
    struct sqlite_store *store = (struct sqlite_store *)base;
    take_turn(store->turns);
    store->noted_count = 0;
    leave_transaction(base);
    if (run_end(base, BEGIN_WRITING) && is_in_place(store)) return true;
    end_turn(store->turns);
    return false;
}

static bool sqlite_commit(struct store *base) {
    struct sqlite_store *store = (struct sqlite_store *)base;
    if (!run_end(base, COMMIT)) return false;
    end_turn(store->turns);
    return true;
}

/* A full disk makes SQLite roll back by itself, so there may be nothing left to do. */
static void sqlite_rollback(struct store *base) {
    leave_transaction(base);
    end_turn(((struct sqlite_store *)base)->turns);
}

static bool sqlite_begin_read(struct store *base) {
    leave_transaction(base);
    return run_end(base, BEGIN_READING);
}

static void sqlite_end_read(struct store *base) { run_end(base, COMMIT); }

/* ---- Opening and closing ------------------------------------------------------------------- */

static void sqlite_close(struct store *base) {
    struct sqlite_store *store = (struct sqlite_store *)base;
    statements_free(&store->statements, free_statement);
    for (int i = 0; i < ENDS; i++) sqlite3_finalize(store->ends[i]);
    free(store->noted);
    sqlite3_close_v2(store->file);
    leave_turns(store->turns);
    free(store);
}

static const struct database sqlite = {
    .steps = schema_sqlite,
    .step_count = &schema_sqlite_steps,
    .close = sqlite_close,
    .prepare = sqlite_prepare,
    .writes = sqlite_writes,
    .bind_int = sqlite_bind_int,
    .bind_text = sqlite_bind_text,
    .bind_blob = sqlite_bind_blob,
    .next = sqlite_next,
    .column_int = sqlite_column_int,
    .column_text = sqlite_column_text,
    .column_blob = sqlite_column_blob,
    .column_is_null = sqlite_column_is_null,
    .end = sqlite_end,
    .run = sqlite_run,
    .changed = sqlite_changed,
    .last_statement = sqlite_last_statement,
    .changed_by = sqlite_changed_by,
    .begin = sqlite_begin,
    .begin_append = sqlite_begin,
    .begin_read = sqlite_begin_read,
    .end_read = sqlite_end_read,
    .commit = sqlite_commit,
    .rollback = sqlite_rollback,
    .erase = sqlite_erase,
};

/* Makes the folder and its parents with mode 0700: only this user may read the data. */
static bool make_folder(const char *folder, char *error, size_t size) {
    char path[PATH_SIZE];
    if (snprintf(path, sizeof path, "%s/", folder) >= (int)sizeof path) {
        snprintf(error, size, "the name of the data folder is too long: %zu characters",
                 strlen(folder));
        return false;
    }
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(path, 0700) != 0 && errno != EEXIST) {
            snprintf(error, size, "can't make the data folder %s: %s", path, strerror(errno));
            return false;
        }
        *slash = '/';
    }
    return true;
}

static bool looks_whole(struct sqlite_store *store) {
    bool whole = false;
    struct query query = store_query(&store->base, "PRAGMA quick_check(1)");
    if (query_next(&query)) whole = strcmp(column_text(&query, 0), "ok") == 0;
    if (!query_end(&query) || !whole) return false;
    query = store_query(&store->base, "SELECT count(*) FROM schema_step");
    whole = query_next(&query) && column_int(&query, 0) > 0;
    return query_end(&query) && whole;
}

/* SQLite gives its other files the rights of this one. One that is there is not opened: closing it
 * would end SQLite's locks on it, which are of the process. Without them whoever else closes the
 * data takes itself for the last, and removes the log that is in use here. */
static bool make_file(const char *path, bool may_be_there, char *error, size_t size) {
    int file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file >= 0) close(file);
    if (file >= 0 || (may_be_there && errno == EEXIST && access(path, R_OK | W_OK) == 0))
        return true;
    snprintf(error, size, "can't open the data %s: %s", path, strerror(errno));
    return false;
}

/* A group of reports changes hundreds of pages, often the same ones. With room for them in memory,
 * and a checkpoint per 16 MB of log, each is read and copied less often. */
static bool set_up(struct sqlite_store *store) {
    sqlite3_extended_result_codes(store->file, 1);
    sqlite3_busy_timeout(store->file, BUSY_MS);
    sqlite3_db_config(store->file, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(store->file, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    if (!sqlite_run(&store->base, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                                  "PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;"
                                  "PRAGMA cache_size = -4096; PRAGMA secure_delete = ON;"
                                  "PRAGMA wal_autocheckpoint = 4000;"
                                  "PRAGMA journal_size_limit = 67108864"))
        return false;
    return compile_ends(
        store); /* statements from before a PRAGMA are compiled again when they run */
}

static struct sqlite_store *connect(const char *path, int flags) {
    struct sqlite_store *store = calloc(1, sizeof *store);
    if (!store) return NULL;
    store->base.database = &sqlite;
    if (sqlite3_open_v2(path, &store->file, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        failed(&store->base);
    else if (compile_ends(store) && !(store->turns = turns_of(path)))
        store_failed(&store->base, "out of memory");
    return store;
}

/* False, with a sentence, if the data is damaged or newer than this program. */
static bool look_at(struct sqlite_store *store, const char *folder, char *error, size_t size) {
    bool open = store->turns != NULL;
    if (open) sqlite3_busy_timeout(store->file, BUSY_MS);
    if (open && !looks_whole(store) && !store->base.error[0])
        store_failed(&store->base, "the data is damaged: restore a backup");
    if (open && !store->base.error[0] && store_knows_schema(&store->base)) return true;
    snprintf(error, size, "can't use the data in %s: %s", folder, store->base.error);
    return false;
}

struct store *sqlite_open(const char *folder, enum store_open how, char *error, size_t size) {
    char path[PATH_SIZE];
    struct stat found;
    if (snprintf(path, sizeof path, "%s/dynoscaled.db", folder) >= (int)sizeof path) {
        snprintf(error, size, "the name of the data folder is too long");
        return NULL;
    }
    if (how == STORE_CREATE) {
        if (!make_folder(folder, error, size) || !make_file(path, true, error, size)) return NULL;
    } else if (stat(path, &found) != 0) {
        snprintf(error, size, "there is no data in %s (%s): `dynoscaled serve --data %s` makes it",
                 folder, strerror(errno), folder);
        return NULL;
    }
    struct sqlite_store *store =
        connect(path, how == STORE_LOOK ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE);
    if (!store) {
        snprintf(error, size, "out of memory");
        return NULL;
    }
    if (how == STORE_LOOK && look_at(store, folder, error, size)) return &store->base;
    if (how == STORE_LOOK) {
        sqlite_close(&store->base);
        return NULL;
    }
    /* The first process to open a new file turns WAL on, and SQLite does not wait for that. */
    bool ok = store->turns != NULL;
    if (ok) {
        take_turn(store->turns);
        ok = set_up(store);
        end_turn(store->turns);
    }
    if (ok && store_step_schema(&store->base)) return &store->base;
    snprintf(error, size, "can't use the data in %s: %s", folder, store->base.error);
    sqlite_close(&store->base);
    return NULL;
}

/* ---- Copies -------------------------------------------------------------------------------- */

/* Copies the pages of one file into another, as of one moment. SQLITE_OK, or the error. */
static int copy_pages(sqlite3 *from, sqlite3 *to) {
    sqlite3_backup *copy = sqlite3_backup_init(to, "main", from, "main");
    if (!copy) return sqlite3_extended_errcode(to);
    int code = sqlite3_backup_step(copy, -1);
    int ended = sqlite3_backup_finish(copy);
    if (code == SQLITE_DONE) return ended;
    return ended != SQLITE_OK ? ended : code;
}

static int open_file(const char *path, sqlite3 **file) {
    int code = sqlite3_open_v2(path, file, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code == SQLITE_OK) sqlite3_busy_timeout(*file, BUSY_MS);
    return code;
}

static bool sync_folder_of(const char *file) {
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s", file);
    char *slash = strrchr(path, '/');
    if (slash) slash[slash == path] = '\0';
    int folder = open(slash ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) return false;
    bool ok = fsync(folder) == 0;
    close(folder);
    return ok;
}

static bool copy_to(struct sqlite_store *store, const char *path, char *error, size_t size) {
    sqlite3 *to = NULL;
    int code = open_file(path, &to);
    if (code == SQLITE_OK) code = copy_pages(store->file, to);
    /* A single file, without a log beside it. */
    if (code == SQLITE_OK)
        code = sqlite3_exec(to, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
    char sentence[STORE_ERROR_SIZE];
    if (code != SQLITE_OK) {
        explain(sentence, sizeof sentence, code, sqlite3_errstr(code));
        snprintf(error, size, "can't write the backup %s: %s", path, sentence);
    }
    sqlite3_close_v2(to);
    return code == SQLITE_OK;
}

/* Pages are copied as they are, even damaged ones: so the copy is checked, since a backup must be
 * restorable. */
static bool is_whole(const char *copy, char *error, size_t size) {
    struct sqlite_store *store = connect(copy, SQLITE_OPEN_READONLY);
    bool whole = store && store->turns && looks_whole(store);
    if (!whole)
        snprintf(error, size, "no backup was made: %s",
                 !store                 ? "out of memory"
                 : store->base.error[0] ? store->base.error
                                        : "the data is damaged: restore a backup");
    if (store) sqlite_close(&store->base);
    return whole;
}

bool sqlite_backup(struct store *base, const char *file, char *error, size_t size) {
    char part[PATH_SIZE];
    if (snprintf(part, sizeof part, "%s.part", file) >= (int)sizeof part) {
        snprintf(error, size, "the name of the backup is too long");
        return false;
    }
    if (access(file, F_OK) == 0) {
        snprintf(error, size, "%s is there already: a backup is a new file", file);
        return false;
    }
    unlink(part); /* of a backup that was cut off */
    if (!make_file(part, false, error, size)) return false;
    bool ok =
        copy_to((struct sqlite_store *)base, part, error, size) && is_whole(part, error, size);
    if (ok && rename(part, file) != 0) {
        snprintf(error, size, "can't name the backup %s: %s", file, strerror(errno));
        ok = false;
    }
    if (!ok) unlink(part);
    return ok && (sync_folder_of(file) || true);
}

/* Opens a backup, if it is complete and this program knows its version. NULL with a sentence. */
static struct sqlite_store *open_backup(const char *file, char *error, size_t size) {
    struct sqlite_store *store = connect(file, SQLITE_OPEN_READONLY);
    if (!store) {
        snprintf(error, size, "out of memory");
        return NULL;
    }
    if (store->turns && !looks_whole(store))
        store_failed(&store->base, "it is no backup of dynoscaled, or it is damaged");
    if (!store->base.error[0] && store_knows_schema(&store->base)) return store;
    snprintf(error, size, "can't restore %s: %s", file, store->base.error);
    sqlite_close(&store->base);
    return NULL;
}

/* Keeps unreadable data under another name: somebody may still want it. */
static bool set_aside(const char *path) {
    static const char *const ends[] = {"", "-wal", "-shm"};
    char from[PATH_SIZE + 16], to[PATH_SIZE + 16];
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        snprintf(from, sizeof from, "%s%s", path, ends[i]);
        snprintf(to, sizeof to, "%s.damaged%s", path, ends[i]);
        if (rename(from, to) != 0 && errno != ENOENT) return false;
    }
    return true;
}

/* Opens the file to restore into; nobody else can use it from now on. */
static int open_alone(const char *path, sqlite3 **file) {
    int code = open_file(path, file);
    if (code == SQLITE_OK) {
        sqlite3_busy_timeout(*file, 0);
        /* Only the sole connection to a file can leave WAL mode. */
        code = sqlite3_exec(*file,
                            "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = DELETE;"
                            "BEGIN EXCLUSIVE; COMMIT",
                            NULL, NULL, NULL);
    }
    if (code == SQLITE_OK) return code;
    sqlite3_close_v2(*file);
    *file = NULL;
    return code;
}

static bool restore_into(struct sqlite_store *backup, const char *path, char *error, size_t size) {
    sqlite3 *to = NULL;
    int code = open_alone(path, &to);
    if (code == SQLITE_NOTADB || code == SQLITE_CORRUPT) {
        if (!set_aside(path) || !make_file(path, false, error, size)) {
            snprintf(error, size, "can't set the damaged data %s aside: %s", path, strerror(errno));
            return false;
        }
        code = open_alone(path, &to);
    }
    if (code == SQLITE_OK) code = copy_pages(backup->file, to);
    char sentence[STORE_ERROR_SIZE];
    if (code != SQLITE_OK) {
        explain(sentence, sizeof sentence, code, sqlite3_errstr(code));
        snprintf(error, size, "can't restore into %s: %s", path, sentence);
    }
    sqlite3_close_v2(to);
    return code == SQLITE_OK;
}

bool store_restore(const char *file, const char *folder, bool replace, char *error, size_t size) {
    char path[PATH_SIZE];
    if (snprintf(path, sizeof path, "%s/dynoscaled.db", folder) >= (int)sizeof path) {
        snprintf(error, size, "the name of the data folder is too long");
        return false;
    }
    struct stat found;
    bool there = stat(path, &found) == 0;
    if (there && !replace) {
        snprintf(error, size, "there is data in %s already: say --replace to lose it", folder);
        return false;
    }
    struct sqlite_store *backup = open_backup(file, error, size);
    if (!backup) return false;
    bool ok = make_folder(folder, error, size) && make_file(path, true, error, size) &&
              restore_into(backup, path, error, size);
    if (!ok && !there) unlink(path);
    sqlite_close(&backup->base);
    return ok;
}

bool store_check_backup(const char *file, char *error, size_t size) {
    struct sqlite_store *backup = open_backup(file, error, size);
    if (!backup) return false;
    sqlite_close(&backup->base);
    return true;
}
