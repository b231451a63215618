#include "rules/tree.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "rules/rule.h"

const char rule_no_memory[] = "there is not enough memory";

enum { MOST_LEVELS = 8 };

struct tree {
    yaml_document_t document;
};

struct complaint {
    char *error;
    size_t size;
};

static bool complain(const struct complaint *to, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Always false. */
static bool complain(const struct complaint *to, const char *format, ...) {
    va_list values;
    va_start(values, format);
    vsnprintf(to->error, to->size, format, values);
    va_end(values);
    return false;
}

static int line_of(const yaml_mark_t *mark) { return (int)mark->line + 1; }

/* ---- Characters ----------------------------------------------------------------------------- */

/* Reads the character at `at`; returns its length in bytes, 0: invalid UTF-8 (RFC 3629). */
static size_t decode(const unsigned char *at, size_t left, uint32_t *character) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = *at < 0x80 ? 1 : *at < 0xC2 ? 0 : *at < 0xE0 ? 2 : *at < 0xF0 ? 3 : 4;
    if (length == 0 || *at > 0xF4 || length > left) return 0;
    *character = length == 1 ? *at : *at & (0x7FU >> length);
    for (size_t i = 1; i < length; i++) {
        if ((at[i] & 0xC0) != 0x80) return 0;
        *character = *character << 6 | (at[i] & 0x3F);
    }
    if (*character < least[length] || *character > 0x10FFFF) return 0;
    return *character >= 0xD800 && *character <= 0xDFFF ? 0 : length;
}

static bool prints(uint32_t c) {
    if (c < 0x20 || (c >= 0x7F && c < 0xA0)) return false;
    return c != 0x2028 && c != 0x2029 && c != 0xFEFF && c != 0xFFFE && c != 0xFFFF;
}

bool tree_is_printable(const char *text, size_t length) {
    const unsigned char *at = (const unsigned char *)text;
    for (size_t i = 0, size; i < length; i += size) {
        uint32_t character;
        size = decode(at + i, length - i, &character);
        if (size == 0 || !prints(character)) return false;
    }
    return true;
}

static bool check_bytes(const char *text, size_t length, const struct complaint *to) {
    const unsigned char *at = (const unsigned char *)text;
    if (length > RULE_TEXT_SIZE)
        return complain(to, "the rules have %zu bytes; at most %d are allowed", length,
                        RULE_TEXT_SIZE);
    int line = 1;
    for (size_t i = 0, size; i < length; i += size) {
        uint32_t character;
        size = decode(at + i, length - i, &character);
        if (size == 0)
            return complain(to, "line %d has the byte 0x%02X, which is not UTF-8 here", line,
                            at[i]);
        if (character == '\n') line++;
        else if (character != '\r' && character != '\t' && character < 0x20)
            return complain(to, "line %d has the control character 0x%02X; write text only", line,
                            (unsigned)character);
    }
    return true;
}

/* ---- Surrogates in JSON --------------------------------------------------------------------- */

/* JSON writes a character above U+FFFF as two escapes, "\ud83d\ude00", which libyaml refuses. */
static uint32_t escape_at(const char *at, size_t left) {
    char digits[5] = {0};
    if (left < 6 || at[0] != '\\' || at[1] != 'u') return 0;
    memcpy(digits, at + 2, 4);
    if (strspn(digits, "0123456789abcdefABCDEF") != 4) return 0;
    return (uint32_t)strtoul(digits, NULL, 16);
}

static size_t join_pair(const char *at, size_t left, char *to) {
    uint32_t high = escape_at(at, left), low = left > 6 ? escape_at(at + 6, left - 6) : 0;
    if (high < 0xD800 || high > 0xDBFF || low < 0xDC00 || low > 0xDFFF) return 0;
    uint32_t character = 0x10000 + ((high - 0xD800) << 10 | (low - 0xDC00));
    to[0] = (char)(0xF0 | character >> 18);
    for (int i = 1; i < 4; i++) to[i] = (char)(0x80 | (character >> (18 - 6 * i) & 0x3F));
    return 4;
}

/* Copies JSON, with such pairs replaced by UTF-8. */
static char *join_pairs(const char *text, size_t *length) {
    char *copy = malloc(*length + 1);
    size_t to = 0;
    if (!copy) return NULL;
    for (size_t i = 0; i < *length;) {
        size_t joined = text[i] == '\\' ? join_pair(text + i, *length - i, copy + to) : 0;
        size_t plain = joined ? 0 : text[i] == '\\' && i + 1 < *length ? 2 : 1;
        memcpy(copy + to, text + i, plain);
        to += joined + plain;
        i += joined ? 12 : plain;
    }
    *length = to;
    return copy;
}

/* ---- What is refused ------------------------------------------------------------------------ */

static bool report_parser(const yaml_parser_t *parser, const struct complaint *to) {
    if (parser->error == YAML_MEMORY_ERROR || !parser->problem)
        return complain(to, "%s", rule_no_memory);
    return complain(to, "line %d, column %d is neither YAML nor JSON: %s",
                    line_of(&parser->problem_mark), (int)parser->problem_mark.column + 1,
                    parser->problem);
}

struct look {
    int documents, levels;
    bool is_key[MOST_LEVELS + 1]; /* for each level of nesting: whether a map's key comes next */
    bool in_map[MOST_LEVELS + 1];
};

