/*
 * Rules: what is read, what is refused with which sentence, what is written, and how two differ.
 */
#define _GNU_SOURCE
#include "../core/support/suite.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/field.h"
#include "rules/rule.h"
#include "support/random.h"
#include "text.h"

static char error[1024];

static struct rule_set *read_text(const char *text) {
    *error = '\0';
    return rule_read(text, strlen(text), "UTC", error, sizeof error);
}

static struct rule_set *must_read(const char *text) {
    struct rule_set *set = read_text(text);
    if (!set) fail_msg("%s\n%s", error, text);
    return set;
}

/* ---- What is read --------------------------------------------------------------------------- */

static const char *const example =
    "zone: Europe/Berlin\n"
    "processes:\n"
    "  web:\n"
    "    scaling: on\n"
    "    rules:\n"
    "      - {name: office, days: [mon, tue, wed, thu, fri], from: \"08:00\", to: \"20:00\",\n"
    "         dynos: {min: 2, max: 10}, up: {threshold_ms: 100, step: 2, wait: 60},\n"
    "         down: {threshold_ms: 50, step: 1, wait: 300}}\n"
    "      - {name: default, dynos: {min: 1, max: 2}, up: {threshold_ms: 100, step: 1, wait: 60},\n"
    "         down: {threshold_ms: 50, step: 1, wait: 300}}\n"
    "  worker:\n"
    "    scaling: off          # shadow: decided, explained, not done\n"
    "    rules:\n"
    "      - {name: default, queues: [\"sidekiq:default\", \"sidekiq:mail*\"],\n"
    "         dynos: {min: 0, max: 5}, up: {threshold_ms: 10000}, down: {threshold_ms: 1000}}\n";

static void the_example_is_read_with_its_defaults(void **state) {
    (void)state;
    struct rule_set *set = must_read(example);
    assert_string_equal(set->zone_name, "Europe/Berlin");
    assert_string_equal(zone_name(set->zone), "Europe/Berlin");
    assert_int_equal(set->process_count, 2);
    const struct rule_process *web = rule_process(set, "web"),
                              *worker = rule_process(set, "worker");
    assert_true(web->scaling);
    assert_int_equal(web->rule_count, 2);
    const struct rule *office = &web->rules[0];
    assert_string_equal(office->name, "office");
    assert_int_equal(office->days, 0x1F);
    assert_int_equal(office->from_minute, 480);
    assert_int_equal(office->to_minute, 1200);
    assert_false(office->always);
    assert_int_equal(office->min, 2);
    assert_int_equal(office->max, 10);
    assert_int_equal(office->up.step, 2);
    assert_true(web->rules[1].always);
    assert_false(worker->scaling);
    const struct rule *jobs = &worker->rules[0];
    assert_int_equal(jobs->up.threshold_ms, 10000);
    assert_int_equal(jobs->up.step, 1);
    assert_int_equal(jobs->up.wait_s, 60);
    assert_int_equal(jobs->down.wait_s, 300);
    assert_int_equal(jobs->queue_count, 2);
    assert_string_equal(jobs->queues[1], "sidekiq:mail*");
    assert_null(rule_process(set, "clock"));
    rule_free(set);
}

static void a_rule_without_a_field_has_every_default(void **state) {
    (void)state;
    struct rule_set *set = must_read("processes: {web: {rules: [{}]}}");
    struct rule standard;
    rule_defaults(&standard);
    strcpy(standard.name, "default");
    assert_string_equal(set->zone_name, "UTC");
    assert_true(set->processes[0].scaling);
    assert_memory_equal(&set->processes[0].rules[0], &standard, sizeof standard);
    assert_int_equal(standard.min, 1);
    assert_int_equal(standard.max, 2);
    assert_int_equal(standard.method, RULE_STEPS);
    assert_int_equal(standard.up.threshold_ms, 100);
    assert_int_equal(standard.down.threshold_ms, 50);
    assert_int_equal(standard.statistic, RULE_P95);
    assert_int_equal(standard.window_s, 60);
    assert_int_equal(standard.goal_ms, 100);
    assert_int_equal(standard.goal_per_mille, 50);
    assert_int_equal(standard.care, RULE_BALANCED);
    assert_true(standard.hold_while_jobs_run);
    assert_int_equal(standard.drain_by_s, 1800);
    rule_free(set);
}

static void every_field_is_read(void **state) {
    (void)state;
    struct rule_set *set = must_read(
        "processes:\n  worker:\n    rules:\n"
        "      - name: night\n        days: [Mon, TUESDAY, sun]\n        from: \"22:30\"\n"
        "        to: 6:05\n        dynos: {min: 0, max: 1000}\n        method: steps\n"
        "        up: {threshold_ms: 86400000, step: 1000, wait: 86400}\n"
        "        down: {threshold_ms: 0, step: 3, wait: 0}\n        statistic: mean\n"
        "        window: 600\n        queues: [\"a\", \"b*\"]\n"
        "        automatic: {goal_ms: 250, share: 0.5 %, care: strict}\n"
        "        hold_while_jobs_run: false\n        drain_by: 60\n      - {}\n");
    const struct rule *rule = &set->processes[0].rules[0];
    assert_int_equal(rule->days, 1 | 2 | 64);
    assert_int_equal(rule->from_minute, 22 * 60 + 30);
    assert_int_equal(rule->to_minute, 365);
    assert_int_equal(rule->min, 0);
    assert_int_equal(rule->max, 1000);
    assert_int_equal(rule->up.threshold_ms, 86400000);
    assert_int_equal(rule->up.step, 1000);
    assert_int_equal(rule->up.wait_s, 86400);
    assert_int_equal(rule->down.threshold_ms, 0);
    assert_int_equal(rule->down.step, 3);
    assert_int_equal(rule->down.wait_s, 0);
    assert_int_equal(rule->statistic, RULE_MEAN);
    assert_int_equal(rule->window_s, 600);
    assert_int_equal(rule->queue_count, 2);
    assert_int_equal(rule->goal_ms, 250);
    assert_int_equal(rule->goal_per_mille, 5);
    assert_int_equal(rule->care, RULE_STRICT);
    assert_false(rule->hold_while_jobs_run);
    assert_int_equal(rule->drain_by_s, 60);
    assert_string_equal(set->processes[0].rules[1].name, "default");
    rule_free(set);
}

