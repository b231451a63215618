/* The ledger: what was decided, kept to the bit, found again, packed, removed. On a real file. */
#include "../core/support/suite.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/ledger.h"
#include "store/ledger_pack.h"
#include "support/folder.h"

enum { HOUR = 3600 };
static const int64_t noon = 1700049600; /* the beginning of an hour */
static char *folder;
static struct store *store;

static int set_up(void **state) {
    (void)state;
    char error[512] = "";
    folder = folder_make();
    store = store_open(folder, STORE_CREATE, error, sizeof error);
    if (!store) print_error("%s\n", error);
    return store ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    store_close(store);
    folder_remove(folder);
    return 0;
}

/* ---- Ticks as they are ---------------------------------------------------------------------- */

static uint64_t seed;
static int64_t random_below(int64_t limit) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (int64_t)((seed >> 33) % (uint64_t)limit);
}

/* A busy process under traffic that wanders; its sentences are shaped as decide's are. */
struct busy {
    int64_t value, below_since, ordered, rate;
    struct memory memory;
};

static void make_tick(struct busy *busy, struct ledger_tick *tick, int64_t now) {
    memset(tick, 0, sizeof *tick);
    tick->app = 7;
    strcpy(tick->process, "web");
    tick->rules_version = 3;
    tick->rule_number = (int)(now / HOUR % 2);
    struct situation *s = &tick->situation;
    situation_clear(s);
    busy->value = (busy->value * 7 + random_below(90)) / 8 + random_below(12) - 6;
    if (busy->value < 0) busy->value = 0;
    busy->rate = 3000 + random_below(400);
    s->now = now;
    s->tick_s = 10;
    s->scaling = 1;
    s->started_age = now - noon + 86400;
    s->value_ms = busy->value;
    s->samples = busy->rate;
    s->samples_above = busy->rate * busy->value / 3000;
    s->heard_age = 1 + random_below(4);
    s->report_s = 10;
    s->dynos_heard = s->ordered = s->up = busy->ordered;
    s->formation_age = 3;
    s->act_state = ACT_DONE;
    s->act_wanted = busy->ordered;
    s->act_age = now - noon + 500;
    s->rule_age = now % HOUR;
    tick->memory = busy->memory;
    if (busy->value >= 50) busy->below_since = now + 10;
    struct decision *d = &tick->decision;
    d->action = DECISION_HOLD;
    d->from = d->to = (int)busy->ordered;
    d->form = 3;
    int64_t below = now - busy->below_since;
    if (busy->value >= 50) {
        snprintf(d->sentence, sizeof d->sentence,
                 "hold %d: p95 is %" PRId64 " ms, between 50 ms and 100 ms", d->from, busy->value);
        strcpy(d->next, "up when p95 is above 100 ms; down when it stays below 50 ms for 5:00");
    } else {
        snprintf(d->sentence, sizeof d->sentence,
                 "hold %d: p95 is %" PRId64 " ms, below 50 ms for %" PRId64 ":%02d of 5:00",
                 d->from, busy->value, below / 60, (int)(below % 60));
        snprintf(d->next, sizeof d->next,
                 "up when p95 is above 100 ms; down in %" PRId64 ":%02d if it stays below 50 ms",
                 (300 - below) / 60, (int)((300 - below) % 60));
    }
    if (below >= 300 && busy->value < 50) {
        d->action = DECISION_DOWN;
        d->to = d->from > 1 ? d->from - 1 : 4;
        snprintf(d->sentence, sizeof d->sentence, "down %d → %d: p95 was below 50 ms for 5:00",
                 d->from, d->to);
        busy->ordered = d->to;
        busy->below_since = now + 10;
        busy->memory.last_down = now;
    }
    busy->memory.last_tick = now;
    busy->memory.below_since = busy->below_since;
    busy->memory.wanted = d->to;
    busy->memory.last_value_ms = busy->value;
    busy->memory.last_ordered = d->from;
}

static struct busy busy_process(void) {
    struct busy busy = {.value = 40, .ordered = 4, .below_since = noon};
    seed = 1;
    memory_clear(&busy.memory);
    return busy;
}

