/*
 * YAML from any bytes: refused with one sentence that prints, or read into a tree of texts that end
 * with a NUL, no deeper than eight levels, its lines those of the text. And what is JSON, too, has
 * the same shape and texts as jansson reads.
 */
#include "fuzz.h"

#include <jansson.h>

#include "rules/tree.h"

enum { DEEPEST = 8 };

static void walk(struct tree *tree, const struct tree_node *node, int level, int last_line) {
    REQUIRE(level <= DEEPEST, "level %d", level);
    REQUIRE(node->line >= 1 && node->line <= last_line, "line %d of %d", node->line, last_line);
    if (node->kind == TREE_TEXT) {
        REQUIRE(node->text[node->length] == '\0', "%s", node->text);
        return;
    }
    REQUIRE(node->count >= 0, "%d", node->count);
    for (int i = 0; i < node->count; i++) {
        struct tree_node key = {0}, member = tree_member(tree, node, i, &key);
        if (node->kind == TREE_MAP) {
            REQUIRE(key.kind == TREE_TEXT, "a key of kind %d", (int)key.kind);
            walk(tree, &key, level, last_line);
        }
        walk(tree, &member, level + (member.kind != TREE_TEXT), last_line);
    }
}

static int lines_of(const char *bytes, size_t size) {
    /* What is left out at the end of the text stands on the line behind it. */
    int lines = 2;
    /* YAML has more line ends than \n: as many as there may be. */
    for (size_t i = 0; i < size; i++) lines += bytes[i] == '\n' || bytes[i] == '\r' || bytes[i] < 0;
    return lines;
}

/* ---- What is JSON, too ---------------------------------------------------------------------- */

static void compare(struct tree *tree, const struct tree_node *node, json_t *value);

static void compare_map(struct tree *tree, const struct tree_node *node, json_t *value) {
    REQUIRE(node->kind == TREE_MAP, "kind %d", (int)node->kind);
    REQUIRE((size_t)node->count == json_object_size(value), "%d members", node->count);
    for (int i = 0; i < node->count; i++) {
        struct tree_node key, member = tree_member(tree, node, i, &key);
        json_t *other = json_object_get(value, key.text);
        REQUIRE(other, "no member %s", key.text);
        compare(tree, &member, other);
    }
}

static void compare(struct tree *tree, const struct tree_node *node, json_t *value) {
    if (json_is_object(value)) {
        compare_map(tree, node, value);
    } else if (json_is_array(value)) {
        REQUIRE(node->kind == TREE_LIST, "kind %d", (int)node->kind);
        REQUIRE((size_t)node->count == json_array_size(value), "%d members", node->count);
        for (int i = 0; i < node->count; i++) {
            struct tree_node member = tree_member(tree, node, i, NULL);
            compare(tree, &member, json_array_get(value, (size_t)i));
        }
    } else {
        REQUIRE(node->kind == TREE_TEXT, "kind %d", (int)node->kind);
        REQUIRE(node->quoted == json_is_string(value), "%s", node->text);
        if (!json_is_string(value)) return;
        REQUIRE(node->length == json_string_length(value) &&
                    memcmp(node->text, json_string_value(value), node->length) == 0,
                "%s, not %s", node->text, json_string_value(value));
    }
}

/* Line ends of YAML alone, which JSON may have in a text: U+0085, U+2028, U+2029. */
static bool has_line_ends_of_yaml(const char *bytes, size_t size) {
    return (size >= 2 && memmem(bytes, size, "\xC2\x85", 2)) ||
           (size >= 3 &&
            (memmem(bytes, size, "\xE2\x80\xA8", 3) || memmem(bytes, size, "\xE2\x80\xA9", 3)));
}

void fuzz_tree(const uint8_t *data, size_t size) {
    char error[1024] = "";
    char *bytes = copy_of(data, size);
    struct tree *tree = tree_read(bytes, size, error, sizeof error);
    if (!tree) {
        REQUIRE(strlen(error) > 10 && strlen(error) < sizeof error - 1, "%s", error);
        REQUIRE(tree_is_printable(error, strlen(error)), "%s", error);
    } else {
        struct tree_node root = tree_root(tree);
        walk(tree, &root, root.kind != TREE_TEXT, lines_of(bytes, size));
        json_t *json = json_loadb(bytes, size, JSON_REJECT_DUPLICATES, NULL);
        if (json && !has_line_ends_of_yaml(bytes, size)) compare(tree, &root, json);
        json_decref(json);
        tree_free(tree);
    }
    free(bytes);
}

FUZZ(fuzz_tree)