static void the_usual_goal_of_jobs_is_half_a_minute(void **state) {
    (void)state;
    struct rule_set *set =
        must_read("processes:\n  worker:\n    rules:\n"
                  "      - {name: night, days: [mon], method: automatic, queues: [\"sidekiq:*\"],\n"
                  "         automatic: {goal_ms: 5000, share: 1 %, care: lean}}\n"
                  "      - {method: automatic}\n"
                  "  clock: {rules: [{}]}\n  web: {rules: [{method: automatic}]}\n");
    assert_int_equal(set->processes[0].rules[0].goal_ms, 5000);
    assert_int_equal(set->processes[0].rules[0].goal_per_mille, 10);
    assert_int_equal(set->processes[0].rules[1].goal_ms, 30000);
    assert_int_equal(set->processes[0].rules[1].method, RULE_AUTOMATIC);
    assert_int_equal(set->processes[1].rules[0].goal_ms, 100);
    assert_int_equal(set->processes[2].rules[0].goal_ms, 100);
    struct text text = TEXT_EMPTY;
    rule_write_yaml(&text, set);
    struct rule_set *again = must_read(text.bytes);
    struct text difference = TEXT_EMPTY;
    rule_difference(&difference, set, again);
    assert_int_equal(difference.length, 0);
    text_free(&difference);
    text_free(&text);
    rule_free(again);
    rule_free(set);
}

static void json_is_read_as_yaml_is(void **state) {
    (void)state;
    struct rule_set *set =
        must_read("\n "
                  "{\n\t\"zone\":\"Asia/"
                  "Kolkata\",\"processes\":{\"web\":{\"scaling\":false,\n\t\t\"rules\":[{"
                  "\"name\":\"\\ud83d\\ude00 \\u00fc \\\"a\\\" "
                  "\\\\ud83d\\/\",\"dynos\":{\"min\":3,\"max\":4},"
                  "\"automatic\":{\"share\":5}}]}}}");
    assert_string_equal(set->zone_name, "Asia/Kolkata");
    assert_false(set->processes[0].scaling);
    assert_int_equal(set->processes[0].rules[0].min, 3);
    assert_string_equal(set->processes[0].rules[0].name, "😀 ü \"a\" \\ud83d/");
    rule_free(set);
}

static void a_switch_has_many_words(void **state) {
    (void)state;
    static const struct {
        const char *word;
        bool on;
    } words[] = {{"on", true},     {"ON", true},     {"true", true},
                 {"yes", true},    {"\"on\"", true}, {"off", false},
                 {"False", false}, {"no", false},    {"'off'", false}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        char text[128];
        snprintf(text, sizeof text, "processes: {web: {scaling: %s, rules: [{}]}}", words[i].word);
        struct rule_set *set = must_read(text);
        assert_int_equal(set->processes[0].scaling, words[i].on);
        rule_free(set);
    }
}

static void a_rule_has_times_or_days_or_both(void **state) {
    (void)state;
    struct rule_set *set = must_read("processes: {web: {rules: [{days: [sat]}, {from: '22:00'}, "
                                     "{to: '06:00'}, {from: '00:00', to: '24:00'}, {}]}}");
    const struct rule *rules = set->processes[0].rules;
    for (int i = 0; i < 4; i++) assert_false(rules[i].always);
    assert_int_equal(rules[0].from_minute, rules[0].to_minute);
    assert_int_equal(rules[1].days, RULE_EVERY_DAY);
    assert_int_equal(rules[1].from_minute, 1320);
    assert_int_equal(rules[1].to_minute, 0);
    assert_int_equal(rules[2].to_minute, 360);
    assert_int_equal(rules[3].to_minute, 0);
    assert_string_equal(rules[0].name, "rule 1");
    rule_free(set);
}

static void there_may_be_no_process(void **state) {
    (void)state;
    struct rule_set *set = must_read("processes: {}");
    assert_int_equal(set->process_count, 0);
    rule_free(set);
}

static void the_largest_rules_are_read_and_one_more_is_refused(void **state) {
    (void)state;
    struct text text = TEXT_EMPTY;
    for (int extra = 0; extra < 2; extra++) {
        text_clear(&text);
        text_put(&text, "processes:\n");
        for (int i = 0; i < RULE_PROCESSES + extra; i++)
            text_format(&text, "  p%d: {rules: [{queues: [a]}]}\n", i);
        struct rule_set *set = read_text(text.bytes);
        assert_int_equal(set != NULL, !extra);
        rule_free(set);
        text_clear(&text);
        text_put(&text, "processes:\n  web:\n    rules:\n");
        for (int i = 1; i < RULE_RULES + extra; i++) text_put(&text, "      - {days: [mon]}\n");
        text_put(&text, "      - {}\n");
        set = read_text(text.bytes);
        assert_int_equal(set != NULL, !extra);
        rule_free(set);
        text_clear(&text);
        text_put(&text, "processes: {web: {rules: [{queues: [");
        for (int i = 0; i < RULE_QUEUES + extra; i++) text_format(&text, "q%d,", i);
        text_put(&text, "]}]}}");
        set = read_text(text.bytes);
        assert_int_equal(set != NULL, !extra);
        rule_free(set);
    }
    text_free(&text);
}

