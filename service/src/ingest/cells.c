#include "ingest/cells.h"

#include <stdlib.h>
#include <string.h>

#include "array.h"

enum {
    MERGED_PARTS = 16,      /* a cell with so many parts is merged, */
    MERGED_BYTES = 1 << 16, /* and so is one with so many bytes behind its first part */
    LENGTH_SIZE = sizeof(uint32_t),
};

static void free_first(struct cells *cells, size_t count) {
    for (size_t i = 0; i < count; i++) free(cells->all[i].bytes);
}

void cells_free(struct cells *cells) {
    free_first(cells, cells->count);
    free(cells->all);
}

/* The first cell that begins at or after a moment; `count`: none. */
static size_t cell_from(const struct cells *cells, int64_t start_s) {
    size_t low = 0, high = cells->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (cells->all[middle].start_s < start_s) low = middle + 1;
        else high = middle;
    }
    return low;
}

/* The first cell with a second at or after a moment. */
static size_t cell_with(const struct cells *cells, int64_t at_s) {
    return cell_from(cells, at_s - PART_SECONDS + 1);
}

bool cells_forget(struct cells *cells, int64_t before_s) {
    size_t first = cell_with(cells, before_s);
    free_first(cells, first);
    cells->count -= first;
    if (cells->count == 0) return false;
    memmove(cells->all, cells->all + first, cells->count * sizeof *cells->all);
    return true;
}

/* ---- Adding -------------------------------------------------------------------------------- */

static struct cell *make_cell(struct cells *cells, int64_t start_s) {
    size_t at = cell_from(cells, start_s);
    if (at < cells->count && cells->all[at].start_s == start_s) return &cells->all[at];
    void *array = array_grown(cells->all, &cells->room, cells->count + 1, sizeof *cells->all);
    if (!array) return NULL;
    cells->all = array;
    struct cell *cell = &cells->all[at];
    memmove(cell + 1, cell, (cells->count - at) * sizeof *cell);
    *cell = (struct cell){.start_s = start_s};
    cells->count++;
    return cell;
}

/* The next stored part of a cell, from *at on; NULL at the end. */
static const uint8_t *next_part(const struct cell *cell, uint32_t *at, uint32_t *length) {
    if (*at == cell->length) return NULL;
    memcpy(length, cell->bytes + *at, LENGTH_SIZE);
    const uint8_t *part = cell->bytes + *at + LENGTH_SIZE;
    *at += LENGTH_SIZE + *length;
    return part;
}

/* Writes a stored part into the cell, which then ends there. */
static bool put_part(struct cell *cell, uint32_t at, const void *stored, size_t length) {
    uint32_t stored_length = (uint32_t)length;
    uint8_t *bytes = realloc(cell->bytes, at + LENGTH_SIZE + length);
    if (!bytes) return false;
    memcpy(bytes + at, &stored_length, LENGTH_SIZE);
    memcpy(bytes + at + LENGTH_SIZE, stored, length);
    cell->bytes = bytes;
    cell->length = at + LENGTH_SIZE + stored_length;
    return true;
}

/* Merges all parts into one. Without memory they stay separate. */
static void merge_parts(struct cell *cell, struct tally *tally) {
    const uint8_t *part;
    for (uint32_t at = 0, length; (part = next_part(cell, &at, &length));)
        tally_add_stored(tally, part, length);
    size_t length;
    part = tally_encode(tally, &length);
    if (put_part(cell, 0, part, length)) cell->parts = 1;
}

bool cells_add(struct cells *cells, const struct part *part, struct tally *tally) {
    struct cell *cell = make_cell(cells, part->start_s);
    if (!cell) return false;
    const uint8_t *stored = part->stored;
    size_t length = part->stored_length;
    if (!stored) {
        tally_add(tally, part);
        stored = tally_encode(tally, &length);
    }
    if (!put_part(cell, cell->length, stored, length)) return false;
    cell->parts++;
    uint32_t first = 0, first_length = 0;
    next_part(cell, &first, &first_length);
    if (cell->parts >= MERGED_PARTS || cell->length - first > MERGED_BYTES)
        merge_parts(cell, tally);
    return true;
}

/* ---- Reading ------------------------------------------------------------------------------- */

static void cell_into_sketch(struct sketch *sketch, const struct cell *cell, int first, int end) {
    const uint8_t *part;
    for (uint32_t at = 0, length; (part = next_part(cell, &at, &length));)
        part_into_sketch(sketch, part, length, first, end);
}

void cells_into_sketch(struct sketch *sketch, const struct cells *cells, int64_t from_s,
                       int64_t to_s) {
    for (size_t i = cell_with(cells, from_s); i < cells->count && cells->all[i].start_s < to_s;
         i++) {
        const struct cell *cell = &cells->all[i];
        int64_t first = from_s - cell->start_s, end = to_s - cell->start_s;
        cell_into_sketch(sketch, cell, first > 0 ? (int)first : 0,
                         end < PART_SECONDS ? (int)end : PART_SECONDS);
    }
}

/* The largest reading of one second of the cell; -1: there is none in [from_s, to_s). */
static int64_t level_at(struct sketch *sketch, const struct cell *cell, int second, int64_t from_s,
                        int64_t to_s) {
    int64_t at_s = cell->start_s + second;
    if (at_s < from_s || at_s >= to_s) return -1;
    sketch_clear(sketch);
    cell_into_sketch(sketch, cell, second, second + 1);
    return sketch->count > 0 ? (int64_t)sketch->max : -1;
}

int64_t cells_newest_level(struct sketch *sketch, const struct cells *cells, int64_t from_s,
                           int64_t to_s) {
    size_t end = cell_from(cells, to_s), first = cell_with(cells, from_s);
    for (size_t i = end; i > first; i--)
        for (int second = PART_SECONDS - 1; second >= 0; second--) {
            int64_t level = level_at(sketch, &cells->all[i - 1], second, from_s, to_s);
            if (level >= 0) return level;
        }
    return -1;
}

void cells_each_level(struct sketch *sketch, const struct cells *cells, int64_t from_s,
                      int64_t to_s, void (*take)(void *of, int64_t at_s, int64_t value), void *of) {
    for (size_t i = cell_with(cells, from_s); i < cells->count && cells->all[i].start_s < to_s; i++)
        for (int second = 0; second < PART_SECONDS; second++) {
            const struct cell *cell = &cells->all[i];
            int64_t level = level_at(sketch, cell, second, from_s, to_s);
            if (level >= 0) take(of, cell->start_s + second, level);
        }
}
