/* Leases: one conditional UPDATE decides who acts. */
#include "store/ledger.h"

bool lease_take(struct store *store, int shard, const char *holder, int64_t now_s, int64_t for_s,
                int64_t *epoch) {
    struct query query = store_query(
        store, "INSERT INTO lease (shard, holder, epoch, expires_s) VALUES (?1, ?2, 1, ?4)"
               " ON CONFLICT (shard) DO UPDATE SET epoch = lease.epoch +"
               " CASE WHEN lease.holder = excluded.holder THEN 0 ELSE 1 END,"
               " holder = excluded.holder, expires_s = excluded.expires_s"
               " WHERE lease.holder = excluded.holder OR lease.expires_s <= ?3 RETURNING epoch");
    query_int(&query, 1, shard);
    query_text(&query, 2, holder);
    query_int(&query, 3, now_s);
    query_int(&query, 4, now_s + for_s);
    bool taken = query_next(&query);
    if (taken) *epoch = column_int(&query, 0);
    return query_end(&query) && taken;
}

bool lease_release(struct store *store, int shard, const char *holder) {
    struct query query = store_query(store, "UPDATE lease SET expires_s = 0 WHERE shard = ?1 AND"
                                            " (holder = ?2 OR ?2 IS NULL)");
    query_int(&query, 1, shard);
    query_text(&query, 2, holder);
    return query_run(&query);
}