/* ---- What is refused ------------------------------------------------------------------------ */

/* A mistake in the rule of `processes: {web: {rules: [...]}}`, on line 4, and its sentence. */
static const struct {
    const char *rule, *sentence;
} mistakes[] = {
    {"name: ''", "processes.web.rules[0].name (line 4) is \"\"; it must be a text of 1 to 80 bytes "
                 "without control characters"},
    {"name: \"a\\nb\"", "processes.web.rules[0].name (line 4) is a text that does not print; it "
                        "must be a text of 1 to 80 bytes without control characters"},
    {"name: \"a\\0b\"", "processes.web.rules[0].name (line 4) is a text that does not print; it "
                        "must be a text of 1 to 80 bytes without control characters"},
    {"name: [a]", "processes.web.rules[0].name (line 4) is a list; it must be a text of 1 to 80 "
                  "bytes without control characters"},
    {"name: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
     "processes.web.rules[0].name (line 4) is aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...; it must "
     "be a text of 1 to 80 bytes without control characters"},
    {"days: []", "processes.web.rules[0].days (line 4) is a list; it must be a list of days, such "
                 "as [mon, tue, sat]"},
    {"days: mon", "processes.web.rules[0].days (line 4) is mon; it must be a list of days, such as "
                  "[mon, tue, sat]"},
    {"days: [mon, tur]", "processes.web.rules[0].days[1] (line 4) is tur; it must be one of mon, "
                         "tue, wed, thu, fri, sat and sun"},
    {"days: [mon, Monday]",
     "processes.web.rules[0].days[1] (line 4) is mon, which is in the list already"},
    {"from: 8", "processes.web.rules[0].from (line 4) is 8; it must be a time from \"00:00\" to "
                "\"23:59\""},
    {"from: '24:00'", "processes.web.rules[0].from (line 4) is \"24:00\"; it must be a time from "
                      "\"00:00\" to \"23:59\""},
    {"from: '8:60'", "processes.web.rules[0].from (line 4) is \"8:60\"; it must be a time from "
                     "\"00:00\" to \"23:59\""},
    {"from: '08.00'", "processes.web.rules[0].from (line 4) is \"08.00\"; it must be a time from "
                      "\"00:00\" to \"23:59\""},
    {"from: '-8:00'", "processes.web.rules[0].from (line 4) is \"-8:00\"; it must be a time from "
                      "\"00:00\" to \"23:59\""},
    {"to: '24:01'", "processes.web.rules[0].to (line 4) is \"24:01\"; it must be a time from "
                    "\"00:00\" to \"24:00\""},
    {"dynos: 3", "processes.web.rules[0].dynos (line 4) is 3; it must be a map with the fields min "
                 "and max"},
    {"dynos: {min: 1001}", "processes.web.rules[0].dynos.min (line 4) is 1001; it must be a whole "
                           "number from 0 to 1000"},
    {"dynos: {min: -1}", "processes.web.rules[0].dynos.min (line 4) is -1; it must be a whole "
                         "number from 0 to 1000"},
    {"dynos: {max: 1.5}", "processes.web.rules[0].dynos.max (line 4) is 1.5; it must be a whole "
                          "number from 0 to 1000"},
    {"dynos: {max: 1e2}", "processes.web.rules[0].dynos.max (line 4) is 1e2; it must be a whole "
                          "number from 0 to 1000"},
    {"dynos: {max: 010}", "processes.web.rules[0].dynos.max (line 4) is 010; it must be a whole "
                          "number from 0 to 1000"},
    {"dynos: {max: 0x10}", "processes.web.rules[0].dynos.max (line 4) is 0x10; it must be a whole "
                           "number from 0 to 1000"},
    {"dynos: {max: '5'}", "processes.web.rules[0].dynos.max (line 4) is \"5\"; it must be a whole "
                          "number from 0 to 1000"},
    {"dynos: {max: 99999999999999999999}",
     "processes.web.rules[0].dynos.max (line 4) is 99999999999999999999; it must be a whole number "
     "from 0 to 1000"},
    {"dynos: {max: }", "processes.web.rules[0].dynos.max (line 4) is empty; it must be a whole "
                       "number from 0 to 1000"},
    {"dynos: {min: 5, max: 4}",
     "processes.web.rules[0] (line 4) has dynos min 5 above its max 4; min is at most max"},
    {"dynos: {min: 3}",
     "processes.web.rules[0] (line 4) has dynos min 3 above its max 2; min is at most max"},
    {"dynos: {mim: 3}",
     "processes.web.rules[0].dynos (line 4) has no field mim, did you mean min?; "
     "its fields are min and max"},
    {"dynos: {min: 1, min: 1}",
     "processes.web.rules[0].dynos.min (line 4) is there twice; keep one of them"},
    {"method: magic",
     "processes.web.rules[0].method (line 4) is magic; it must be steps or automatic"},
    {"up: {step: 0}",
     "processes.web.rules[0].up.step (line 4) is 0; it must be a whole number from "
     "1 to 1000"},
    {"up: {threshold_ms: 86400001}", "processes.web.rules[0].up.threshold_ms (line 4) is 86400001; "
                                     "it must be a whole number from 0 "
                                     "to 86400000, in ms"},
    {"up: {wait: 1 min}", "processes.web.rules[0].up.wait (line 4) is 1 min; it must be a whole "
                          "number from 0 to 86400, in s"},
    {"up: {treshold_ms: 3}",
     "processes.web.rules[0].up (line 4) has no field treshold_ms, did you mean threshold_ms?; its "
     "fields are threshold_ms, step and wait"},
    {"down: {threshold: 3}",
     "processes.web.rules[0].down (line 4) has no field threshold, did you mean threshold_ms?; its "
     "fields are threshold_ms, step and wait"},
    {"down: {threshold_ms: 101}",
     "processes.web.rules[0] (line 4) removes dynos below 101 ms and adds them above 100 ms; "
     "down.threshold_ms is at most up.threshold_ms"},
    {"statistic: p96",
     "processes.web.rules[0].statistic (line 4) is p96; it must be p50, p75, p90, "
     "p95, p99 or mean"},
    {"window: 9", "processes.web.rules[0].window (line 4) is 9; it must be a whole number from 10 "
                  "to 600, in s"},
    {"window: 601", "processes.web.rules[0].window (line 4) is 601; it must be a whole number from "
                    "10 to 600, in s"},
    {"queues: default",
     "processes.web.rules[0].queues (line 4) is default; it must be a list of at "
     "most 32 queues, such as [\"sidekiq:default\"]"},
    {"queues: ['']", "processes.web.rules[0].queues[0] (line 4) is \"\"; it must be a queue's name "
                     "of 1 to 255 bytes, in which * stands for any; a - before it leaves it out"},
    {"queues: [a, a]",
     "processes.web.rules[0].queues[1] (line 4) is in the list already; keep one of them"},
    {"automatic: {share: 0}", "processes.web.rules[0].automatic.share (line 4) is 0; it must be "
                              "percent from 0.1 to 50, with at most one decimal"},
    {"automatic: {share: 0.55}", "processes.web.rules[0].automatic.share (line 4) is 0.55; it must "
                                 "be percent from 0.1 to 50, with at most one decimal"},
    {"automatic: {share: 51 %}", "processes.web.rules[0].automatic.share (line 4) is 51 %; it must "
                                 "be percent from 0.1 to 50, with at most one decimal"},
    {"automatic: {share: [5]}",
     "processes.web.rules[0].automatic.share (line 4) is a list; it must "
     "be percent from 0.1 to 50, with at most one decimal"},
    {"automatic: {goal_ms: 0}",
     "processes.web.rules[0].automatic.goal_ms (line 4) is 0; it must be "
     "a whole number from 1 to 86400000, in ms"},
    {"automatic: {care: none}",
     "processes.web.rules[0].automatic.care (line 4) is none; it must be "
     "lean, balanced or strict"},
    {"hold_while_jobs_run: maybe",
     "processes.web.rules[0].hold_while_jobs_run (line 4) is maybe; it must be on or off"},
    {"drain_by: -1", "processes.web.rules[0].drain_by (line 4) is -1; it must be a whole number "
                     "from 0 to 86400, in s"},
    {"color: red", "processes.web.rules[0] (line 4) has no field color; its fields are name, days, "
                   "from, to, dynos, method, up, down, statistic, window, queues, automatic, "
                   "hold_while_jobs_run and drain_by"},
    {"min: 3", "processes.web.rules[0] (line 4) has no field min; its fields are name, days, from, "
               "to, dynos, method, up, down, statistic, window, queues, automatic, "
               "hold_while_jobs_run and drain_by"},
    {"\"a\\x07\": 3",
     "processes.web.rules[0] (line 4) has no field a text that does not print; its "
     "fields are name, days, from, to, dynos, method, up, down, statistic, window, "
     "queues, automatic, hold_while_jobs_run and drain_by"},
    {"name: *a", "line 4 has an anchor, an alias or a tag (&, *, !); write it out"},
    {"name: &a b", "line 4 has an anchor, an alias or a tag (&, *, !); write it out"},
    {"name: !!str b", "line 4 has an anchor, an alias or a tag (&, *, !); write it out"},
    {"days: &d [mon]", "line 4 has an anchor, an alias or a tag (&, *, !); write it out"},
    {"dynos: !!map {min: 1}", "line 4 has an anchor, an alias or a tag (&, *, !); write it out"},
    {"? [a, b] : c", "line 4 has a list or a map as a key; a key is a word"},
    {"? {a: b} : c", "line 4 has a list or a map as a key; a key is a word"},
    {"days: [[[[mon]]]]", "line 4 is nested more than 8 levels deep, and rules are not"},
};

