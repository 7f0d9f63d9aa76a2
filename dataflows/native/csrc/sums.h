/* The sums of a cell, the one form of them in C. In cell bytes the counts of the declared event types follow, eight
 * bytes each, then the sizes of the names of its key, two bytes each, and the names: campaign, channel, values,
 * currency. */
#ifndef ADTALLY_SUMS_H
#define ADTALLY_SUMS_H

#include "contract.h"

__extension__ typedef __int128 Money; /* the sums of 64-bit micros do not fit in 64 bits */

typedef struct {
    Money money[MONEY];
    int64_t counts[COUNTS];
} Sums;

/* The struct may end with padding; its bytes in a cell do not. */
_Static_assert(offsetof(Sums, counts) + COUNTS * sizeof(int64_t) == SUMS_BYTES, "the sums of the contract");

static inline void sums_add(Sums *sums, const Sums *more)
{
    for (int at = 0; at < MONEY; at++)
        sums->money[at] += more->money[at];
    for (int at = 0; at < COUNTS; at++)
        sums->counts[at] += more->counts[at];
}

#endif
