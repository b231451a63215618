/* Turns a tree of YAML or JSON into rules. Stops at the first mistake, with a sentence about it. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "rules/field.h"
#include "rules/rule.h"
#include "rules/tree.h"
#include "text.h"

enum { PATH_SIZE = 256, SHOWN_SIZE = 64, KEY_SIZE = 128 };

struct reader {
    struct tree *tree;
    struct rule_set *set;
    char path[PATH_SIZE]; /* "processes.web.rules[0].up.threshold_ms" */
    char *error;
    size_t size;
};

/* ---- Sentences ------------------------------------------------------------------------------ */

/* Always false. Writes the error: "processes.web.rules[0].up.step (line 7) ...". */
static bool refuse(struct reader *reader, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static bool refuse(struct reader *reader, int line, const char *format, ...) {
    char sentence[600];
    va_list values;
    va_start(values, format);
    vsnprintf(sentence, sizeof sentence, format, values);
    va_end(values);
    snprintf(reader->error, reader->size, "%s (line %d) %s",
             *reader->path ? reader->path : "the rules", line, sentence);
    return false;
}

/* Always false. */
static bool no_memory(struct reader *reader) {
    snprintf(reader->error, reader->size, "%s", rule_no_memory);
    return false;
}

/* The beginning of a value, safe to print; "a list" or "a map" for those. */
static const char *shown(const struct tree_node *node, char text[SHOWN_SIZE]) {
    if (node->kind != TREE_TEXT) return node->kind == TREE_LIST ? "a list" : "a map";
    if (node->length == 0) return node->quoted ? "\"\"" : "empty";
    size_t length = node->length < 40 ? node->length : 40;
    while (length > 0 && length < node->length &&
           ((unsigned char)node->text[length] & 0xC0) == 0x80)
        length--;
    if (!tree_is_printable(node->text, length))
        return node->quoted ? "a text that does not print" : "text that does not print";
    snprintf(text, SHOWN_SIZE, node->quoted ? "\"%.*s\"%s" : "%.*s%s", (int)length, node->text,
             length < node->length ? "..." : "");
    return text;
}

/* Always false. Writes the error: what the value is, and what it must be. */
static bool refuse_value(struct reader *reader, const struct tree_node *node, const char *must_be) {
    char text[SHOWN_SIZE];
    return refuse(reader, node->line, "is %s; it must be %s", shown(node, text), must_be);
}

/* Appends ".name" or "[i]" to the path; returns what `leave` needs. */
static size_t enter(struct reader *reader, const char *name, int i) {
    size_t length = strlen(reader->path), room = PATH_SIZE - length;
    if (name) snprintf(reader->path + length, room, "%s%.100s", length ? "." : "", name);
    else snprintf(reader->path + length, room, "[%d]", i);
    return length;
}

static void leave(struct reader *reader, size_t length) { reader->path[length] = '\0'; }

/* ---- Keys ----------------------------------------------------------------------------------- */

/* The known word nearest to what was written, if it was probably meant; else NULL. */
static const char *likely(const char *written, const char *const *words) {
    const char *best = NULL;
    size_t length = strlen(written), least = 3;
    for (; *words; words++) {
        size_t changes = text_distance(written, length, *words);
        bool begins = length >= 3 && strncmp(written, *words, length) == 0;
        if (begins || (changes < least && changes < strlen(*words))) {
            best = *words;
            least = begins ? 0 : changes;
        }
    }
    return best;
}

static void list_words(char *text, size_t size, const char *const *words, const char *last) {
    size_t length = 0;
    *text = '\0';
    for (int i = 0; words[i] && length < size; i++)
        length += (size_t)snprintf(text + length, size - length, "%s%s",
                                   i == 0         ? ""
                                   : words[i + 1] ? ", "
                                                  : last,
                                   words[i]);
}

static bool refuse_key(struct reader *reader, const struct tree_node *key,
                       const char *const *words) {
    char text[SHOWN_SIZE], allowed[400];
    const char *meant = likely(key->text, words);
    list_words(allowed, sizeof allowed, words, " and ");
    return refuse(reader, key->line, "has no field %s%s%s%s; its fields are %s", shown(key, text),
                  meant ? ", did you mean " : "", meant ? meant : "", meant ? "?" : "", allowed);
}

static bool is_word(const struct tree_node *node, const char *word) {
    return node->kind == TREE_TEXT && strlen(word) == node->length &&
           memcmp(node->text, word, node->length) == 0;
}

/* Reads each member of a map with `read`. Refuses a key that comes twice. */
static bool read_map(struct reader *reader, const struct tree_node *map, const char *const *words,
                     bool (*read)(struct reader *reader, void *context, const char *word,
                                  const struct tree_node *value),
                     void *context) {
    uint32_t seen = 0;
    if (map->kind != TREE_MAP) {
        char allowed[400] = "a map with the fields ";
        list_words(allowed + strlen(allowed), sizeof allowed - strlen(allowed), words, " and ");
        return refuse_value(reader, map, allowed);
    }
    for (int i = 0; i < map->count; i++) {
        struct tree_node key, value = tree_member(reader->tree, map, i, &key);
        int word = 0;
        while (words[word] && !is_word(&key, words[word])) word++;
        if (!words[word]) return refuse_key(reader, &key, words);
        size_t length = enter(reader, words[word], 0);
        if (seen >> word & 1) return refuse(reader, key.line, "is there twice; keep one of them");
        seen |= 1U << word;
        if (!read(reader, context, words[word], &value)) return false;
        leave(reader, length);
    }
    return true;
}

/* ---- Values --------------------------------------------------------------------------------- */

/* Reads digits with an optional sign: what YAML 1.1, YAML 1.2 and JSON all read alike. */
static bool is_whole(const struct tree_node *node, int64_t *number) {
    if (node->kind != TREE_TEXT || node->quoted || node->length > 12) return false;
    const char *digits = node->text + (*node->text == '-');
    size_t count = strspn(digits, "0123456789");
    if (count == 0 || digits + count != node->text + node->length) return false;
    if (count > 1 && *digits == '0') return false;
    *number = strtoll(node->text, NULL, 10);
    return true;
}

static bool read_number(struct reader *reader, struct rule *rule, const struct rule_field *field,
                        const struct tree_node *value) {
    char must_be[120];
    int64_t number;
    snprintf(must_be, sizeof must_be, "a whole number from %" PRId64 " to %" PRId64 "%s%s",
             field->low, field->high, *field->unit ? ", in" : "", field->unit);
    if (!is_whole(value, &number) || number < field->low || number > field->high)
        return refuse_value(reader, value, must_be);
    rule_set_number(rule, field, number);
    return true;
}

/* A percentage with at most one decimal: 5, 0.5, "5 %". */
static bool read_share(struct reader *reader, struct rule *rule, const struct rule_field *field,
                       const struct tree_node *value) {
    const char *at = value->kind == TREE_TEXT ? value->text : "";
    int64_t number = 0, digits = (int64_t)strspn(at, "0123456789");
    bool good = digits >= 1 && digits <= 3;
    if (good) {
        number = strtoll(at, NULL, 10) * 10;
        at += digits;
        if (at[0] == '.' && at[1] >= '0' && at[1] <= '9') {
            number += at[1] - '0';
            at += 2;
        }
        if (at[0] == ' ' && at[1] == '%') at++;
        if (at[0] == '%') at++;
        good = at == value->text + value->length;
    }
    if (!good || number < field->low || number > field->high)
        return refuse_value(reader, value, "percent from 0.1 to 50, with at most one decimal");
    rule_set_number(rule, field, number);
    return true;
}

static bool read_word(struct reader *reader, struct rule *rule, const struct rule_field *field,
                      const struct tree_node *value) {
    char must_be[120];
    list_words(must_be, sizeof must_be, field->words, " or ");
    for (int i = 0; field->words[i]; i++) {
        if (!is_word(value, field->words[i])) continue;
        rule_set_number(rule, field, i);
        return true;
    }
    return refuse_value(reader, value, must_be);
}

static bool is_switch(const struct tree_node *value, bool *on) {
    static const char *const words[] = {"off", "on", "false", "true", "no", "yes"};
    for (int i = 0; i < 6; i++)
        if (value->kind == TREE_TEXT && value->length == strlen(words[i]) &&
            strncasecmp(value->text, words[i], value->length) == 0) {
            *on = i % 2;
            return true;
        }
    return false;
}

static bool read_switch(struct reader *reader, const struct tree_node *value, bool *on) {
    return is_switch(value, on) || refuse_value(reader, value, "on or off");
}

/* ---- A rule's own fields -------------------------------------------------------------------- */

static bool read_name(struct reader *reader, struct rule *rule, const struct tree_node *value) {
    if (value->kind != TREE_TEXT || value->length == 0 || value->length >= RULE_NAME_SIZE ||
        !tree_is_printable(value->text, value->length))
        return refuse_value(reader, value, "a text of 1 to 80 bytes without control characters");
    memset(rule->name, 0, sizeof rule->name);
    memcpy(rule->name, value->text, value->length);
    return true;
}

/* Reads "mon", "Mon" or "Monday"; -1: it is no day. */
static int day_of(const struct tree_node *node) {
    static const char *const whole[] = {"monday", "tuesday",  "wednesday", "thursday",
                                        "friday", "saturday", "sunday"};
    for (int i = 0; i < 7 && node->kind == TREE_TEXT; i++) {
        if (node->length == 3 && strncasecmp(node->text, rule_days[i], 3) == 0) return i;
        if (node->length == strlen(whole[i]) &&
            strncasecmp(node->text, whole[i], node->length) == 0)
            return i;
    }
    return -1;
}

static bool read_days(struct reader *reader, struct rule *rule, const struct tree_node *value) {
    if (value->kind != TREE_LIST || value->count == 0)
        return refuse_value(reader, value, "a list of days, such as [mon, tue, sat]");
    rule->days = 0;
    rule->always = false;
    for (int i = 0; i < value->count; i++) {
        struct tree_node node = tree_member(reader->tree, value, i, NULL);
        size_t length = enter(reader, NULL, i);
        int day = day_of(&node);
        if (day < 0)
            return refuse_value(reader, &node, "one of mon, tue, wed, thu, fri, sat and sun");
        if (rule->days >> day & 1)
            return refuse(reader, node.line, "is %s, which is in the list already", rule_days[day]);
        rule->days = (uint8_t)(rule->days | 1 << day);
        leave(reader, length);
    }
    return true;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* "8:00" or "08:00" → 480; -1: it is no time of day. */
static int minute_of(const struct tree_node *node) {
    if (node->kind != TREE_TEXT || (node->length != 4 && node->length != 5)) return -1;
    const char *colon = node->text + node->length - 3;
    if (*colon != ':' || !is_digit(colon[1]) || !is_digit(colon[2])) return -1;
    if (!is_digit(node->text[0]) || !is_digit(colon[-1])) return -1;
    int hour = (int)strtol(node->text, NULL, 10), minute = (int)strtol(colon + 1, NULL, 10);
    return hour <= 24 && minute < 60 ? hour * 60 + minute : -1;
}

static bool read_time(struct reader *reader, struct rule *rule, const struct rule_field *field,
                      const struct tree_node *value) {
    int minute = minute_of(value);
    if (minute < 0 || minute > field->high)
        return refuse_value(reader, value,
                            field->kind == RULE_TO ? "a time from \"00:00\" to \"24:00\""
                                                   : "a time from \"00:00\" to \"23:59\"");
    rule_set_number(rule, field, minute % 1440);
    rule->always = false;
    return true;
}

static bool read_queues(struct reader *reader, struct rule *rule, const struct tree_node *value) {
    if (value->kind != TREE_LIST || value->count > RULE_QUEUES)
        return refuse_value(reader, value,
                            "a list of at most 32 queues, such as [\"sidekiq:default\"]");
    for (int i = 0; i < value->count; i++) {
        struct tree_node node = tree_member(reader->tree, value, i, NULL);
        size_t length = enter(reader, NULL, i);
        if (node.kind != TREE_TEXT || node.length == 0 || node.length >= RULE_QUEUE_SIZE ||
            !tree_is_printable(node.text, node.length))
            return refuse_value(reader, &node,
                                "a queue's name of 1 to 255 bytes, in which * stands for any; "
                                "a - before it leaves it out");
        for (int j = 0; j < i; j++)
            if (is_word(&node, rule->queues[j]))
                return refuse(reader, node.line, "is in the list already; keep one of them");
        memcpy(rule->queues[i], node.text, node.length);
        leave(reader, length);
    }
    rule->queue_count = value->count;
    return true;
}

static bool read_field(struct reader *reader, struct rule *rule, const struct rule_field *field,
                       const struct tree_node *value) {
    bool on;
    switch (field->kind) {
    case RULE_NAME:
        return read_name(reader, rule, value);
    case RULE_DAYS:
        return read_days(reader, rule, value);
    case RULE_FROM:
    case RULE_TO:
        return read_time(reader, rule, field, value);
    case RULE_WORD:
        return read_word(reader, rule, field, value);
    case RULE_SHARE:
        return read_share(reader, rule, field, value);
    case RULE_LIST:
        return read_queues(reader, rule, value);
    case RULE_SWITCH:
        if (!read_switch(reader, value, &on)) return false;
        rule_set_number(rule, field, on);
        return true;
    default:
        return read_number(reader, rule, field, value);
    }
}

/* ---- A rule --------------------------------------------------------------------------------- */

/* Collects the keys that a rule may have (`group` "": its fields and groups), or a group. */
static void collect_words(const char *group, const char **words) {
    int count = 0;
    for (int i = 0; i < rule_field_count; i++) {
        const struct rule_field *field = &rule_fields[i];
        bool own = strcmp(field->group, group) == 0;
        if (!own && *group) continue;
        const char *word = own ? field->name : field->group;
        if (count == 0 || strcmp(words[count - 1], word) != 0) words[count++] = word;
    }
    words[count] = NULL;
}

struct place {
    struct rule *rule;
    const char *group;
};

static bool read_member(struct reader *reader, void *context, const char *word,
                        const struct tree_node *value) {
    struct place *place = context;
    for (int i = 0; i < rule_field_count; i++)
        if (strcmp(rule_fields[i].group, place->group) == 0 &&
            strcmp(rule_fields[i].name, word) == 0)
            return read_field(reader, place->rule, &rule_fields[i], value);
    const char *words[32];
    struct place inner = {place->rule, word};
    collect_words(word, words);
    return read_map(reader, value, words, read_member, &inner);
}

static bool check_rule(struct reader *reader, const struct rule *rule, int line) {
    if (rule->min > rule->max)
        return refuse(reader, line, "has dynos min %d above its max %d; min is at most max",
                      rule->min, rule->max);
    if (rule->down.threshold_ms > rule->up.threshold_ms)
        return refuse(reader, line,
                      "removes dynos below %" PRId64 " ms and adds them above %" PRId64
                      " ms; down.threshold_ms is at most up.threshold_ms",
                      rule->down.threshold_ms, rule->up.threshold_ms);
    return true;
}

static bool check_place(struct reader *reader, const struct rule *rule, int line, bool last) {
    if (last && !rule->always)
        return refuse(reader, line,
                      "is the last rule, the default, which is always active; it can't have days, "
                      "from or to. Add a rule without them below it");
    if (!last && rule->always)
        return refuse(reader, line,
                      "has no days, from or to, so it is always active and no rule below it would "
                      "ever count. Only the last rule may be so");
    return true;
}

static bool read_rule(struct reader *reader, struct rule *rule, const struct tree_node *node,
                      int number, bool last) {
    const char *words[32];
    struct place place = {rule, ""};
    rule_defaults(rule);
    rule->goal_ms = 0; /* not written */
    if (last) strcpy(rule->name, "default");
    else snprintf(rule->name, sizeof rule->name, "rule %d", number + 1);
    collect_words("", words);
    return read_map(reader, node, words, read_member, &place) &&
           check_rule(reader, rule, node->line) && check_place(reader, rule, node->line, last);
}

static bool check_names(struct reader *reader, const struct rule_process *process, int line) {
    for (int i = 0; i < process->rule_count; i++)
        for (int j = 0; j < i; j++)
            if (strcmp(process->rules[i].name, process->rules[j].name) == 0)
                return refuse(reader, line, "has two rules with the name %s; give one another name",
                              process->rules[i].name);
    return true;
}

/* For web the automatic method works on requests. For jobs the goal can't be as short, because
 * queues are only read every few seconds. */
static bool check_method(struct reader *reader, const struct rule_process *process,
                         const struct rule *rule, int line) {
    bool web = strcmp(process->name, "web") == 0;
    if (rule->method != RULE_AUTOMATIC) return true;
    if (web && rule->queue_count > 0)
        return refuse(reader, line,
                      "has the method automatic, which goes by requests for web, and queues; leave "
                      "one of them out");
    if (!web && rule->goal_ms < RULE_JOBS_LEAST_GOAL_MS)
        return refuse(reader, line,
                      "has the method automatic for jobs and the goal_ms %" PRId64
                      "; that of jobs is at least %d, and usually %d",
                      rule->goal_ms, RULE_JOBS_LEAST_GOAL_MS, RULE_JOBS_GOAL_MS);
    return true;
}

/* The default goal of the automatic method: jobs may wait longer than requests. */
static void set_usual_goal(const struct rule_process *process, struct rule *rule) {
    bool jobs = strcmp(process->name, "web") != 0 && rule->method == RULE_AUTOMATIC;
    if (rule->goal_ms == 0) rule->goal_ms = jobs ? RULE_JOBS_GOAL_MS : RULE_GOAL_MS;
}

/* ---- Processes ------------------------------------------------------------------------------ */

static bool read_rules(struct reader *reader, struct rule_process *process,
                       const struct tree_node *list) {
    if (list->kind != TREE_LIST || list->count == 0 || list->count > RULE_RULES)
        return refuse_value(reader, list,
                            "a list of 1 to 50 rules, of which the last is the default rule");
    process->rules = calloc((size_t)list->count, sizeof *process->rules);
    if (!process->rules) return no_memory(reader);
    process->rule_count = list->count;
    for (int i = 0; i < list->count; i++) {
        struct tree_node node = tree_member(reader->tree, list, i, NULL);
        size_t length = enter(reader, NULL, i);
        if (!read_rule(reader, &process->rules[i], &node, i, i == list->count - 1)) return false;
        set_usual_goal(process, &process->rules[i]);
        if (!check_method(reader, process, &process->rules[i], node.line)) return false;
        leave(reader, length);
    }
    return check_names(reader, process, list->line);
}

static bool read_process_field(struct reader *reader, void *context, const char *word,
                               const struct tree_node *value) {
    struct rule_process *process = context;
    if (strcmp(word, "scaling") == 0) return read_switch(reader, value, &process->scaling);
    return read_rules(reader, process, value);
}

static bool is_process_name(const struct tree_node *key) {
    if (key->length == 0 || key->length >= RULE_PROCESS_SIZE) return false;
    for (size_t i = 0; i < key->length; i++) {
        char c = key->text[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c);
        if (!letter && (i == 0 || (c != '-' && c != '_' && c != '.'))) return false;
    }
    return true;
}

static bool read_process(struct reader *reader, const struct tree_node *key,
                         const struct tree_node *value) {
    static const char *const words[] = {"scaling", "rules", NULL};
    struct rule_process *process = &reader->set->processes[reader->set->process_count];
    if (!is_process_name(key))
        return refuse_value(reader, key,
                            "the name of a process type: 1 to 64 letters, digits, -, _ and ., a "
                            "letter or a digit first");
    bool twice = rule_process(reader->set, key->text) != NULL;
    memcpy(process->name, key->text, key->length);
    process->scaling = true;
    reader->set->process_count++;
    size_t length = enter(reader, process->name, 0);
    if (twice) return refuse(reader, key->line, "is there twice; keep one of them");
    if (!read_map(reader, value, words, read_process_field, process)) return false;
    if (process->rule_count == 0)
        return refuse(reader, key->line, "has no rules; it needs a list of them, as \"rules:\"");
    leave(reader, length);
    return true;
}

static bool read_processes(struct reader *reader, const struct tree_node *map) {
    if (map->kind != TREE_MAP || map->count > RULE_PROCESSES)
        return refuse_value(reader, map, "a map of at most 50 process types, such as web");
    reader->set->processes = calloc((size_t)map->count + 1, sizeof *reader->set->processes);
    if (!reader->set->processes) return no_memory(reader);
    for (int i = 0; i < map->count; i++) {
        struct tree_node key, value = tree_member(reader->tree, map, i, &key);
        if (!read_process(reader, &key, &value)) return false;
    }
    return true;
}

static bool take_zone(struct rule_set *set, const char *name) {
    set->zone = strlen(name) < sizeof set->zone_name ? zone_find(name) : NULL;
    if (set->zone) strcpy(set->zone_name, name);
    return set->zone != NULL;
}

static bool read_top(struct reader *reader, void *context, const char *word,
                     const struct tree_node *value) {
    (void)context;
    if (strcmp(word, "processes") == 0) return read_processes(reader, value);
    bool whole = value->kind == TREE_TEXT && strlen(value->text) == value->length;
    if (whole && take_zone(reader->set, value->text)) return true;
    return refuse_value(reader, value,
                        "the name of a time zone that this machine knows, such as Europe/Berlin");
}

static bool read_set(struct reader *reader, const char *zone) {
    static const char *const words[] = {"zone", "processes", NULL};
    struct tree_node root = tree_root(reader->tree);
    if (!read_map(reader, &root, words, read_top, NULL)) return false;
    if (!reader->set->processes)
        return refuse(reader, root.line, "have no processes; they need a map, as \"processes:\"");
    if (reader->set->zone || (zone && take_zone(reader->set, zone))) return true;
    return refuse(reader, root.line,
                  "have no zone, and the app's own is not one that this machine knows; write one, "
                  "as \"zone: Europe/Berlin\"");
}

struct rule_set *rule_read(const char *text, size_t length, const char *zone, char *error,
                           size_t size) {
    struct reader reader = {.error = error, .size = size};
    reader.tree = tree_read(text, length, error, size);
    if (!reader.tree) return NULL;
    reader.set = calloc(1, sizeof *reader.set);
    bool good = reader.set ? read_set(&reader, zone) : no_memory(&reader);
    tree_free(reader.tree);
    if (good) return reader.set;
    rule_free(reader.set);
    return NULL;
}