/* Ticks of [from, to), each 10 s, in the store. */
static void add_ticks(struct busy *busy, const char *process, int64_t from, int64_t to) {
    assert_true(store_begin(store));
    for (int64_t now = from; now < to; now += 10) {
        struct ledger_tick tick;
        make_tick(busy, &tick, now);
        strcpy(tick.process, process);
        assert_true(ledger_add(store, &tick) && ledger_remember(store, &tick, &busy->memory));
    }
    assert_true(store_commit(store));
}

static void assert_same(const struct ledger_tick *one, const struct ledger_tick *other) {
    uint8_t a[SITUATION_STORED], b[SITUATION_STORED];
    size_t length = situation_encode(a, &one->situation, NULL);
    assert_int_equal(length, situation_encode(b, &other->situation, NULL));
    assert_memory_equal(a, b, length);
    assert_true(memory_equal(&one->memory, &other->memory));
    assert_int_equal(one->rules_version, other->rules_version);
    assert_int_equal(one->rule_number, other->rule_number);
    assert_int_equal(one->decision.action, other->decision.action);
    assert_int_equal(one->decision.from, other->decision.from);
    assert_int_equal(one->decision.to, other->decision.to);
    assert_int_equal(one->decision.form, other->decision.form);
    assert_string_equal(one->decision.sentence, other->decision.sentence);
    assert_string_equal(one->decision.next, other->decision.next);
}

/* Compares what ledger_each gives with the same ticks made again. */
struct expected {
    struct busy busy;
    int64_t now;
    size_t count;
    bool changes_only;
};

static bool expect(void *context, const struct ledger_tick *tick) {
    struct expected *expected = context;
    struct ledger_tick made;
    do {
        make_tick(&expected->busy, &made, expected->now);
        expected->now += 10;
    } while (expected->changes_only && made.decision.action == DECISION_HOLD);
    assert_same(&made, tick);
    assert_int_equal(tick->app, 7);
    assert_string_equal(tick->process, "web");
    expected->count++;
    return true;
}

static void expect_all(int64_t from, int64_t to, size_t count) {
    struct expected expected = {.busy = busy_process(), .now = from};
    assert_true(ledger_each(store, 7, "web", from, to, false, expect, &expected));
    assert_int_equal(expected.count, count);
}

static void ticks_come_back_in_order_as_they_were(void **state) {
    (void)state;
    struct busy busy = busy_process();
    add_ticks(&busy, "web", noon, noon + HOUR);
    expect_all(noon, noon + HOUR, 360);
}

static void an_hour_that_is_over_is_packed_and_reads_the_same(void **state) {
    (void)state;
    struct busy busy = busy_process();
    add_ticks(&busy, "web", noon, noon + 2 * HOUR + 600);
    assert_true(ledger_compact(store, noon + 2 * HOUR + 600, NULL));
    struct query query = store_query(store, "SELECT count(*), min(at_s) FROM tick");
    assert_true(query_next(&query));
    assert_int_equal(column_int(&query, 0), 60);
    assert_int_equal(column_int(&query, 1), noon + 2 * HOUR);
    assert_true(query_end(&query));
    expect_all(noon, noon + 3 * HOUR, 780);
    struct expected expected = {.busy = busy_process(), .now = noon, .changes_only = true};
    assert_true(ledger_each(store, 7, "web", noon, noon + 3 * HOUR, true, expect, &expected));
    assert_true(expected.count > 3);
}

static bool count_ticks(void *context, const struct ledger_tick *tick) {
    (void)tick;
    ++*(size_t *)context;
    return true;
}

static bool first_tick(void *context, const struct ledger_tick *tick) {
    *(struct ledger_tick *)context = *tick;
    return false;
}

static void a_range_holds_its_beginning_and_not_its_end(void **state) {
    (void)state;
    struct busy busy = busy_process();
    add_ticks(&busy, "web", noon, noon + 2 * HOUR);
    for (int packed = 0; packed < 2; packed++) {
        size_t count = 0;
        assert_true(ledger_each(store, 7, "web", noon + HOUR - 20, noon + HOUR + 20, false,
                                count_ticks, &count));
        assert_int_equal(count, 4);
        struct ledger_tick first;
        assert_true(
            ledger_each(store, 7, "web", noon + HOUR - 25, INT64_MAX, false, first_tick, &first));
        assert_int_equal(first.situation.now, noon + HOUR - 20);
        count = 0;
        assert_true(ledger_each(store, 7, "worker", 0, INT64_MAX, false, count_ticks, &count));
        assert_true(ledger_each(store, 8, "web", 0, INT64_MAX, false, count_ticks, &count));
        assert_int_equal(count, 0);
        assert_true(ledger_compact(store, noon + 2 * HOUR, NULL));
    }
}

