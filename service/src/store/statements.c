#include "store/statements.h"

#include <stdint.h>
#include <stdlib.h>

enum { FIRST_PLACES = 64 }; /* a power of two */

static size_t place_of(const struct statements *statements, const char *sql) {
    size_t last = statements->place_count - 1;
    size_t place = (size_t)((uintptr_t)sql * 0x9E3779B97F4A7C15u >> 20) & last;
    while (statements->places[place] && statements->places[place]->sql != sql)
        place = (place + 1) & last;
    return place;
}

/* Makes room for one more. */
static bool make_places(struct statements *statements) {
    if (statements->count * 2 < statements->place_count) return true;
    size_t before = statements->place_count, more = before ? before * 2 : FIRST_PLACES;
    struct statement_head **old = statements->places;
    struct statement_head **places = calloc(more, sizeof *places);
    if (!places) return statements->count + 1 < before; /* one place must stay free */
    statements->places = places;
    statements->place_count = more;
    for (size_t i = 0; i < before; i++)
        if (old[i]) places[place_of(statements, old[i]->sql)] = old[i];
    free(old);
    return true;
}

void *statements_take(struct statements *statements, struct store *store, const char *sql,
                      void *(*make)(struct store *store, struct statement_head head)) {
    if (!make_places(statements)) {
        store_failed(store, "out of memory");
        return NULL;
    }
    struct statement_head **place = &statements->places[place_of(statements, sql)];
    if (*place && !(*place)->in_use) {
        (*place)->in_use = true;
        return *place;
    }
    const struct statement_head head = {.sql = sql, .in_use = true, .kept = !*place};
    struct statement_head *made = make(store, head);
    if (made && head.kept) {
        *place = made;
        statements->count++;
    }
    return made;
}

void statements_free(struct statements *statements, void (*each)(void *statement)) {
    for (size_t i = 0; i < statements->place_count; i++)
        if (statements->places[i]) each(statements->places[i]);
    free(statements->places);
    *statements = (struct statements){0};
}
