#include "store/prices.h"

#include <stdio.h>

bool price_get(struct store *store, int64_t app, const char *process, struct price *price) {
    *price = (struct price){.cents_a_month = -1};
    struct query query = store_query(
        store, "SELECT cents_a_month, currency FROM price WHERE app = ?1 AND process = ?2");
    query_int(&query, 1, app);
    query_text(&query, 2, process);
    if (query_next(&query)) {
        price->cents_a_month = column_int(&query, 0);
        snprintf(price->currency, sizeof price->currency, "%s", column_text(&query, 1));
    }
    return query_end(&query);
}

bool price_put(struct store *store, int64_t app, const char *process, const struct price *price) {
    if (price->cents_a_month < 0) {
        struct query query =
            store_query(store, "DELETE FROM price WHERE app = ?1 AND process = ?2");
        query_int(&query, 1, app);
        query_text(&query, 2, process);
        return query_run(&query);
    }
    struct query query =
        store_query(store, "INSERT INTO price (app, process, cents_a_month, currency, told) VALUES "
                           "(?1, ?2, ?3, ?4, 0) ON CONFLICT (app, process) DO UPDATE SET "
                           "cents_a_month = excluded.cents_a_month, currency = excluded.currency, "
                           "told = 0");
    query_int(&query, 1, app);
    query_text(&query, 2, process);
    query_int(&query, 3, price->cents_a_month);
    query_text(&query, 4, price->currency);
    return query_run(&query);
}

bool price_tell(struct store *store, int64_t app, const char *process, const struct price *price) {
    struct query query =
        store_query(store, "INSERT INTO price (app, process, cents_a_month, currency, told) VALUES "
                           "(?1, ?2, ?3, ?4, 1) ON CONFLICT (app, process) DO UPDATE SET "
                           "cents_a_month = excluded.cents_a_month, currency = excluded.currency "
                           "WHERE price.told = 1");
    query_int(&query, 1, app);
    query_text(&query, 2, process);
    query_int(&query, 3, price->cents_a_month);
    query_text(&query, 4, price->currency);
    return query_run(&query);
}