static void the_last_tick_at_a_moment_is_found_in_rows_and_packs(void **state) {
    (void)state;
    struct busy busy = busy_process();
    add_ticks(&busy, "web", noon + 50, noon + 2 * HOUR + 50);
    for (int packed = 0; packed < 2; packed++) {
        struct ledger_tick tick;
        assert_false(ledger_last(store, 7, "web", noon + 49, &tick));
        assert_string_equal(store_error(store), "");
        assert_true(ledger_last(store, 7, "web", noon + 59, &tick));
        assert_int_equal(tick.situation.now, noon + 50);
        assert_true(ledger_last(store, 7, "web", noon + HOUR + 3, &tick));
        assert_int_equal(tick.situation.now, noon + HOUR);
        assert_true(ledger_last(store, 7, "web", INT64_MAX, &tick));
        assert_int_equal(tick.situation.now, noon + 2 * HOUR + 40);
        assert_int_equal(tick.app, 7);
        assert_string_equal(tick.process, "web");
        assert_true(ledger_compact(store, noon + 2 * HOUR + 50, NULL));
    }
}

static void the_memory_for_the_next_tick_is_that_of_the_last(void **state) {
    (void)state;
    struct memory memory, cleared;
    assert_false(ledger_memory(store, 7, "web", &memory));
    memory_clear(&cleared);
    assert_true(memory_equal(&memory, &cleared));
    struct busy busy = busy_process();
    add_ticks(&busy, "web", noon, noon + 100);
    assert_true(ledger_memory(store, 7, "web", &memory));
    assert_true(memory_equal(&memory, &busy.memory));
    assert_true(store_begin(store));
    struct ledger_tick tick;
    make_tick(&busy, &tick, noon + 100);
    assert_true(ledger_add(store, &tick) && ledger_remember(store, &tick, &busy.memory));
    store_rollback(store);
    struct memory after;
    assert_true(ledger_memory(store, 7, "web", &after));
    assert_true(memory_equal(&memory, &after));
}

static void ticks_after_a_clock_was_set_back_join_the_hour_that_is_packed(void **state) {
    (void)state;
    struct busy busy = busy_process();
    add_ticks(&busy, "web", noon, noon + HOUR);
    assert_true(ledger_compact(store, noon + HOUR, NULL));
    struct busy again = busy_process();
    add_ticks(&again, "web", noon + 5, noon + 25);    /* between others */
    add_ticks(&again, "web", noon + 100, noon + 110); /* at the moment of another */
    assert_true(ledger_compact(store, noon + HOUR, NULL));
    size_t count = 0;
    assert_true(ledger_each(store, 7, "web", noon, noon + HOUR, false, count_ticks, &count));
    assert_int_equal(count, 362);
    struct ledger_tick tick;
    assert_true(ledger_last(store, 7, "web", noon + 15, &tick));
    assert_int_equal(tick.situation.now, noon + 15);
}

static void what_is_older_than_thirty_days_is_removed(void **state) {
    (void)state;
    struct busy busy = busy_process();
    add_ticks(&busy, "web", noon, noon + HOUR);
    add_ticks(&busy, "web", noon + 30 * 24 * HOUR, noon + 30 * 24 * HOUR + HOUR);
    assert_true(ledger_compact(store, noon + 30 * 24 * HOUR, NULL));
    size_t count = 0;
    assert_true(ledger_each(store, 7, "web", noon, noon + HOUR, false, count_ticks, &count));
    assert_int_equal(count, 360);
    assert_true(ledger_compact(store, noon + 30 * 24 * HOUR + 2 * HOUR, NULL));
    count = 0;
    assert_true(ledger_each(store, 7, "web", 0, INT64_MAX, false, count_ticks, &count));
    assert_int_equal(count, 360);
}

static bool a_few_more(void *left) { return --*(int *)left >= 0; }