static bool check_open(struct look *look, const yaml_event_t *event, const struct complaint *to) {
    int line = line_of(&event->start_mark);
    if (look->in_map[look->levels] && look->is_key[look->levels])
        return complain(to, "line %d has a list or a map as a key; a key is a word", line);
    if (look->levels == MOST_LEVELS)
        return complain(to, "line %d is nested more than %d levels deep, and rules are not", line,
                        MOST_LEVELS);
    look->is_key[look->levels] = true;
    look->levels++;
    look->in_map[look->levels] = event->type == YAML_MAPPING_START_EVENT;
    look->is_key[look->levels] = true;
    return true;
}

static bool has_extras(const yaml_event_t *event) {
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return true;
    case YAML_SCALAR_EVENT:
        return event->data.scalar.anchor || event->data.scalar.tag;
    case YAML_SEQUENCE_START_EVENT:
        return event->data.sequence_start.anchor || event->data.sequence_start.tag;
    case YAML_MAPPING_START_EVENT:
        return event->data.mapping_start.anchor || event->data.mapping_start.tag;
    default:
        return false;
    }
}

static bool check_event(struct look *look, const yaml_event_t *event, const struct complaint *to) {
    int line = line_of(&event->start_mark);
    if (has_extras(event))
        return complain(to, "line %d has an anchor, an alias or a tag (&, *, !); write it out",
                        line);
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (look->documents++ > 0)
            return complain(to, "a second document begins at line %d; rules are one", line);
        return true;
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT:
        return check_open(look, event, to);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        look->levels--;
        return true;
    case YAML_SCALAR_EVENT:
        look->is_key[look->levels] = !look->is_key[look->levels];
        return true;
    default:
        return true;
    }
}

static void begin(yaml_parser_t *parser, const char *text, size_t length) {
    yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(parser, (const unsigned char *)text, length);
}

/* Checks the events before the tree is built: with aliases it could grow beyond any limit. */
static bool check_events(const char *text, size_t length, const struct complaint *to) {
    yaml_parser_t parser;
    struct look look = {0};
    bool good = true, ended = false;
    if (!yaml_parser_initialize(&parser)) return complain(to, "%s", rule_no_memory);
    begin(&parser, text, length);
    while (good && !ended) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event)) {
            good = report_parser(&parser, to);
            break;
        }
        good = check_event(&look, &event, to);
        ended = event.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    if (good && look.documents == 0)
        return complain(to, "the text is empty; rules begin with \"processes:\"");
    return good;
}

/* ---- The tree ------------------------------------------------------------------------------- */

static struct tree *load(const char *text, size_t length, const struct complaint *to) {
    yaml_parser_t parser;
    struct tree *tree = malloc(sizeof *tree);
    if (!tree || !yaml_parser_initialize(&parser)) {
        free(tree);
        complain(to, "%s", rule_no_memory);
        return NULL;
    }
    begin(&parser, text, length);
    if (!yaml_parser_load(&parser, &tree->document)) {
        report_parser(&parser, to);
        free(tree);
        tree = NULL;
    }
    yaml_parser_delete(&parser);
    return tree;
}

struct tree *tree_read(const char *text, size_t length, char *error, size_t size) {
    const struct complaint to = {error, size};
    if (!check_bytes(text, length, &to)) return NULL;
    size_t blanks = 0;
    while (blanks < length && strchr(" \t\r\n", text[blanks])) blanks++;
    char *joined = NULL;
    if (blanks < length && text[blanks] == '{') {
        text = joined = join_pairs(text, &length);
        if (!joined) {
            complain(&to, "%s", rule_no_memory);
            return NULL;
        }
    }
    struct tree *tree = check_events(text, length, &to) ? load(text, length, &to) : NULL;
    free(joined);
    return tree;
}

void tree_free(struct tree *tree) {
    if (!tree) return;
    yaml_document_delete(&tree->document);
    free(tree);
}

static struct tree_node node_of(struct tree *tree, int id) {
    yaml_node_t *node = yaml_document_get_node(&tree->document, id);
    struct tree_node out = {.line = line_of(&node->start_mark), .id = id};
    if (node->type == YAML_SCALAR_NODE) {
        out.text = (const char *)node->data.scalar.value;
        out.length = node->data.scalar.length;
        out.quoted = node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    } else if (node->type == YAML_SEQUENCE_NODE) {
        out.kind = TREE_LIST;
        out.count = (int)(node->data.sequence.items.top - node->data.sequence.items.start);
    } else {
        out.kind = TREE_MAP;
        out.count = (int)(node->data.mapping.pairs.top - node->data.mapping.pairs.start);
    }
    return out;
}

struct tree_node tree_root(struct tree *tree) {
    return node_of(tree, 1);
}

struct tree_node tree_member(struct tree *tree, const struct tree_node *of, int i,
                             struct tree_node *key) {
    yaml_node_t *node = yaml_document_get_node(&tree->document, of->id);
    if (of->kind == TREE_LIST) return node_of(tree, node->data.sequence.items.start[i]);
    yaml_node_pair_t pair = node->data.mapping.pairs.start[i];
    if (key) *key = node_of(tree, pair.key);
    return node_of(tree, pair.value);
}
