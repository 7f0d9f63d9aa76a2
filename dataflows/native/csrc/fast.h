/* The fast path: reads one message of the usual form. */
#ifndef ADTALLY_FAST_H
#define ADTALLY_FAST_H

#include "ids.h"
#include "plan.h"

/* Outcome of a message. SLOW_PATH: Python reads it, then returns it (tally_put) or rejects it (tally_refuse). */
enum status { SLOW_PATH, READY, REFUSED, COUNTED, DUPLICATE, LATE, TOO_FAR_AHEAD };

typedef struct {
    int64_t time;
    int64_t cost;
    int64_t revenue;
    uint64_t first; /* the fingerprint of the id: 64 bits, never 0, and 32 more in `rest` */
    const char *campaign, *channel; /* in the text, or among what was unescaped, or of Python */
    uint32_t rest;
    uint16_t campaign_size, channel_size; /* bytes */
    char currency[4]; /* three letters */
    uint8_t role, status;
    int8_t declared; /* the number of its declared type; negative if its type is built in */
} Row;

typedef struct {
    const Plan *plan;
    int8_t slots[FIELDS]; /* of the contract's fields, by number; negative for those that no breakdown names */
    uint8_t further[MOST_SLOTS]; /* slots of the other fields that a breakdown names */
    int further_count;
    char date[10]; /* the last one that was read, and its days since 1970 */
    int64_t days;
    char *unescaped; /* names that were escaped, without that: as much room as the text has */
    int64_t unescaped_size, unescaped_room;
} Reading;

void reading_make(Reading *reading, const Plan *plan);

/* False if the message needs the slow path. `values`: of the slots. */
bool read_fast(Reading *reading, const Hash *hash, const char *begin, const char *end, Row *row, Value *values);

#endif
