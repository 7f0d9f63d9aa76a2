/* The cells of a partition as bytes, by window, table and shard, as panes.c takes them. */
#ifndef ADTALLY_PACK_H
#define ADTALLY_PACK_H

#include "cells.h"

typedef struct {
    int64_t window;
    int32_t table, shard;
    int64_t at, size; /* in the text */
} Group;

typedef struct {
    char *text;
    Group *groups;
    int64_t text_room, group_room, group_count;
} Pack;

int32_t shard_of(const char *campaign, size_t campaign_size, const char *channel, size_t channel_size);
int64_t pack_room(const Cells *cells, const Frame *frame, int32_t table, const Cell *cell);
bool pack_cells(Pack *pack, const Cells *cells);
void pack_taken(Pack *pack);
void pack_free(Pack *pack);

#endif