static void every_mistake_in_a_rule_has_its_sentence(void **state) {
    (void)state;
    int wrong = 0;
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        char text[512];
        snprintf(text, sizeof text, "processes:\n  web:\n    rules:\n      - {%s}\n      - {}\n",
                 mistakes[i].rule);
        struct rule_set *set = read_text(text);
        if (!set && strcmp(error, mistakes[i].sentence) == 0) continue;
        print_error("%s:\n  %s\n", mistakes[i].rule, set ? "was read" : error);
        rule_free(set);
        wrong++;
    }
    assert_int_equal(wrong, 0);
}

static const struct {
    const char *text, *sentence;
} wholes[] = {
    {"", "the text is empty; rules begin with \"processes:\""},
    {"# nothing\n", "the text is empty; rules begin with \"processes:\""},
    {"web", "the rules (line 1) is web; it must be a map with the fields zone and processes"},
    {"[]", "the rules (line 1) is a list; it must be a map with the fields zone and processes"},
    {"zone: UTC", "the rules (line 1) have no processes; they need a map, as \"processes:\""},
    {"zone: Mars/Base\nprocesses: {}",
     "zone (line 1) is Mars/Base; it must be the name of a time zone that this machine knows, such "
     "as Europe/Berlin"},
    {"zone: [UTC]\nprocesses: {}",
     "zone (line 1) is a list; it must be the name of a time zone that this machine knows, such as "
     "Europe/Berlin"},
    {"proceses: {}",
     "the rules (line 1) has no field proceses, did you mean processes?; its fields "
     "are zone and processes"},
    {"processes: []", "processes (line 1) is a list; it must be a map of at most 50 process types, "
                      "such as web"},
    {"processes: {web: }",
     "processes.web (line 1) is empty; it must be a map with the fields scaling and rules"},
    {"processes: {web: {}}",
     "processes.web (line 1) has no rules; it needs a list of them, as \"rules:\""},
    {"processes: {web: {rules: [{method: automatic, queues: [a]}]}}",
     "processes.web.rules[0] (line 1) has the method automatic, which goes by requests for web, "
     "and queues; leave one of them out"},
    {"processes: {worker: {rules: [{method: automatic, automatic: {goal_ms: 100}}]}}",
     "processes.worker.rules[0] (line 1) has the method automatic for jobs and the goal_ms 100; "
     "that of jobs is at least 1000, and usually 30000"},
    {"processes: {web: {rules: []}}", "processes.web.rules (line 1) is a list; it must be a list "
                                      "of 1 to 50 rules, of which the last "
                                      "is the default rule"},
    {"processes: {web: {rules: [3]}}",
     "processes.web.rules[0] (line 1) is 3; it must be a map with the fields name, days, from, to, "
     "dynos, method, up, down, statistic, window, queues, automatic, hold_while_jobs_run and "
     "drain_by"},
    {"processes: {web: {rules: [{days: [mon]}]}}",
     "processes.web.rules[0] (line 1) is the last rule, the default, which is always active; it "
     "can't have days, from or to. Add a rule without them below it"},
    {"processes: {web: {rules: [{}, {}]}}",
     "processes.web.rules[0] (line 1) has no days, from or to, so it is always active and no rule "
     "below it would ever count. Only the last rule may be so"},
    {"processes: {web: {rules: [{days: [mon], name: a}, {name: a}]}}",
     "processes.web.rules (line 1) has two rules with the name a; give one another name"},
    {"processes:\n  web: {rules: [{}]}\n  web: {rules: [{}]}",
     "processes.web (line 3) is there twice; keep one of them"},
    {"processes: {}\nprocesses: {}", "processes (line 2) is there twice; keep one of them"},
    {"processes: {-web: {rules: [{}]}}",
     "processes (line 1) is -web; it must be the name of a process type: 1 to 64 letters, digits, "
     "-, _ and ., a letter or a digit first"},
    {"processes: {\"\": {rules: [{}]}}",
     "processes (line 1) is \"\"; it must be the name of a process type: 1 to 64 letters, digits, "
     "-, _ and ., a letter or a digit first"},
    {"processes: {}\n---\nprocesses: {}", "a second document begins at line 2; rules are one"},
    {"processes: {\xff}", "line 1 has the byte 0xFF, which is not UTF-8 here"},
    {"a\n\xc3", "line 2 has the byte 0xC3, which is not UTF-8 here"},
    {"\xed\xa0\x80", "line 1 has the byte 0xED, which is not UTF-8 here"},
    {"\xc0\xaf", "line 1 has the byte 0xC0, which is not UTF-8 here"},
    {"\xf4\x90\x80\x80", "line 1 has the byte 0xF4, which is not UTF-8 here"},
    {"\xe0\x80\xaf", "line 1 has the byte 0xE0, which is not UTF-8 here"},
    {"processes: \x01", "line 1 has the control character 0x01; write text only"},
    {"{\"processes\": {}",
     "line 2, column 1 is neither YAML nor JSON: did not find expected ',' or "
     "'}'"},
    {"{\"a\": \"\\ud83d\"}",
     "line 1, column 10 is neither YAML nor JSON: found invalid Unicode character escape code"},
    {"a: b: c", "line 1, column 5 is neither YAML nor JSON: mapping values are not allowed in this "
                "context"},
    {"{\"\\", "line 1, column 3 is neither YAML nor JSON: found unknown escape character"},
};

