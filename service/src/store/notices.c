#include "store/notices.h"
#include "store/database.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void copy_text(char *to, size_t size, const char *from) {
    snprintf(to, size, "%s", from ? from : "");
}

/* ---- Channels ------------------------------------------------------------------------------- */

#define CHANNEL "c.id, c.app, c.kind, c.hint, c.tells, c.created_s, c.told_s, c.trouble"

static void read_channel(struct query *query, int column, struct channel *channel) {
    channel->id = column_int(query, column);
    channel->app = column_int(query, column + 1);
    copy_text(channel->kind, sizeof channel->kind, column_text(query, column + 2));
    copy_text(channel->hint, sizeof channel->hint, column_text(query, column + 3));
    channel->tells = (unsigned)column_int(query, column + 4);
    channel->created_s = column_int(query, column + 5);
    channel->told_s = column_int(query, column + 6);
    copy_text(channel->trouble, sizeof channel->trouble, column_text(query, column + 7));
}

bool channel_add(struct store *store, struct channel *channel, const void *sealed, size_t length) {
    struct query query = store_query(
        store, "INSERT INTO channel (app, kind, hint, tells, sealed, created_s) VALUES (?1, ?2, "
               "?3, ?4, ?5, ?6) RETURNING id");
    query_int(&query, 1, channel->app);
    query_text(&query, 2, channel->kind);
    query_text(&query, 3, channel->hint);
    query_int(&query, 4, channel->tells);
    query_blob(&query, 5, sealed, length);
    query_int(&query, 6, channel->created_s);
    channel->id = query_next(&query) ? column_int(&query, 0) : 0;
    return query_end(&query) && channel->id > 0;
}

bool channel_get(struct store *store, int64_t app, int64_t id, struct channel *channel) {
    struct query query =
        store_query(store, "SELECT " CHANNEL " FROM channel c WHERE c.app = ?1 AND c.id = ?2");
    query_int(&query, 1, app);
    query_int(&query, 2, id);
    bool found = query_next(&query);
    if (found) read_channel(&query, 0, channel);
    return query_end(&query) && found;
}

bool channel_set_tells(struct store *store, int64_t app, int64_t id, unsigned tells) {
    struct query query =
        store_query(store, "UPDATE channel SET tells = ?3 WHERE app = ?1 AND id = ?2");
    query_int(&query, 1, app);
    query_int(&query, 2, id);
    query_int(&query, 3, tells);
    return query_run(&query);
}

bool channel_remove(struct store *store, int64_t app, int64_t id) {
    struct query rest = store_query(store, "DELETE FROM delivery WHERE channel = ?1");
    query_int(&rest, 1, id);
    struct query query = store_query(store, "DELETE FROM channel WHERE app = ?1 AND id = ?2");
    query_int(&query, 1, app);
    query_int(&query, 2, id);
    return query_run(&rest) && query_run(&query);
}

bool channel_each(struct store *store, int64_t app,
                  void (*each)(void *context, const struct channel *channel), void *context) {
    struct query query =
        store_query(store, "SELECT " CHANNEL " FROM channel c WHERE c.app = ?1 ORDER BY c.id");
    query_int(&query, 1, app);
    while (query_next(&query)) {
        struct channel channel;
        read_channel(&query, 0, &channel);
        each(context, &channel);
    }
    return query_end(&query);
}

void *channel_sealed(struct store *store, int64_t id, size_t *length) {
    struct query query = store_query(store, "SELECT sealed FROM channel WHERE id = ?1");
    void *copy = NULL;
    query_int(&query, 1, id);
    if (query_next(&query)) {
        const void *sealed = column_blob(&query, 0, length);
        copy = store_copy_bytes(store, sealed, *length);
    }
    query_end(&query);
    return copy;
}

bool channel_each_app(struct store *store, void (*each)(void *context, int64_t app),
                      void *context) {
    struct query query = store_query(store, "SELECT DISTINCT app FROM channel ORDER BY app");
    while (query_next(&query)) each(context, column_int(&query, 0));
    return query_end(&query);
}

