/* Leases: one conditional UPDATE decides who may act. */
#include "store/ledger.h"

/* Several services may share a database, so only its clock counts. */
#define THEIR_NOW "floor(extract(epoch FROM clock_timestamp()))::bigint"

#define TAKE(NOW)                                                               \
    "UPDATE lease SET epoch = epoch + CASE WHEN holder = ?2 THEN 0 ELSE 1 END," \
    " holder = ?2, expires_s = " NOW " + ?3 WHERE shard = ?1 AND (holder = ?2"  \
    " OR expires_s <= " NOW ") RETURNING epoch"
#define MAKE(NOW)                                                                 \
    "INSERT INTO lease (shard, holder, epoch, expires_s) VALUES (?1, ?2, 1, " NOW \
    " + ?3) ON CONFLICT (shard) DO NOTHING RETURNING epoch"

static bool run(struct store *store, const char *sql, int shard, const char *holder, int64_t now_s,
                int64_t for_s, int64_t *epoch) {
    struct query query = store_query(store, sql);
    query_int(&query, 1, shard);
    query_text(&query, 2, holder);
    query_int(&query, 3, for_s);
    if (now_s != LEASE_THEIR_CLOCK) query_int(&query, 4, now_s);
    bool taken = query_next(&query);
    if (taken) *epoch = column_int(&query, 0);
    return query_end(&query) && taken;
}

bool lease_take(struct store *store, int shard, const char *holder, int64_t now_s, int64_t for_s,
                int64_t *epoch) {
    bool theirs = now_s == LEASE_THEIR_CLOCK;
    if (run(store, theirs ? TAKE(THEIR_NOW) : TAKE("?4"), shard, holder, now_s, for_s, epoch))
        return true;
    if (*store_error(store)) return false;
    return run(store, theirs ? MAKE(THEIR_NOW) : MAKE("?4"), shard, holder, now_s, for_s, epoch);
}

bool lease_release(struct store *store, int shard, const char *holder) {
    struct query query = store_query(store, "UPDATE lease SET expires_s = 0 WHERE shard = ?1 AND"
                                            " (holder = ?2 OR ?2 IS NULL)");
    query_int(&query, 1, shard);
    query_text(&query, 2, holder);
    return query_run(&query);
}

bool lease_expire(struct store *store, int shard, const char *holder) {
    struct query query =
        store_query(store, "UPDATE lease SET expires_s = 1 WHERE shard = ?1 AND holder = ?2 AND"
                           " expires_s > 1");
    query_int(&query, 1, shard);
    query_text(&query, 2, holder);
    return query_run(&query);
}

bool lease_is_free(struct store *store, int shard) {
    struct query query =
        store_query(store, "SELECT 1 FROM lease WHERE shard = ?1 AND expires_s <> 0");
    query_int(&query, 1, shard);
    bool used = query_next(&query);
    return query_end(&query) && !used;
}

bool lease_is_held(struct store *store, int shard) {
    struct query query =
        store_query(store, store_is_shared(store)
                               ? "SELECT 1 FROM lease WHERE shard = ?1 AND expires_s > " THEIR_NOW
                               : "SELECT 1 FROM lease WHERE shard = ?1 AND expires_s > "
                                 "CAST(strftime('%s', 'now') AS INTEGER)");
    query_int(&query, 1, shard);
    bool held = query_next(&query);
    return query_end(&query) && held;
}