static void a_compaction_that_is_ended_leaves_the_rest_for_the_next(void **state) {
    (void)state;
    struct busy busy = busy_process();
    for (int hour = 0; hour < 70; hour++) {
        add_ticks(&busy, "web", noon + hour * HOUR, noon + hour * HOUR + 20);
    }
    int rests = 65; /* before the process, and before each hour */
    const struct store_rest rest = {a_few_more, &rests}, *const given[] = {&rest, NULL};
    const int64_t left[] = {6, 0};
    for (int i = 0; i < 2; i++) {
        assert_true(ledger_compact(store, noon + 70 * HOUR, given[i]));
        struct query query = store_query(store, "SELECT count(DISTINCT at_s / 3600) FROM tick");
        assert_true(query_next(&query));
        assert_int_equal(column_int(&query, 0), left[i]);
        assert_true(query_end(&query));
    }
}

static void an_app_is_removed_with_all_of_its_own_and_nothing_else(void **state) {
    (void)state;
    struct busy busy = busy_process();
    add_ticks(&busy, "web", noon, noon + HOUR);
    struct act act = {.app = 7, .process = "web", .ordered_s = noon}, other = act;
    other.app = 8;
    assert_true(act_add(store, &act));
    assert_true(act_add(store, &other));
    assert_true(ledger_compact(store, noon + HOUR, NULL));
    add_ticks(&busy, "web", noon + HOUR, noon + HOUR + 20);
    assert_true(store_begin(store));
    assert_true(ledger_remove_app(store, 7));
    assert_true(store_commit(store));
    size_t count = 0;
    struct memory memory;
    assert_true(ledger_each(store, 7, "web", 0, INT64_MAX, false, count_ticks, &count));
    assert_int_equal(count, 0);
    assert_false(ledger_memory(store, 7, "web", &memory));
    assert_false(act_last(store, 7, "web", &act));
    assert_true(act_last(store, 8, "web", &act));
}

/* ---- Packing -------------------------------------------------------------------------------- */

static void a_busy_process_takes_less_than_nine_bytes_a_tick(void **state) {
    (void)state;
    static struct ledger_tick ticks[360];
    struct busy busy = busy_process();
    size_t bytes = 0;
    for (int hour = 0; hour < 24; hour++) {
        for (int i = 0; i < 360; i++) make_tick(&busy, &ticks[i], noon + hour * HOUR + i * 10);
        size_t length;
        uint8_t *packed = ledger_pack(ticks, 360, &length);
        assert_non_null(packed);
        free(packed);
        bytes += length;
    }
    print_message("%.2f bytes a tick\n", (double)bytes / (24 * 360));
    assert_true(bytes < 9 * 24 * 360);
}

static void some_learned(struct learned *learned) {
    learned->ticks = random_below(2000);
    learned->capacity = (double)random_below(1 << 20) / 7;
    learned->power[3] = (double)random_below(1 << 20) * 1e40 / 3;
    learned->log_outcome[0] = (int32_t)random_below(1 << 20) - (1 << 19);
    int64_t loads = learned->ticks < LEARNED_LOADS ? learned->ticks : LEARNED_LOADS;
    for (int64_t i = 0; i < loads; i++) learned->load[i] = (uint32_t)random_below(1 << 30) * 3;
}