/* ---- Watches -------------------------------------------------------------------------------- */

static void key_of_watch(struct query *query, int64_t app, const char *process, int kind) {
    query_int(query, 1, app);
    query_text(query, 2, process);
    query_int(query, 3, kind);
}

bool watch_get(struct store *store, int64_t app, const char *process, int kind,
               struct watch *watch) {
    struct query query = store_query(store, "SELECT since_s, seen_s, told_s FROM watch WHERE "
                                            "app = ?1 AND process = ?2 AND kind = ?3");
    key_of_watch(&query, app, process, kind);
    bool found = query_next(&query);
    if (found)
        *watch = (struct watch){.since_s = column_int(&query, 0),
                                .seen_s = column_int(&query, 1),
                                .told_s = column_int(&query, 2)};
    return query_end(&query) && found;
}

bool watch_put(struct store *store, int64_t app, const char *process, int kind,
               const struct watch *watch) {
    struct query query = store_query(
        store, "INSERT INTO watch (app, process, kind, since_s, seen_s, told_s) VALUES (?1, ?2, "
               "?3, ?4, ?5, ?6) ON CONFLICT (app, process, kind) DO UPDATE SET since_s = "
               "excluded.since_s, seen_s = excluded.seen_s, told_s = excluded.told_s");
    key_of_watch(&query, app, process, kind);
    query_int(&query, 4, watch->since_s);
    query_int(&query, 5, watch->seen_s);
    query_int(&query, 6, watch->told_s);
    return query_run(&query);
}

bool watch_remove(struct store *store, int64_t app, const char *process, int kind) {
    struct query query =
        store_query(store, "DELETE FROM watch WHERE app = ?1 AND process = ?2 AND kind = ?3");
    key_of_watch(&query, app, process, kind);
    return query_run(&query);
}

/* ---- Notices -------------------------------------------------------------------------------- */

#define NOTICE "n.id, n.app, n.process, n.kind, n.state, n.at_s, n.title, n.body"

static void read_notice(struct query *query, struct notice *notice) {
    notice->id = column_int(query, 0);
    notice->app = column_int(query, 1);
    copy_text(notice->process, sizeof notice->process, column_text(query, 2));
    notice->kind = (int)column_int(query, 3);
    notice->state = (enum notice_state)column_int(query, 4);
    notice->at_s = column_int(query, 5);
    copy_text(notice->title, sizeof notice->title, column_text(query, 6));
    copy_text(notice->body, sizeof notice->body, column_text(query, 7));
}

const char *notice_state_name(enum notice_state state) {
    static const char *const names[] = {"test", "began", "ended", "happened"};
    return names[state & 3];
}

bool notice_add(struct store *store, struct notice *notice) {
    struct query query = store_query(
        store, "INSERT INTO notice (app, process, kind, state, at_s, title, body) VALUES (?1, ?2, "
               "?3, ?4, ?5, ?6, ?7) RETURNING id");
    query_int(&query, 1, notice->app);
    query_text(&query, 2, notice->process);
    query_int(&query, 3, notice->kind);
    query_int(&query, 4, notice->state);
    query_int(&query, 5, notice->at_s);
    query_text(&query, 6, notice->title);
    query_text(&query, 7, notice->body);
    notice->id = query_next(&query) ? column_int(&query, 0) : 0;
    if (!query_end(&query) || notice->id == 0) return false;
    struct query deliveries = store_query(
        store, "INSERT INTO delivery (channel, notice, due_s, tries) SELECT id, ?2, ?3, 0 FROM "
               "channel WHERE app = ?1 AND (tells & ?4) <> 0");
    query_int(&deliveries, 1, notice->app);
    query_int(&deliveries, 2, notice->id);
    query_int(&deliveries, 3, notice->at_s);
    query_int(&deliveries, 4, 1 << notice->kind);
    return query_run(&deliveries);
}

