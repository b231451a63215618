/*
 * Reads a request's input strictly: a table says which fields there are, of which kind and within
 * which bounds. If anything is wrong, the call is answered with a sentence that names the field and
 * what is allowed, and nothing is read.
 */
#ifndef INPUT_H
#define INPUT_H

#include "api/api.h"

enum field_kind {
    FIELD_TEXT,    /* to: const char *; least, most: bytes; without control characters */
    FIELD_NAME,    /* the same; each character is seen (text_seen); no blank at its ends */
    FIELD_INTEGER, /* to: int64_t */
    FIELD_BOOL,    /* to: bool */
    FIELD_TIME,    /* to: int64_t; epoch seconds, or as input_time reads it */
    FIELD_OBJECT,  /* to: json_t *; borrowed */
    FIELD_ARRAY,   /* to: json_t *; borrowed */
    FIELD_ANY,     /* to: json_t *; borrowed; of a body */
};

struct field {
    const char *name;
    enum field_kind kind;
    bool needed;
    int64_t least, most; /* both 0: no bounds but those of the kind */
    void *to;            /* keeps its value if the field is absent or null */
    bool ahead;          /* of FIELD_TIME: "19:00" is the next one, not the last */
};

/* Reads the body, a JSON object; an empty body counts as an empty object. False: the call is
 * answered. Strings and objects live as long as the call. */
bool input_body(struct api_call *call, const struct field *fields, size_t count);

/* Reads the query in the same way ("from=...&to=..."). */
bool input_query(struct api_call *call, const struct field *fields, size_t count);

#define INPUT_COUNT(fields) (sizeof(fields) / sizeof *(fields))

/*
 * A moment as people write it: epoch seconds, RFC 3339 ("2026-11-29T10:42:00+01:00"; without an
 * offset: in `zone`), "10:42" or "10:42:10" in `zone` (the last one; `ahead`: the next one), "now",
 * "-2h", "+30m" ("s", "m", "h", "d" for days). False for anything else.
 */
bool input_time(const char *text, const char *zone, int64_t now_s, bool ahead, int64_t *epoch_s);

/* Whether a text is UTF-8 without control characters. */
bool input_printable(const char *text);

/* Decodes %XX in place. False: it is cut short, or gives a NUL. `plus`: + means a blank. */
bool input_decode(char *text, bool plus);

#endif