static void every_mistake_around_rules_has_its_sentence(void **state) {
    (void)state;
    int wrong = 0;
    for (size_t i = 0; i < sizeof wholes / sizeof *wholes; i++) {
        struct rule_set *set = read_text(wholes[i].text);
        if (!set && strcmp(error, wholes[i].sentence) == 0) continue;
        print_error("%s:\n  %s\n", wholes[i].text, set ? "was read" : error);
        rule_free(set);
        wrong++;
    }
    assert_int_equal(wrong, 0);
}

static void a_nul_is_refused_with_its_line(void **state) {
    (void)state;
    assert_null(rule_read("processes: {}\n\0", 15, "UTC", error, sizeof error));
    assert_string_equal(error, "line 2 has the control character 0x00; write text only");
}

static void a_text_that_is_too_long_is_refused(void **state) {
    (void)state;
    char *text = malloc(RULE_TEXT_SIZE + 1);
    memset(text, ' ', RULE_TEXT_SIZE + 1);
    memcpy(text, "processes: {}\n#", 15);
    struct rule_set *set = rule_read(text, RULE_TEXT_SIZE, "UTC", error, sizeof error);
    assert_non_null(set);
    rule_free(set);
    assert_null(rule_read(text, RULE_TEXT_SIZE + 1, "UTC", error, sizeof error));
    assert_string_equal(error, "the rules have 262145 bytes; at most 262144 are allowed");
    free(text);
}

static void depth_and_width_cost_no_more_than_the_text(void **state) {
    (void)state;
    char *text = malloc(RULE_TEXT_SIZE);
    for (const char *filler = "[{-?:,\n"; *filler; filler++) {
        memset(text, *filler, RULE_TEXT_SIZE);
        assert_null(rule_read(text, RULE_TEXT_SIZE, "UTC", error, sizeof error));
    }
    free(text);
}

