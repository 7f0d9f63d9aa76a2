/* 96-bit fingerprints of texts, and the index of the ids that were seen. */
#ifndef ADTALLY_IDS_H
#define ADTALLY_IDS_H

#include "contract.h"

enum { LONGEST_TEXT = LONGEST_NAME * 4 /* bytes of UTF-8 */, WORDS = LONGEST_TEXT / 4 };

typedef struct {
    uint64_t coefficients[WORDS + 1][3];
} Hash;

void fingerprint(const Hash *hash, const char *text, size_t size, uint64_t *first, uint32_t *rest);
uint64_t hash_text(const Hash *hash, const char *text, size_t size);

/* Texts that are counted up make sums that are counted up. MurmurHash3's last step mixes them; it is one to one. */
static inline uint64_t hash_mix(uint64_t hash)
{
    hash ^= hash >> 33;
    hash *= 0xFF51AFD7ED558CCDu;
    hash ^= hash >> 33;
    hash *= 0xC4CEB9FE1A85EC53u;
    return hash ^ hash >> 33;
}

enum { SLOTS = 5, KEPT = 3, SMALLEST = 8 /* bits: the table that an index begins with */ };

typedef struct { /* a line of the processor's cache */
    uint64_t first[SLOTS];
    uint32_t rest[SLOTS];
    uint32_t born; /* six bits a slot: the generation */
} Bucket;

typedef struct {
    Bucket *buckets;
    int bits; /* there are 2^bits buckets */
    int64_t count;
    int64_t generation;
    bool begun;
    uint64_t dice;
} Index;

bool index_make(Index *index, int bits);
void index_free(Index *index);
bool index_turn(Index *index, int64_t generation);
int index_add(Index *index, uint64_t first, uint32_t rest); /* 1: it is new, 0: it is known, -1: no memory */
void index_prefetch(const Index *index, uint64_t first);

#endif
