/*
 * Samples that wait to be sent, in batches: the newest one is open and takes samples in, the older
 * ones are sealed and travel as they are, each under one key however often it is tried.
 *
 * Bounded: at most DS_BATCHES batches of DS_BATCH_SAMPLES samples and DS_BATCH_TEXT bytes of rows,
 * 10 MiB in all. Memory is taken as it is needed and given back when a batch is settled. One
 * thread at a time: the worker's lock guards it.
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
    int64_t due_ms; /* monotonic: when it was first to be sent; DS_BATCH_NOT_DUE before */

    uint64_t *samples; /* ds_sample */
    size_t sample_count;
    size_t sample_capacity;

    char *text; /* rows of job queues and of signals, as they will be sent */
    size_t text_length;
    size_t text_capacity;
    size_t text_rows; /* of them, those that count as samples: no signals */
} ds_batch;

typedef struct ds_batches {
    ds_batch items[DS_BATCHES]; /* a circle: sealed ones from `first`, then the open one */
    size_t first;
    size_t sealed;
    uint64_t last_number;
} ds_batches;

/* An all-zero ds_batches is empty. */

/* Add a sample, or a row, to the open batch; a batch that is full is sealed first. False when the
 * bound is reached or memory is out: the newest is what is dropped. */
bool ds_batches_add(ds_batches *batches, uint64_t sample);
bool ds_batches_add_row(ds_batches *batches, const char *row, size_t length);

/* The same for a row of a signal, which does not count as a row of samples below. */
bool ds_batches_add_signal(ds_batches *batches, const char *row, size_t length);

/*
 * Seals the open batch, if it holds anything and there is room for another, and makes all sealed
 * ones due. Returns the number of the batch that has, or will have, the newest sample; 0 when there
 * was never one.
 */
uint64_t ds_batches_release(ds_batches *batches, int64_t now_ms);

/* Seals a batch without rows and makes it due. False, and nothing is done, where there is any other
 * batch or row. */
bool ds_batches_release_none(ds_batches *batches, int64_t now_ms);

/* The oldest batch if it is due, else NULL. It stays where it is until it is settled. */
const ds_batch *ds_batches_oldest_due(const ds_batches *batches);

/* Rows of samples in a batch; in all batches. */
size_t ds_batch_rows(const ds_batch *batch);
size_t ds_batches_rows(const ds_batches *batches);

/* Whether there is anything to send, signals too: in all batches; in the open one. */
bool ds_batches_any(const ds_batches *batches);
bool ds_batches_open_any(const ds_batches *batches);

/* Whether a batch has been due for so long that its samples say nothing about now. */
bool ds_batch_expired(const ds_batch *batch, int64_t now_ms);

/* Forgets the oldest sealed batch. */
void ds_batches_settle(ds_batches *batches);

void ds_batches_clear(ds_batches *batches);

#endif
