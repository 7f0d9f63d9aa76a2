/* The fast path: reads one message of the usual form. */
#ifndef ADTALLY_FAST_H
#define ADTALLY_FAST_H

#include "ids.h"

/* Outcome of a message. SLOW_PATH: Python reads it, then returns it (tally_put) or rejects it (tally_refuse). */
enum status { SLOW_PATH, READY, REFUSED, COUNTED, DUPLICATE, LATE, TOO_FAR_AHEAD };

typedef struct {
    int64_t time;
    int64_t cost;
    int64_t revenue;
    uint64_t first; /* the fingerprint of the id: 64 bits, never 0, and 32 more in `rest` */
    const char *campaign, *channel; /* in the text, or among what was unescaped */
    uint32_t rest;
    uint16_t campaign_size, channel_size; /* bytes */
    uint8_t type, status;
    bool by_hand; /* read and folded by Python */
} Row;

typedef struct {
    const char *currency;
    size_t currency_size;
    char date[10]; /* the last one that was read, and its days since 1970 */
    int64_t days;
    char *unescaped; /* names that were escaped, without that: as much room as the text has */
    int64_t unescaped_size, unescaped_room;
} Reading;

/* False if the message needs the slow path. */
bool read_fast(Reading *reading, const Hash *hash, const char *begin, const char *end, Row *row);

#endif