static void any_numbers_and_texts_are_packed_to_the_bit(void **state) {
    (void)state;
    static const char *const words[] = {"0",    "00",   "1",      "01",   "9:59",
                                        "1:60", "1:5",  "12:345", ":10",  "123456789012345678901",
                                        " ms",  "\1",   "a\2b\3", "→",    "1,005",
                                        "",     "3.14", "-1",     "1:00", "999999999999999",
                                        "7:07", "0:00", "00:10",  "x",    "1234567890:10"};
    seed = 42;
    for (int round = 0; round < 300; round++) {
        size_t count = (size_t)random_below(6) + 1;
        struct ledger_tick ticks[6];
        memset(ticks, 0, sizeof ticks);
        for (size_t i = 0; i < count; i++) {
            int64_t *numbers = (int64_t *)&ticks[i].situation;
            for (size_t n = 0; n < offsetof(struct situation, queue) / sizeof *numbers; n++)
                numbers[n] = random_below(3) ? random_below(5)
                                             : (int64_t)((uint64_t)random_below(1 << 30) << 34);
            numbers = (int64_t *)&ticks[i].memory;
            for (size_t n = 0; n < offsetof(struct memory, learned) / sizeof *numbers; n++)
                numbers[n] = random_below(2) ? INT64_MIN + random_below(3) : INT64_MAX;
            ticks[i].chained = (int)random_below(2);
            if (!ticks[i].chained && random_below(2)) some_learned(&ticks[i].memory.learned);
            ticks[i].rules_version = random_below(1000);
            ticks[i].decision.action = (enum decision_action)random_below(3);
            ticks[i].decision.from = (int)random_below(3) - 1;
            ticks[i].decision.to = (int)random_below(1000);
            for (int w = 0; w < 8; w++) {
                const size_t kinds = sizeof words / sizeof *words;
                strcat(ticks[i].decision.sentence, words[random_below((int64_t)kinds)]);
                strcat(ticks[i].decision.next, words[random_below((int64_t)kinds)]);
                strcat(ticks[i].situation.trouble, words[random_below((int64_t)kinds)]);
            }
        }
        size_t length, found;
        uint8_t *packed = ledger_pack(ticks, count, &length);
        assert_non_null(packed);
        struct ledger_tick *unpacked = ledger_unpack(packed, length, &found);
        assert_non_null(unpacked);
        assert_int_equal(found, count);
        for (size_t i = 0; i < count; i++)
            assert_memory_equal(&ticks[i], &unpacked[i], sizeof ticks[i]);
        free(unpacked);
        free(packed);
    }
}

static void the_longest_texts_are_packed(void **state) {
    (void)state;
    static struct ledger_tick tick;
    memset(tick.decision.sentence, '1', sizeof tick.decision.sentence - 1);
    memset(tick.decision.next, '\1', sizeof tick.decision.next - 1);
    for (size_t i = 0; i < sizeof tick.situation.queue - 1; i++)
        tick.situation.queue[i] = i % 2 ? '7' : ' '; /* more numbers than are taken out */
    size_t length, count;
    uint8_t *packed = ledger_pack(&tick, 1, &length);
    struct ledger_tick *unpacked = ledger_unpack(packed, length, &count);
    assert_non_null(unpacked);
    assert_memory_equal(unpacked, &tick, sizeof tick);
    free(packed);
    free(unpacked);
}

static void damaged_bytes_are_refused_or_give_other_ticks_but_never_harm(void **state) {
    (void)state;
    static struct ledger_tick ticks[30];
    struct busy busy = busy_process();
    for (int i = 0; i < 30; i++) make_tick(&busy, &ticks[i], noon + i * 10);
    for (size_t count = 1; count <= 30; count += 29) {
        size_t length, found;
        uint8_t *packed = ledger_pack(ticks, count, &length);
        for (size_t cut = 0; cut < length; cut++) assert_null(ledger_unpack(packed, cut, &found));
        for (size_t at = 0; at < length; at++) {
            for (int bit = 0; bit < 8; bit++) {
                packed[at] ^= (uint8_t)(1 << bit);
                free(ledger_unpack(packed, length, &found));
                packed[at] ^= (uint8_t)(1 << bit);
            }
        }
        free(packed);
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(ticks_come_back_in_order_as_they_were),
        TEST(an_hour_that_is_over_is_packed_and_reads_the_same),
        TEST(a_range_holds_its_beginning_and_not_its_end),
        TEST(the_last_tick_at_a_moment_is_found_in_rows_and_packs),
        TEST(the_memory_for_the_next_tick_is_that_of_the_last),
        TEST(ticks_after_a_clock_was_set_back_join_the_hour_that_is_packed),
        TEST(what_is_older_than_thirty_days_is_removed),
        TEST(a_compaction_that_is_ended_leaves_the_rest_for_the_next),
        TEST(an_app_is_removed_with_all_of_its_own_and_nothing_else),
        cmocka_unit_test(a_busy_process_takes_less_than_nine_bytes_a_tick),
        cmocka_unit_test(any_numbers_and_texts_are_packed_to_the_bit),
        cmocka_unit_test(the_longest_texts_are_packed),
        cmocka_unit_test(damaged_bytes_are_refused_or_give_other_ticks_but_never_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
