/*
 * Decisions on any situation, memory and rule: in whole numbers without overflow, with a sentence,
 * within the range, never down without data, and the same when done again from what is stored.
 *
 * The input: 16 bytes for the rule, then fields: one byte says which, a second how many bytes its
 * number has and its sign.
 */
#include "fuzz.h"

#include "decide/decide.h"
#include "decide/sentence.h"
#include "rules/tree.h"

enum { SITUATION_NUMBERS = 33, MEMORY_NUMBERS = 21 };

static void some_rule(input *in, struct rule *rule) {
    rule_defaults(rule);
    strcpy(rule->name, "default");
    rule->min = (int)take(in, 1) % 20;
    rule->max = rule->min + (int)take(in, 1) % 20;
    rule->down.threshold_ms = (int64_t)take(in, 2);
    rule->up.threshold_ms = rule->down.threshold_ms + (int64_t)take(in, 2);
    rule->up.step = 1 + (int)take(in, 1) % 5;
    rule->down.step = 1 + (int)take(in, 1) % 5;
    rule->up.wait_s = (int)take(in, 2);
    rule->down.wait_s = (int)take(in, 2);
    rule->window_s = 10 + (int)take(in, 2) % 591;
    rule->statistic = (enum rule_statistic)(take(in, 1) % 6);
    rule->hold_while_jobs_run = take(in, 1) & 1;
}

static int64_t some_number(input *in) {
    uint64_t shape = take(in, 1), value = take(in, 1 + shape % 8);
    return (int64_t)(shape & 0x80 ? 0 - value : value);
}

/* Moments near the tick are as likely as others. */
static void some_field(input *in, struct situation *situation, struct memory *memory) {
    int64_t *of_situation = (int64_t *)(void *)situation, *of_memory = (int64_t *)(void *)memory;
    size_t which = take(in, 1), kind = which / (SITUATION_NUMBERS + MEMORY_NUMBERS);
    int64_t value = some_number(in);
    which %= SITUATION_NUMBERS + MEMORY_NUMBERS;
    if (which < SITUATION_NUMBERS) of_situation[which] = value;
    else if (kind % 2) of_memory[which - SITUATION_NUMBERS] = value;
    else
        of_memory[which - SITUATION_NUMBERS] =
            (int64_t)((uint64_t)situation->now - ((uint64_t)value & 0xFFFF));
}

static void begin(struct situation *situation, struct memory *memory) {
    situation_clear(situation);
    memory_clear(memory);
    situation->now = 1700000000;
    situation->scaling = 1;
    situation->started_age = 3600;
    situation->value_ms = 100;
    situation->samples = situation->samples_above = 100;
    situation->heard_age = 3;
    situation->ordered = 3;
    situation->formation_age = 3;
    memory->last_tick = situation->now - 10;
    memory->wanted = 3;
}

static void check(const struct situation *situation, const struct rule *rule,
                  const struct decision *decision) {
    size_t length = strlen(decision->sentence);
    REQUIRE(length > 10 && length < DECISION_SENTENCE_SIZE, "%s", decision->sentence);
    REQUIRE(tree_is_printable(decision->sentence, length), "%s", decision->sentence);
    REQUIRE(strlen(decision->next) > 10, "%s", decision->next);
    REQUIRE(*sentence_form_name(decision->form), "%d", decision->form);
    REQUIRE((decision->action == DECISION_HOLD) == (decision->to == decision->from), "%s",
            decision->sentence);
    if (decision->action == DECISION_HOLD) return;
    REQUIRE(decision->to >= 0 && decision->to <= rule->max, "%s", decision->sentence);
    REQUIRE(situation->limit < 0 || decision->to <= situation->limit, "%s", decision->sentence);
    bool over =
        decision->from > rule->max || (situation->limit >= 0 && decision->from > situation->limit);
    if (decision->action == DECISION_UP || over) return;
    REQUIRE(decision->to >= rule->min, "%s", decision->sentence);
    REQUIRE(situation->heard_age >= 0, "%s", decision->sentence);
    REQUIRE(situation->value_ms < rule->down.threshold_ms, "%s", decision->sentence);
}

void fuzz_decide(const uint8_t *data, size_t size) {
    input in = {data, size};
    struct situation situation, stored;
    struct memory memory, before;
    struct rule rule;
    struct decision decision, again;
    uint8_t bytes[SITUATION_STORED];
    some_rule(&in, &rule);
    begin(&situation, &memory);
    while (in.left > 0) some_field(&in, &situation, &memory);
    if (situation.jobs) strcpy(situation.queue, "rq:low");
    size_t length = situation_encode(bytes, &situation, NULL);
    REQUIRE(situation_decode(&stored, bytes, length, NULL), "%zu bytes", length);
    length = memory_encode(bytes, &memory);
    REQUIRE(memory_decode(&before, bytes, length), "%zu bytes", length);
    decide(&situation, &rule, &memory, &decision);
    check(&situation, &rule, &decision);
    decide(&stored, &rule, &before, &again);
    REQUIRE(memcmp(&decision, &again, sizeof again) == 0, "%s", again.sentence);
    REQUIRE(memory_equal(&memory, &before), "%s", again.sentence);
}

FUZZ(fuzz_decide)