static void without_a_zone_of_the_app_the_text_must_name_one(void **state) {
    (void)state;
    const char *text = "processes: {}";
    const char *const none[] = {NULL, "Mars/Base",
                                "a/zone/whose/name/is/so/long/that/no/file/could/have/it/at/all"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        assert_null(rule_read(text, strlen(text), none[i], error, sizeof error));
        assert_string_equal(error,
                            "the rules (line 1) have no zone, and the app's own is not one "
                            "that this machine knows; write one, as \"zone: Europe/Berlin\"");
    }
}

static void a_sentence_is_cut_to_the_room_that_there_is(void **state) {
    (void)state;
    char small[16];
    memset(small, 'x', sizeof small);
    assert_null(rule_read("web", 3, "UTC", small, 8));
    assert_string_equal(small, "the rul");
    assert_int_equal(small[8], 'x');
}

/* ---- What is written ------------------------------------------------------------------------ */

static void yaml_is_written_as_a_person_would(void **state) {
    (void)state;
    struct rule_set *set = must_read(example);
    struct text text = TEXT_EMPTY;
    rule_write_yaml(&text, set);
    assert_string_equal(text.bytes, "zone: Europe/Berlin\n"
                                    "processes:\n"
                                    "  web:\n"
                                    "    scaling: on\n"
                                    "    rules:\n"
                                    "      - name: office\n"
                                    "        days: [mon, tue, wed, thu, fri]\n"
                                    "        from: \"08:00\"\n"
                                    "        to: \"20:00\"\n"
                                    "        dynos: {min: 2, max: 10}\n"
                                    "        up: {step: 2}\n"
                                    "      - name: default\n"
                                    "  worker:\n"
                                    "    scaling: off\n"
                                    "    rules:\n"
                                    "      - name: default\n"
                                    "        dynos: {min: 0, max: 5}\n"
                                    "        up: {threshold_ms: 10000}\n"
                                    "        down: {threshold_ms: 1000}\n"
                                    "        queues: [\"sidekiq:default\", \"sidekiq:mail*\"]\n");
    text_free(&text);
    rule_free(set);
}

static void json_has_every_field(void **state) {
    (void)state;
    struct rule_set *set = must_read("processes: {web: {scaling: off, rules: [{}]}}");
    struct text text = TEXT_EMPTY;
    rule_write_json(&text, set);
    assert_string_equal(
        text.bytes,
        "{\"zone\":\"UTC\",\"processes\":{\"web\":{\"scaling\":false,\"rules\":[{\"name\":"
        "\"default\","
        "\"dynos\":{\"min\":1,\"max\":2},\"method\":\"steps\",\"up\":{\"threshold_ms\":100,"
        "\"step\":1,"
        "\"wait\":60},\"down\":{\"threshold_ms\":50,\"step\":1,\"wait\":300},\"statistic\":\"p95\","
        "\"window\":60,\"queues\":[],\"automatic\":{\"goal_ms\":100,\"share\":5,\"care\":"
        "\"balanced\"},"
        "\"hold_while_jobs_run\":true,\"drain_by\":1800}]}}}");
    text_free(&text);
    rule_free(set);
}

static uint64_t seed = 3;

static int below(int limit) { return (int)random_below(&seed, (uint64_t)limit); }

static void random_name(char *name) {
    static const char *const parts[] = {"a",    "B9",   " ", "\"",  "\\",  ":", "*", "on",
                                        "null", "-",    "#", "ü",   "😀",   "'", "{", "%",
                                        "~",    "true", "1", "\\n", "<b>", "_"};
    *name = '\0';
    for (int i = 1 + below(6); i > 0; i--) strcat(name, parts[below(22)]);
}

static void random_rule(struct rule *rule, int number, bool last) {
    rule_defaults(rule);
    random_name(rule->name);
    if (number) sprintf(rule->name + strlen(rule->name), " %d", number);
    rule->always = last;
    if (!last) {
        rule->days = (uint8_t)(1 + below(127));
        rule->from_minute = below(3) ? below(1440) : 0;
        rule->to_minute = below(3) ? below(1440) : rule->from_minute;
    }
    rule->min = below(3) ? 1 : below(1000);
    rule->max = rule->min + below(1001 - rule->min);
    if (below(2)) rule->down.threshold_ms = below(RULE_THRESHOLD_MS);
    rule->up.threshold_ms =
        rule->down.threshold_ms + below((int)(RULE_THRESHOLD_MS - rule->down.threshold_ms) + 1);
    if (below(2)) rule->up.step = 1 + below(1000);
    if (below(2)) rule->down.wait_s = below(RULE_WAIT_S + 1);
    rule->statistic = (enum rule_statistic)below(6);
    if (below(2)) rule->window_s = 10 + below(591);
    rule->queue_count = below(3);
    for (int i = 0; i < rule->queue_count; i++)
        sprintf(rule->queues[i] + strlen(rule->queues[i]), "%d:%s*", i, rule->name);
    rule->goal_per_mille = 1 + below(500);
    rule->care = (enum rule_care)below(3);
    rule->hold_while_jobs_run = below(2);
    rule->drain_by_s = below(RULE_WAIT_S);
}

