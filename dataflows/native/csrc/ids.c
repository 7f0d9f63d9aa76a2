/* Fingerprints of ids, and the hash table of those that were seen. dataflows/intake/dedup.py does the same in Python,
 * and says why. */
#define _DEFAULT_SOURCE /* for madvise */
#include "ids.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Multilinear hashing over 32-bit words (Lemire and Kaser, "Strongly universal string hashing is fast", 2014,
 * theorem 1), three times with random coefficients of this process: two different texts get the same 96 bits with a
 * chance of 2^-96, whatever they are. */
void fingerprint(const Hash *hash, const char *text, size_t size, uint64_t *first, uint32_t *rest)
{
    const uint64_t (*own)[3] = hash->coefficients;
    uint64_t a = own[0][0] * size, b = own[0][1] * size, c = own[0][2] * size;
    size_t at = 0;
    for (; at + 4 <= size; at += 4) {
        uint32_t word;
        memcpy(&word, text + at, 4);
        own++;
        a += own[0][0] * word;
        b += own[0][1] * word;
        c += own[0][2] * word;
    }
    if (at < size) {
        uint32_t word = 0;
        memcpy(&word, text + at, size - at);
        own++;
        a += own[0][0] * word;
        b += own[0][1] * word;
        c += own[0][2] * word;
    }
    uint64_t mixed = hash_mix((a & 0xFFFFFFFF00000000u) | b >> 32);
    *first = mixed ? mixed : 1;
    *rest = (uint32_t)(c >> 32);
}

/* Up to LONGEST_TEXT bytes. */
static uint64_t hash_piece(const Hash *hash, const char *text, size_t size)
{
    const uint64_t (*own)[3] = hash->coefficients;
    uint64_t sum = own[0][0] * size;
    size_t at = 0;
    for (; at + 4 <= size; at += 4) {
        uint32_t word;
        memcpy(&word, text + at, 4);
        sum += (++own)[0][0] * word;
    }
    if (at < size) {
        uint32_t word = 0;
        memcpy(&word, text + at, size - at);
        sum += own[1][0] * word;
    }
    return hash_mix(sum);
}

/* A hash for tables that compare the texts themselves: one such sum, piece by piece where a text is longer. */
uint64_t hash_text(const Hash *hash, const char *text, size_t size)
{
    uint64_t mixed = 0;
    for (; size > LONGEST_TEXT; text += LONGEST_TEXT, size -= LONGEST_TEXT)
        mixed = hash_mix(mixed ^ hash_piece(hash, text, LONGEST_TEXT));
    return mixed ^ hash_piece(hash, text, size);
}

/* Cuckoo hashing with buckets (Dietzfelbinger and Weidling, "Balanced allocation and dictionaries with tightly
 * packed constant size bins", 2007): each id may stand in one of two buckets, and makes room by moving another to
 * its other one. So the table is nearly full before it doubles: 14 to 29 bytes an id. */

enum { MOVES = 250, HUGE_PAGE = 2 << 20 };

#define FULLEST 0.90

bool index_make(Index *index, int bits)
{
    size_t size = sizeof(Bucket) << bits;
    Bucket *buckets = aligned_alloc(size < HUGE_PAGE ? sizeof(Bucket) : HUGE_PAGE, size);
    if (!buckets)
        return false;
#ifdef MADV_HUGEPAGE
    if (size >= HUGE_PAGE) /* an id may stand anywhere: with large pages, the processor finds the address sooner */
        madvise(buckets, size, MADV_HUGEPAGE);
#endif
    memset(buckets, 0, size);
    free(index->buckets);
    index->buckets = buckets;
    index->bits = bits;
    index->count = 0;
    index->dice = index->dice ? index->dice : 88172645463325252u;
    return true;
}

void index_free(Index *index)
{
    free(index->buckets);
    index->buckets = NULL;
}

static Bucket *upper(const Index *index, uint64_t first)
{
    return index->buckets + (first >> (64 - index->bits));
}

static Bucket *lower(const Index *index, uint64_t first)
{
    return index->buckets + ((uint32_t)first >> (32 - index->bits));
}

void index_prefetch(const Index *index, uint64_t first)
{
    __builtin_prefetch(upper(index, first), 1);
    __builtin_prefetch(lower(index, first), 1);
}

static unsigned born_at(const Bucket *bucket, int slot)
{
    return bucket->born >> (6 * slot) & 63;
}

static void set_born(Bucket *bucket, int slot, unsigned generation)
{
    bucket->born = (bucket->born & ~(63u << (6 * slot))) | (generation & 63) << (6 * slot);
}

static int find(const Bucket *bucket, uint64_t first, uint32_t rest)
{
    for (int slot = 0; slot < SLOTS; slot++)
        if (bucket->first[slot] == first && bucket->rest[slot] == rest)
            return slot;
    return -1;
}

static int free_slots(const Bucket *bucket, int *slot)
{
    int count = 0;
    for (int at = 0; at < SLOTS; at++)
        if (!bucket->first[at]) {
            *slot = at;
            count++;
        }
    return count;
}

