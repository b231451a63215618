/*
 * A text that grows: what answers, sentences and command lines are written into. Running out of
 * memory is remembered and told once, at the end, so that writers need no check at each step.
 */
#ifndef TEXT_H
#define TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
    char *bytes; /* ended by NUL; NULL while nothing was written */
    size_t length, room;
    bool failed; /* memory ran out: what is there is incomplete */
};

#define TEXT_EMPTY ((struct text){0})

void text_free(struct text *text);
void text_clear(struct text *text); /* keeps the room */

void text_add(struct text *text, const char *bytes, size_t length);
void text_put(struct text *text, const char *string);
void text_char(struct text *text, char c);
void text_int(struct text *text, int64_t number);
void text_format(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD; <, > and & are escaped so
 * that the text can stand inside HTML. NULL becomes null. */
void text_json(struct text *text, const char *string);
void text_json_bytes(struct text *text, const char *bytes, size_t length);

/* A span of time in words, "90 s" or "3 days": in the unit that leaves at least two of it. Written
 * into `span`, which is returned. */
enum { TEXT_SPAN_SIZE = 32 };
const char *text_span(char span[TEXT_SPAN_SIZE], int64_t seconds);

/* How many letters must be added, removed or changed to make one word of the other: which word was
 * meant? Words of more than 31 letters are far from all others. */
size_t text_distance(const char *one, size_t one_length, const char *other);

/* The length of the UTF-8 character at `at`, of which at least one byte is left; 0 where there is
 * none (RFC 3629: no surrogates, no overlong forms). */
size_t text_character(const char *at, size_t left);

/* The length of the character at `at` where it is seen and leaves the text around it as it is: no
 * control character, none that turns the direction of text, has no width or is never a character.
 * 0 where it does not, or is not UTF-8. */
size_t text_seen(const char *at, size_t left);
bool text_is_seen(const char *text); /* of all of its characters */
/* Puts '?' in place of each byte of what is not. */
void text_make_seen(char *text, size_t length);

/* The last byte; NUL where there is none, as where memory ran out. */
char text_last(const struct text *text);

/* How often memory ran out for a text on this thread so far. */
uint64_t text_failures(void);

/* The bytes, "" where there are none; owned by the caller, who frees them. NULL without memory. */
char *text_take(struct text *text);

#endif