static struct rule_set *random_set(void) {
    static const char *const zones[] = {"UTC", "Europe/Berlin", "America/Sao_Paulo"};
    struct rule_set *set = calloc(1, sizeof *set);
    strcpy(set->zone_name, zones[below(3)]);
    set->zone = zone_find(set->zone_name);
    set->process_count = below(4);
    set->processes = calloc((size_t)set->process_count + 1, sizeof *set->processes);
    for (int i = 0; i < set->process_count; i++) {
        struct rule_process *process = &set->processes[i];
        sprintf(process->name, "%s%d", below(2) ? "web" : "", i);
        process->scaling = below(2);
        process->rule_count = 1 + below(4);
        process->rules = calloc((size_t)process->rule_count, sizeof *process->rules);
        for (int j = 0; j < process->rule_count; j++)
            random_rule(&process->rules[j], j, j == process->rule_count - 1);
    }
    return set;
}

static void expect_equal(const struct rule_set *one, const struct rule_set *other,
                         const char *text) {
    bool same = strcmp(one->zone_name, other->zone_name) == 0 && one->zone == other->zone &&
                one->process_count == other->process_count;
    for (int i = 0; same && i < one->process_count; i++) {
        const struct rule_process *a = &one->processes[i], *b = &other->processes[i];
        same = strcmp(a->name, b->name) == 0 && a->scaling == b->scaling &&
               a->rule_count == b->rule_count &&
               memcmp(a->rules, b->rules, (size_t)a->rule_count * sizeof *a->rules) == 0;
    }
    if (!same) fail_msg("not the same when read again:\n%s", text);
}

static void what_is_written_is_read_the_same(void **state) {
    (void)state;
    for (int i = 0; i < 3000; i++) {
        struct rule_set *set = random_set();
        struct text text = TEXT_EMPTY;
        (i % 2 ? rule_write_json : rule_write_yaml)(&text, set);
        struct rule_set *again = must_read(text.bytes);
        expect_equal(set, again, text.bytes);
        if (i % 2) { /* another reader of JSON takes it, too */
            json_t *json = json_loads(text.bytes, 0, NULL);
            assert_non_null(json);
            json_decref(json);
        }
        text_clear(&text);
        rule_difference(&text, set, again);
        assert_int_equal(text.length, 0);
        text_free(&text);
        rule_free(again);
        rule_free(set);
    }
}

/* ---- Differences ---------------------------------------------------------------------------- */

static void expect_difference(const char *before, const char *after, const char *lines) {
    struct rule_set *one = before ? must_read(before) : NULL, *other = must_read(after);
    struct text text = TEXT_EMPTY;
    rule_difference(&text, one, other);
    assert_string_equal(text.bytes ? text.bytes : "", lines);
    text_free(&text);
    rule_free(one);
    rule_free(other);
}

static void each_difference_is_a_line_of_words(void **state) {
    (void)state;
    const char *empty = "processes: {}";
    const char *web = "processes: {web: {rules: [{name: office, days: [mon], from: '08:00', to: "
                      "'24:00', dynos: {max: 10}}, {}]}}";
    expect_difference(web, web, "");
    expect_difference(NULL, empty, "zone none → UTC\n");
    expect_difference(empty, "zone: Asia/Kolkata\nprocesses: {}", "zone UTC → Asia/Kolkata\n");
    expect_difference(empty, web, "web: added, with 2 rules, scaling on\n");
    expect_difference(empty, "processes: {a: {scaling: off, rules: [{}]}}",
                      "a: added, with 1 rule, scaling off\n");
    expect_difference(web, empty, "web: removed\n");
    expect_difference(web,
                      "processes: {web: {scaling: off, rules: [{name: office, days: [mon, sun], "
                      "from: '09:00', to: '23:00', dynos: {max: 12}, up: {wait: 5}, queues: [a, "
                      "b], automatic: {share: 0.5}, statistic: mean, hold_while_jobs_run: off}, "
                      "{}]}}",
                      "web: scaling on → off\n"
                      "web, rule office: days mon → mon, sun\n"
                      "web, rule office: from 08:00 → 09:00\n"
                      "web, rule office: to 24:00 → 23:00\n"
                      "web, rule office: maximum 10 → 12\n"
                      "web, rule office: wait after adding 60 s → 5 s\n"
                      "web, rule office: looks at p95 → mean\n"
                      "web, rule office: queues all → a, b\n"
                      "web, rule office: share that may wait longer 5 % → 0.5 %\n"
                      "web, rule office: waits for running jobs on → off\n");
    expect_difference(web,
                      "processes: {web: {rules: [{name: night, days: [sun]}, {name: office, days: "
                      "[mon], from: '08:00', to: '24:00', dynos: {max: 10}}, {}]}}",
                      "web, rule night: added at place 1\n");
    expect_difference(web, "processes: {web: {rules: [{}]}}", "web, rule office: removed\n");
    expect_difference("processes: {web: {rules: [{name: a, days: [mon]}, {name: b, days: [tue]}, "
                      "{}]}}",
                      "processes: {web: {rules: [{name: b, days: [tue]}, {name: a, days: [mon]}, "
                      "{}]}}",
                      "web: order a, b, default → b, a, default\n");
    expect_difference("processes: {web: {rules: [{name: a, days: [mon]}, {}]}}",
                      "processes: {web: {rules: [{name: b, days: [mon]}, {name: a}]}}",
                      "web, rule default: removed\n"
                      "web, rule b: added at place 1\n"
                      "web, rule a: days mon → always\n");
}

/* ---- Queues --------------------------------------------------------------------------------- */

static bool counts(const char *pattern, const char *queue) {
    struct rule rule;
    rule_defaults(&rule);
    rule.queue_count = 2;
    strcpy(rule.queues[0], "nothing");
    strcpy(rule.queues[1], pattern);
    char *exact = malloc(strlen(queue) + 1); /* not ended by NUL */
    memcpy(exact, queue, strlen(queue));
    exact = realloc(exact, strlen(queue) + (*queue == '\0'));
    bool is = rule_counts_queue(&rule, exact, strlen(queue));
    free(exact);
    return is;
}

