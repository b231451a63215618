#include "batch.h"

#include <stdlib.h>
#include <string.h>

/* The i-th batch, counted from the oldest; number `sealed` is the open one. */
static size_t index_of(const ds_batches *batches, size_t i) {
    return (batches->first + i) % DS_BATCHES;
}

static ds_batch *open_batch(ds_batches *batches) {
    return &batches->items[index_of(batches, batches->sealed)];
}

static void empty(ds_batch *batch) {
    free(batch->samples);
    free(batch->text);
    memset(batch, 0, sizeof *batch);
}

/* Doubles a buffer that is too small, up to `most` items. Returns false and leaves it unchanged
 * without memory or beyond `most`. */
static bool grow(void **buffer, size_t *capacity, size_t needed, size_t most, size_t item_size) {
    if (needed <= *capacity) return true;
    if (needed > most) return false;
    size_t wanted = *capacity ? *capacity * 2 : most / 64;
    if (wanted < needed) wanted = needed;
    if (wanted > most) wanted = most;
    void *larger = realloc(*buffer, wanted * item_size);
    if (!larger) return false;
    *buffer = larger;
    *capacity = wanted;
    return true;
}

static bool room_for_sample(ds_batch *batch) {
    void *samples = batch->samples;
    bool done = grow(&samples, &batch->sample_capacity, batch->sample_count + 1, DS_BATCH_SAMPLES,
                     sizeof *batch->samples);
    batch->samples = samples;
    return done;
}

static bool room_for_text(ds_batch *batch, size_t length) {
    void *text = batch->text;
    bool done = grow(&text, &batch->text_capacity, batch->text_length + length, DS_BATCH_TEXT, 1);
    batch->text = text;
    return done;
}

static void seal_open(ds_batches *batches) {
    ds_batch *batch = open_batch(batches);
    batch->number = ++batches->last_number;
    ds_random_key(batch->key);
    batches->sealed++;
}

static void seal(ds_batches *batches) {
    if (ds_batches_open_any(batches) && batches->sealed < DS_BATCHES - 1) seal_open(batches);
}

bool ds_batches_add(ds_batches *batches, uint64_t sample) {
    if (open_batch(batches)->sample_count == DS_BATCH_SAMPLES) seal(batches);
    ds_batch *batch = open_batch(batches);
    if (!room_for_sample(batch)) return false;
    batch->samples[batch->sample_count++] = sample;
    return true;
}

bool ds_batches_add_signal(ds_batches *batches, const char *row, size_t length) {
    if (open_batch(batches)->text_length + length > DS_BATCH_TEXT) seal(batches);
    ds_batch *batch = open_batch(batches);
    if (!room_for_text(batch, length)) return false;
    memcpy(batch->text + batch->text_length, row, length);
    batch->text_length += length;
    return true;
}

bool ds_batches_add_row(ds_batches *batches, const char *row, size_t length) {
    if (!ds_batches_add_signal(batches, row, length)) return false;
    open_batch(batches)->text_rows++;
    return true;
}

uint64_t ds_batches_release(ds_batches *batches, int64_t now_ms) {
    seal(batches);
    for (size_t i = 0; i < batches->sealed; i++) {
        ds_batch *batch = &batches->items[index_of(batches, i)];
        if (batch->due_ms == DS_BATCH_NOT_DUE) batch->due_ms = now_ms;
    }
    bool one_more = ds_batches_open_any(batches); /* there was no room to seal it */
    return batches->last_number + one_more;
}

bool ds_batches_release_none(ds_batches *batches, int64_t now_ms) {
    if (batches->sealed > 0 || ds_batches_open_any(batches)) return false;
    seal_open(batches);
    ds_batches_release(batches, now_ms);
    return true;
}

const ds_batch *ds_batches_oldest_due(const ds_batches *batches) {
    const ds_batch *oldest = &batches->items[batches->first];
    return batches->sealed > 0 && oldest->due_ms != DS_BATCH_NOT_DUE ? oldest : NULL;
}

size_t ds_batch_rows(const ds_batch *batch) { return batch->sample_count + batch->text_rows; }

size_t ds_batches_rows(const ds_batches *batches) {
    size_t rows = 0;
    for (size_t i = 0; i <= batches->sealed; i++)
        rows += ds_batch_rows(&batches->items[index_of(batches, i)]);
    return rows;
}

static bool has_any(const ds_batch *batch) {
    return batch->sample_count > 0 || batch->text_length > 0;
}

bool ds_batches_any(const ds_batches *batches) {
    for (size_t i = 0; i <= batches->sealed; i++)
        if (has_any(&batches->items[index_of(batches, i)])) return true;
    return false;
}

bool ds_batches_open_any(const ds_batches *batches) {
    return has_any(&batches->items[index_of(batches, batches->sealed)]);
}

bool ds_batch_expired(const ds_batch *batch, int64_t now_ms) {
    return batch->due_ms != DS_BATCH_NOT_DUE && now_ms - batch->due_ms > DS_BATCH_EXPIRES_MS;
}

void ds_batches_remove_oldest(ds_batches *batches) {
    if (batches->sealed == 0) return;
    empty(&batches->items[batches->first]);
    batches->first = index_of(batches, 1);
    batches->sealed--;
}

void ds_batches_clear(ds_batches *batches) {
    for (size_t i = 0; i < DS_BATCHES; i++) empty(&batches->items[i]);
    batches->sealed = 0;
}