bool notice_each(struct store *store, int64_t app, int most,
                 void (*each)(void *context, const struct notice *notice), void *context) {
    struct query query = store_query(
        store, "SELECT " NOTICE " FROM notice n WHERE n.app = ?1 ORDER BY n.at_s DESC, n.id DESC "
               "LIMIT ?2");
    query_int(&query, 1, app);
    query_int(&query, 2, most);
    while (query_next(&query)) {
        struct notice notice;
        read_notice(&query, &notice);
        each(context, &notice);
    }
    return query_end(&query);
}

int64_t notice_count(struct store *store, int64_t app, int kind, int64_t since_s) {
    struct query query = store_query(
        store, "SELECT count(*) FROM notice WHERE app = ?1 AND kind = ?2 AND at_s >= ?3");
    query_int(&query, 1, app);
    query_int(&query, 2, kind);
    query_int(&query, 3, since_s);
    int64_t count = query_next(&query) ? column_int(&query, 0) : 0;
    return query_end(&query) ? count : -1;
}

bool notice_tidy(struct store *store, int64_t before_s) {
    struct query query = store_query(store, "DELETE FROM notice WHERE at_s < ?1 AND id NOT IN "
                                            "(SELECT notice FROM delivery)");
    query_int(&query, 1, before_s);
    return query_run(&query);
}

/* ---- Deliveries ----------------------------------------------------------------------------- */

static bool find_due(struct store *store, int64_t now_s, struct delivery *delivery) {
    struct query query = store_query(
        store, "SELECT " NOTICE ", " CHANNEL
               ", d.due_s, d.tries FROM delivery d JOIN notice n ON n.id = d.notice JOIN channel "
               "c ON c.id = d.channel WHERE d.due_s <= ?1 AND NOT EXISTS (SELECT 1 FROM delivery "
               "e WHERE e.channel = d.channel AND e.notice < d.notice) ORDER BY d.due_s LIMIT 1");
    query_int(&query, 1, now_s);
    bool found = query_next(&query);
    if (found) {
        read_notice(&query, &delivery->notice);
        read_channel(&query, 8, &delivery->channel);
        delivery->due_s = column_int(&query, 16);
        delivery->tries = (int)column_int(&query, 17) + 1;
    }
    return query_end(&query) && found;
}

bool delivery_claim(struct store *store, int64_t now_s, int64_t again_s,
                    struct delivery *delivery) {
    while (find_due(store, now_s, delivery)) {
        struct query query = store_query(
            store, "UPDATE delivery SET due_s = ?3, tries = ?4 WHERE channel = ?1 AND notice = ?2 "
                   "AND due_s = ?5");
        query_int(&query, 1, delivery->channel.id);
        query_int(&query, 2, delivery->notice.id);
        query_int(&query, 3, again_s);
        query_int(&query, 4, delivery->tries);
        query_int(&query, 5, delivery->due_s);
        if (!query_run(&query)) return false;
        if (store_changed(store) == 1) return true; /* else another process took it */
    }
    return false;
}

static bool note_trouble(struct store *store, const struct delivery *delivery, int64_t now_s,
                         const char *trouble) {
    struct query query = store_query(
        store, "UPDATE channel SET trouble = ?2, told_s = CASE WHEN ?2 = '' THEN ?3 ELSE told_s "
               "END WHERE id = ?1");
    query_int(&query, 1, delivery->channel.id);
    query_text(&query, 2, trouble);
    query_int(&query, 3, now_s);
    return query_run(&query);
}

bool delivery_end(struct store *store, const struct delivery *delivery, int64_t now_s,
                  const char *trouble, int64_t again_s) {
    bool over = !*trouble || again_s == 0;
    struct query query = store_query(
        store, over ? "DELETE FROM delivery WHERE channel = ?1 AND notice = ?2"
                    : "UPDATE delivery SET due_s = ?3 WHERE channel = ?1 AND notice = ?2");
    query_int(&query, 1, delivery->channel.id);
    query_int(&query, 2, delivery->notice.id);
    if (!over) query_int(&query, 3, again_s);
    return query_run(&query) && note_trouble(store, delivery, now_s, trouble);
}
