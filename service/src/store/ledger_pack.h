/*
 * Ticks of one process type in as few bytes as they need: a column for each number, differences
 * that are mostly zero, sentences as their words and their numbers, all of it compressed. Exact:
 * what is unpacked equals what was packed to the bit. For ledger.c alone; pure but for memory.
 */
#ifndef LEDGER_PACK_H
#define LEDGER_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/ledger.h"

/* More ticks than an hour can have, one each second. */
enum { LEDGER_PACK_TICKS = 3600 };

/* The app and the process are not packed. Bytes that the caller frees; NULL without memory. */
uint8_t *ledger_pack(const struct ledger_tick *ticks, size_t count, size_t *length);

/* Ticks that the caller frees, their app 0 and process "". NULL where the bytes are not what
 * ledger_pack made, or without memory: then errno is ENOMEM. */
struct ledger_tick *ledger_unpack(const uint8_t *bytes, size_t length, size_t *count);

#endif
