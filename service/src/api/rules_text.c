/*
 * Turns a switch in the text of rules as a person wrote it, so that comments and order stay. It
 * understands one key per line, as `rules get` writes them; the caller writes anything else anew.
 * The result is read again and compared, so a misunderstanding costs comments, never a rule.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/resources.h"

/* The blanks before a line's text; SIZE_MAX: the line is empty or a comment. */
static size_t indent_of(const char *line) {
    size_t indent = strspn(line, " ");
    return strchr("\r\n#", line[indent]) ? SIZE_MAX : indent;
}

static const char *next_line(const char *line) {
    const char *end = strchr(line, '\n');
    return end ? end + 1 : line + strlen(line);
}

/* Whether the line is `key:`, with or without a value; the key may be quoted. */
static bool has_key(const char *line, const char *key) {
    size_t length = strlen(key);
    line += strspn(line, " ");
    bool quoted = *line == '"' || *line == '\'';
    if (quoted) line++;
    if (strncmp(line, key, length) != 0) return false;
    line += length + quoted;
    return line[0] == ':' && strchr(" \r\n", line[1]);
}

/* The line below `processes:` that begins the process; NULL where there is none. */
static const char *find_process(const char *text, const char *process) {
    const char *line = text;
    while (*line && !(indent_of(line) == 0 && has_key(line, "processes"))) line = next_line(line);
    size_t level = SIZE_MAX;
    for (line = next_line(line); *line; line = next_line(line)) {
        size_t indent = indent_of(line);
        if (indent == SIZE_MAX) continue;
        if (level == SIZE_MAX) level = indent;
        if (indent == 0) return NULL;
        if (indent == level && has_key(line, process)) return line;
    }
    return NULL;
}

/* Copies the text, with the process's `scaling` replaced or added. */
static void turn(struct text *to, const char *text, const char *process_line, bool on) {
    size_t level = indent_of(process_line), inner = 0;
    const char *line = next_line(process_line), *at = NULL;
    for (; *line && !at; line = next_line(line)) {
        size_t indent = indent_of(line);
        if (indent == SIZE_MAX) continue;
        if (indent <= level) break;
        if (inner == 0) inner = indent;
        if (indent == inner && has_key(line, "scaling")) at = strchr(line, ':') + 1;
    }
    if (at) {
        at += strspn(at, " ");
        text_add(to, text, (size_t)(at - text));
        text_put(to, on ? "on" : "off");
        text_put(to, at + strcspn(at, " \r\n"));
    } else {
        const char *behind = next_line(process_line);
        text_add(to, text, (size_t)(behind - text));
        text_format(to, "%*sscaling: %s\n", (int)inner, "", on ? "on" : "off");
        text_put(to, behind);
    }
}

static bool same_rules(const char *text, const struct rule_set *wanted) {
    char error[256];
    struct text difference = TEXT_EMPTY;
    struct rule_set *set =
        api_read_rules(text, strlen(text), wanted->zone_name, error, sizeof error);
    if (set) rule_difference(&difference, wanted, set);
    bool same = set && !difference.failed && difference.length == 0;
    text_free(&difference);
    rule_free(set);
    return same;
}

void api_write_switched(struct text *to, const char *text, const struct rule_set *wanted,
                        const char *process, bool on) {
    const char *line = find_process(text, process);
    if (line) turn(to, text, line, on);
    if (line && !to->failed && same_rules(to->bytes, wanted)) return;
    text_clear(to);
    rule_write_yaml(to, wanted);
}
