/* What the events of one partition add up to, by window, table and key.
 *
 * Table 0 is that of the main results, whose keys are a campaign, a channel and a currency. Table n is that of
 * breakdown n, counted from 1, whose keys have values as well. A breakdown admits a bounded number of keys in a window,
 * in the order of the log; an event with another one counts in the row of its campaign, channel and currency that has
 * OTHER for every value.
 */
#ifndef ADTALLY_CELLS_H
#define ADTALLY_CELLS_H

#include "admission.h"
#include "fast.h"
#include "memory.h"
#include "sums.h"

typedef struct Frame Frame;

/* A campaign, a channel and a currency. */
typedef struct {
    uint64_t hash;
    int64_t at; /* in `names` */
    const Frame *frame; /* the main cell that was used last: its window, the pack that it was for, and its place */
    uint32_t pack;
    int32_t cell;
    int32_t shard;
    uint16_t campaign_size, channel_size;
    char currency[4];
} Key;

/* Sums of a key between two packs, in a line of the processor's cache (in two, if the contract has more sums). One key
 * has several where a sum would not fit in 64 bits. */
typedef struct {
    _Alignas(CACHE_LINE) int64_t money[MONEY];
    int32_t counts[COUNTS];
    int32_t frame; /* the number of that of its window */
    int32_t key;
    int32_t admitted; /* the place of its key in the admission; OUTSIDE(table) in table 0 and if its values are OTHER */
    int32_t next; /* cell of the same window, table and shard, negative behind the last one */
} Cell;

_Static_assert(sizeof(Cell) % CACHE_LINE == 0, "a cell begins with a line of the cache");

#define OUTSIDE(table) (-1 - (table))

/* The first and the last cell of a shard; negative without any. */
typedef struct {
    int32_t first, last;
} Chain;

/* A window: the cells that wait to be packed, and what its breakdowns have admitted. */
struct Frame {
    int64_t window;
    int32_t number; /* no other frame has it */
    bool waits; /* it has cells */
    Admission *admissions; /* of each breakdown */
    Chain *chains; /* of table and shard */
};

typedef struct {
    const Plan *plan;
    Key *keys;
    int32_t *key_slots; /* hash tables of places in the arrays above them, -1 where free */
    char *names;
    Cell *cells;
    AdmissionCounts *admission_counts; /* of each breakdown */
    int64_t *declared; /* the counts of the declared types of each cell */
    int32_t *cell_slots; /* but for the cells of keys that were admitted, which know their cell */
    Frame **frames; /* in the order of their windows */
    Frame *frame; /* of the last event */
    int64_t key_count, key_room, names_size, names_room, cell_count, cell_room, declared_room, frame_count, frame_room;
    int64_t window_end; /* of `frame` */
    int64_t packed_size; /* bytes of the cells once they are packed */
    uint32_t pack; /* counted up from 1, so that a cell that was kept is known for one of before */
    int32_t next_number; /* of a frame */
    int64_t most_names; /* bytes of names with which keys are dropped */
} Cells;

bool cells_make(Cells *cells, const Plan *plan);
void cells_free(Cells *cells);
void cells_hash(const Cells *cells, const Hash *hash, const Row *row, const Value *values, uint64_t *hashes);
void cells_prefetch(const Cells *cells, const uint64_t *hashes, int step);
bool cells_add(Cells *cells, Frame *frame, const Row *row, const Value *values, const uint64_t *hashes,
               bool admit_only);
Frame *cells_frame(Cells *cells, int64_t window, int64_t forget_before);
void cells_clear(Cells *cells, int64_t forget_before);

#endif
