/*
 * A YAML text as a tree, for one purpose: rules of people whom nobody trusts. JSON is YAML too.
 * What rules never need is refused with a sentence: anchors and aliases, tags, a second document,
 * keys that are no words, more than eight levels, more than 256 KiB, NUL, bytes that are not UTF-8.
 * The only part that knows libyaml.
 */
#ifndef TREE_H
#define TREE_H

#include <stdbool.h>
#include <stddef.h>

struct tree;

enum tree_kind { TREE_TEXT, TREE_LIST, TREE_MAP };

/* A value and where it stands. `key` is the text of its key, of a member of a map. */
struct tree_node {
    enum tree_kind kind;
    int line;         /* from 1 */
    const char *text; /* of TREE_TEXT, ended by NUL; may hold a NUL before `length` */
    size_t length;
    bool quoted;
    int count; /* members of a list or a map */
    int id;
};

/* NULL with a sentence. */
struct tree *tree_read(const char *text, size_t length, char *error, size_t size);
void tree_free(struct tree *tree);

struct tree_node tree_root(struct tree *tree);
/* Member `i` of a list or map; `key`: of a map, else unused and may be NULL. */
struct tree_node tree_member(struct tree *tree, const struct tree_node *of, int i,
                             struct tree_node *key);

/* Whether bytes are UTF-8 of characters that print: no control characters, no separators of lines,
 * no byte order mark. */
bool tree_is_printable(const char *text, size_t length);

#endif
