/* A hash table of places in an array, which has twice as many slots as the array has room, both powers of two; -1 where
 * one is free.
 *
 * An entry whose own slot is occupied is in the next free one (linear probing: Knuth, The Art of Computer Programming
 * 3, 6.4). The caller of a lookup compares the entries, slot by slot.
 */
#ifndef ADTALLY_SLOTS_H
#define ADTALLY_SLOTS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* What a hash is cut by. */
static inline uint64_t slots_mask(int64_t room)
{
    return (uint64_t)room * 2 - 1;
}

/* New ones for an array with `room`, all of them free. False if memory runs out: then the old ones stay. */
static inline bool slots_make(int32_t **slots, int64_t room)
{
    size_t size = (size_t)room * 2 * sizeof(int32_t);
    int32_t *made = malloc(size);
    if (!made)
        return false;
    memset(made, -1, size);
    free(*slots);
    *slots = made;
    return true;
}

/* The first free one for a hash. */
static inline uint64_t slots_free(const int32_t *slots, uint64_t mask, uint64_t hash)
{
    uint64_t slot = hash & mask;
    while (slots[slot] >= 0)
        slot = (slot + 1) & mask;
    return slot;
}

#endif