static void put(Bucket *bucket, int slot, uint64_t first, uint32_t rest, unsigned born)
{
    bucket->first[slot] = first;
    bucket->rest[slot] = rest;
    set_born(bucket, slot, born);
}

/* Find a slot by moving entries; false if there is none for the last one, which is then in *first, *rest, *born. */
static bool settle(Index *index, uint64_t *first, uint32_t *rest, unsigned *born)
{
    for (int move = 0; move < MOVES; move++) {
        Bucket *one = upper(index, *first), *two = lower(index, *first);
        int slot_one = 0, slot_two = 0;
        int room_one = free_slots(one, &slot_one), room_two = free_slots(two, &slot_two);
        if (room_one || room_two) {
            if (room_one >= room_two)
                put(one, slot_one, *first, *rest, *born);
            else
                put(two, slot_two, *first, *rest, *born);
            return true;
        }
        /* xorshift (Marsaglia, 2003): which one moves decides nothing but the time it takes. */
        index->dice ^= index->dice << 13;
        index->dice ^= index->dice >> 7;
        index->dice ^= index->dice << 17;
        Bucket *from = index->dice & 1 ? one : two;
        int slot = (int)((index->dice >> 1) % SLOTS);
        uint64_t moved_first = from->first[slot];
        uint32_t moved_rest = from->rest[slot];
        unsigned moved_born = born_at(from, slot);
        put(from, slot, *first, *rest, *born);
        *first = moved_first;
        *rest = moved_rest;
        *born = moved_born;
    }
    return false;
}

/* Twice as many buckets: each falls into two, by one more bit of the half that chose it, so that nothing has to look
 * for a place. */
static bool expand(Index *index)
{
    Index made = {.dice = index->dice};
    if (index->bits >= 30 || !index_make(&made, index->bits + 1))
        return false;
    for (size_t at = 0; at < (size_t)1 << index->bits; at++) {
        const Bucket *bucket = index->buckets + at;
        int taken[2] = {0, 0};
        for (int slot = 0; slot < SLOTS; slot++) {
            uint64_t first = bucket->first[slot];
            if (!first)
                continue;
            Bucket *own = upper(index, first) == bucket ? upper(&made, first) : lower(&made, first);
            int *next = taken + ((own - made.buckets) & 1);
            put(own, (*next)++, first, bucket->rest[slot], born_at(bucket, slot));
        }
    }
    free(index->buckets);
    index->buckets = made.buckets;
    index->bits = made.bits;
    return true;
}

/* A smaller table, after a rush; it stays as it is where that would not do. */
static void shrink(Index *index, int bits)
{
    Index made = {.dice = index->dice};
    if (!index_make(&made, bits))
        return;
    for (size_t at = 0; at < (size_t)1 << index->bits; at++) {
        const Bucket *bucket = index->buckets + at;
        for (int slot = 0; slot < SLOTS; slot++) {
            uint64_t first = bucket->first[slot];
            uint32_t rest = bucket->rest[slot];
            unsigned born = born_at(bucket, slot);
            if (first && !settle(&made, &first, &rest, &born)) {
                index_free(&made);
                return;
            }
        }
    }
    free(index->buckets);
    index->buckets = made.buckets;
    index->bits = made.bits;
    index->dice = made.dice;
}

int index_add(Index *index, uint64_t first, uint32_t rest)
{
    Bucket *one = upper(index, first), *two = lower(index, first);
    unsigned born = (unsigned)(index->generation & 63);
    int slot = find(one, first, rest);
    if (slot >= 0) {
        set_born(one, slot, born);
        return 0;
    }
    slot = find(two, first, rest);
    if (slot >= 0) {
        set_born(two, slot, born);
        return 0;
    }
    double room = (double)((size_t)SLOTS << index->bits);
    if ((double)index->count >= FULLEST * room && !expand(index))
        return -1;
    while (!settle(index, &first, &rest, &born))
        if (!expand(index))
            return -1;
    index->count++;
    return 1;
}

/* Forget what is older than KEPT generations; what is newer, because the clock went back for a refill, stays. */
static void sweep(Index *index)
{
    unsigned oldest = (unsigned)((index->generation - KEPT) & 63);
    for (size_t at = 0; at < (size_t)1 << index->bits; at++) {
        Bucket *bucket = index->buckets + at;
        for (int slot = 0; slot < SLOTS; slot++) {
            unsigned age = (born_at(bucket, slot) - oldest) & 63;
            if (bucket->first[slot] && (age == 0 || age >= 32)) {
                bucket->first[slot] = 0;
                index->count--;
            }
        }
    }
}

bool index_turn(Index *index, int64_t generation)
{
    int64_t before = index->generation;
    bool forgets = index->begun && generation > before;
    index->generation = generation;
    index->begun = true;
    if (!forgets)
        return true;
    if (generation - before >= KEPT)
        return index_make(index, SMALLEST);
    sweep(index);
    int bits = SMALLEST; /* of a table that would be at most half full */
    while (index->count * 2 > (int64_t)SLOTS << bits)
        bits++;
    if (bits < index->bits - 1)
        shrink(index, bits);
    return true;
}
