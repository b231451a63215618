/*
 * Samples that wait to be sent, in batches. The newest batch is open and takes samples. Older ones
 * are sealed: they do not change any more, and keep one key however often they are sent.
 *
 * Bounded: at most DS_BATCHES batches of DS_BATCH_SAMPLES samples and DS_BATCH_TEXT bytes of rows,
 * 10 MiB in all. Memory is allocated as needed and freed with the batch. One thread at a time: the
 * worker's lock guards it.
 */
#ifndef DS_BATCH_H
#define DS_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "random.h"

enum {
    DS_BATCHES = 64,
    DS_BATCH_SAMPLES = 16384,
    DS_BATCH_TEXT = 32 * 1024,
    DS_BATCH_EXPIRES_MS = 5 * 60 * 1000,
    DS_BATCH_NOT_DUE = 0,
};

typedef struct ds_batch {
    uint64_t number; /* 1, 2, 3 ... in the order of sealing; 0 while open */
    char key[DS_RANDOM_KEY_SIZE];
    int64_t due_ms; /* monotonic: when it became due first; before that DS_BATCH_NOT_DUE */

    uint64_t *samples; /* ds_sample */
    size_t sample_count;
    size_t sample_capacity;

    char *text; /* rows of job queues and of signals, as they will be sent */
    size_t text_length;
    size_t text_capacity;
    size_t text_rows; /* of them those that are samples, not signals */
} ds_batch;

typedef struct ds_batches {
    ds_batch items[DS_BATCHES]; /* a ring: sealed ones from `first`, then the open one */
    size_t first;
    size_t sealed;
    uint64_t last_number;
} ds_batches;

/* An all-zero ds_batches is empty. */

/* Add a sample, or a row, to the open batch; a full batch is sealed first. Return false, and drop
 * it, at the bound or without memory. */
bool ds_batches_add(ds_batches *batches, uint64_t sample);
bool ds_batches_add_row(ds_batches *batches, const char *row, size_t length);

/* The same for a row of a signal, which is not counted as a sample. */
bool ds_batches_add_signal(ds_batches *batches, const char *row, size_t length);

/*
 * Seals the open batch, if it has anything and there is room for another, and makes all sealed ones
 * due. Returns the number of the batch that has, or will have, the newest sample; 0 if there was
 * never one.
 */
uint64_t ds_batches_release(ds_batches *batches, int64_t now_ms);

/* Seals a batch without rows and makes it due. Returns false and does nothing if there is any other
 * batch or row. */
bool ds_batches_release_none(ds_batches *batches, int64_t now_ms);

/* The oldest batch if it is due, else NULL. It stays until ds_batches_remove_oldest. */
const ds_batch *ds_batches_oldest_due(const ds_batches *batches);

/* Rows that are samples: of a batch, of all batches. */
size_t ds_batch_rows(const ds_batch *batch);
size_t ds_batches_rows(const ds_batches *batches);

/* Whether there is anything to send, signals included: in all batches, in the open one. */
bool ds_batches_any(const ds_batches *batches);
bool ds_batches_open_any(const ds_batches *batches);

/* Whether a batch has been due for too long to be useful. */
bool ds_batch_expired(const ds_batch *batch, int64_t now_ms);

/* Removes the oldest sealed batch. */
void ds_batches_remove_oldest(ds_batches *batches);

void ds_batches_clear(ds_batches *batches);

#endif
