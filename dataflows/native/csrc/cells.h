/* What the events of one partition add up to, by window and key; a key is a campaign and a channel. */
#ifndef ADTALLY_CELLS_H
#define ADTALLY_CELLS_H

#include "ids.h"
#include "fast.h"
#include "sums.h"

typedef struct {
    int64_t window, key;
    Sums sums;
} Cell;

typedef struct {
    uint64_t hash;
    int64_t at; /* in `names` */
    int32_t campaign_size, channel_size, shard;
} Key;

typedef struct {
    Key *keys;
    int32_t *key_slots; /* hash tables of places in the arrays above them, -1 where free */
    char *names;
    Cell *cells;
    int32_t *cell_slots;
    int64_t key_count, key_room, names_size, names_room, cell_count, cell_room;
    int64_t window_start, window_end; /* of the last event */
} Cells;

bool cells_make(Cells *cells);
void cells_free(Cells *cells);
bool cells_add(Cells *cells, const Hash *hash, int64_t window, const Row *row);
void cells_clear(Cells *cells);

#endif