static void a_star_stands_for_any_characters(void **state) {
    (void)state;
    assert_true(counts("sidekiq:default", "sidekiq:default"));
    assert_false(counts("sidekiq:default", "sidekiq:default2"));
    assert_false(counts("sidekiq:default2", "sidekiq:default"));
    assert_true(counts("sidekiq:mail*", "sidekiq:mailers"));
    assert_true(counts("sidekiq:mail*", "sidekiq:mail"));
    assert_false(counts("sidekiq:mail*", "sidekiq:mai"));
    assert_true(counts("*", ""));
    assert_true(counts("*", "anything:at all"));
    assert_true(counts("*:low", "sidekiq:low"));
    assert_true(counts("*:low", "a:low:low"));
    assert_false(counts("*:low", "sidekiq:lower"));
    assert_true(counts("s*q:*w", "sidekiq:low"));
    assert_true(counts("a**b", "ab"));
    assert_true(counts("*a*a*a*", "aaa"));
    assert_false(counts("*a*a*a*", "aa"));
    assert_true(counts("a*b", "a*b"));
    assert_false(counts("Sidekiq:low", "sidekiq:low"));
    assert_false(counts("ab", ""));
}

static void without_queues_all_count(void **state) {
    (void)state;
    struct rule rule;
    rule_defaults(&rule);
    assert_true(rule_counts_queue(&rule, "any", 3));
}

static bool chosen(const char *one, const char *other, const char *queue) {
    struct rule rule;
    rule_defaults(&rule);
    rule.queue_count = 2;
    strcpy(rule.queues[0], one);
    strcpy(rule.queues[1], other);
    return rule_counts_queue(&rule, queue, strlen(queue));
}

static void a_minus_leaves_a_queue_out(void **state) {
    (void)state;
    assert_false(chosen("-sidekiq:low", "-*:mail*", "sidekiq:low"));
    assert_false(chosen("-sidekiq:low", "-*:mail*", "sidekiq:mailers"));
    assert_true(chosen("-sidekiq:low", "-*:mail*", "sidekiq:default"));
    assert_true(chosen("sidekiq:*", "-sidekiq:low", "sidekiq:default"));
    assert_false(chosen("sidekiq:*", "-sidekiq:low", "sidekiq:low"));
    assert_false(chosen("sidekiq:*", "-sidekiq:low", "rq:default"));
    assert_false(chosen("-sidekiq:low", "sidekiq:low", "sidekiq:low")); /* in either order */
    assert_true(chosen("-", "sidekiq:low", "sidekiq:low"));
}

static void a_minus_is_kept_in_yaml(void **state) {
    (void)state;
    static const char text[] = "processes: {worker: {rules: [{queues: [-sidekiq:low, \"-a*\"]}]}}";
    struct rule_set *set = rule_read(text, strlen(text), "UTC", error, sizeof error);
    assert_non_null(set);
    assert_string_equal(set->processes[0].rules[0].queues[0], "-sidekiq:low");
    struct text yaml = TEXT_EMPTY;
    rule_write_yaml(&yaml, set);
    assert_non_null(strstr(yaml.bytes, "-sidekiq:low"));
    struct rule_set *again = rule_read(yaml.bytes, yaml.length, "UTC", error, sizeof error);
    assert_non_null(again);
    assert_string_equal(again->processes[0].rules[0].queues[1], "-a*");
    text_free(&yaml);
    rule_free(again);
    rule_free(set);
}

static void stars_do_not_make_a_name_slow(void **state) {
    (void)state;
    struct rule rule;
    rule_defaults(&rule);
    rule.queue_count = 1;
    for (int i = 0; i < 252; i += 2) memcpy(rule.queues[0] + i, "*a", 2);
    strcat(rule.queues[0], "b");
    char name[256];
    memset(name, 'a', sizeof name);
    assert_false(rule_counts_queue(&rule, name, sizeof name));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_is_read_with_its_defaults),
        cmocka_unit_test(a_rule_without_a_field_has_every_default),
        cmocka_unit_test(every_field_is_read),
        cmocka_unit_test(the_usual_goal_of_jobs_is_half_a_minute),
        cmocka_unit_test(json_is_read_as_yaml_is),
        cmocka_unit_test(a_switch_has_many_words),
        cmocka_unit_test(a_rule_has_times_or_days_or_both),
        cmocka_unit_test(there_may_be_no_process),
        cmocka_unit_test(the_largest_rules_are_read_and_one_more_is_refused),
        cmocka_unit_test(every_mistake_in_a_rule_has_its_sentence),
        cmocka_unit_test(every_mistake_around_rules_has_its_sentence),
        cmocka_unit_test(a_nul_is_refused_with_its_line),
        cmocka_unit_test(a_text_that_is_too_long_is_refused),
        cmocka_unit_test(depth_and_width_cost_no_more_than_the_text),
        cmocka_unit_test(without_a_zone_of_the_app_the_text_must_name_one),
        cmocka_unit_test(a_sentence_is_cut_to_the_room_that_there_is),
        cmocka_unit_test(yaml_is_written_as_a_person_would),
        cmocka_unit_test(json_has_every_field),
        cmocka_unit_test(what_is_written_is_read_the_same),
        cmocka_unit_test(each_difference_is_a_line_of_words),
        cmocka_unit_test(a_star_stands_for_any_characters),
        cmocka_unit_test(without_queues_all_count),
        cmocka_unit_test(a_minus_leaves_a_queue_out),
        cmocka_unit_test(a_minus_is_kept_in_yaml),
        cmocka_unit_test(stars_do_not_make_a_name_slow),
    };
    return cmocka_run_group_tests_name("rule", tests, NULL, NULL);
}
