/* The names stay from poll to poll, for the same campaigns come again. */
#include "cells.h"
#include "memory.h"
#include "pack.h"
#include "slots.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 1024, FIRST_NAMES = 65536 };

bool cells_make(Cells *cells)
{
    cells->keys = malloc(FIRST_ROOM * sizeof(Key));
    cells->cells = malloc(FIRST_ROOM * sizeof(Cell));
    cells->names = malloc(FIRST_NAMES);
    cells->key_room = cells->cell_room = FIRST_ROOM;
    cells->names_room = FIRST_NAMES;
    return cells->keys && cells->cells && cells->names && slots_make(&cells->key_slots, FIRST_ROOM) &&
           slots_make(&cells->cell_slots, FIRST_ROOM);
}

void cells_free(Cells *cells)
{
    free(cells->keys);
    free(cells->key_slots);
    free(cells->names);
    free(cells->cells);
    free(cells->cell_slots);
}

static bool grow_keys(Cells *cells)
{
    if (!grow((void **)&cells->keys, &cells->key_room, cells->key_count + 1, sizeof(Key)) ||
        !slots_make(&cells->key_slots, cells->key_room))
        return false;
    uint64_t mask = slots_mask(cells->key_room);
    for (int64_t key = 0; key < cells->key_count; key++)
        cells->key_slots[slots_free(cells->key_slots, mask, cells->keys[key].hash)] = (int32_t)key;
    return true;
}

/* The number of a campaign and channel; -1 if memory runs out. */
static int64_t key_of(Cells *cells, const Hash *hash, const Row *row)
{
    const char *campaign = row->campaign, *channel = row->channel;
    uint64_t mixed = hash_names(hash, campaign, row->campaign_size, channel, row->channel_size);
    uint64_t mask = slots_mask(cells->key_room), slot = mixed & mask;
    for (; cells->key_slots[slot] >= 0; slot = (slot + 1) & mask) {
        const Key *key = cells->keys + cells->key_slots[slot];
        if (key->hash == mixed && key->campaign_size == row->campaign_size && key->channel_size == row->channel_size &&
            memcmp(cells->names + key->at, campaign, row->campaign_size) == 0 &&
            memcmp(cells->names + key->at + key->campaign_size, channel, row->channel_size) == 0)
            return cells->key_slots[slot];
    }
    int64_t size = row->campaign_size + row->channel_size;
    if (!grow((void **)&cells->names, &cells->names_room, cells->names_size + size, 1))
        return -1;
    if (cells->key_count == cells->key_room) {
        if (!grow_keys(cells))
            return -1;
        slot = slots_free(cells->key_slots, slots_mask(cells->key_room), mixed);
    }
    memcpy(cells->names + cells->names_size, campaign, row->campaign_size);
    memcpy(cells->names + cells->names_size + row->campaign_size, channel, row->channel_size);
    cells->keys[cells->key_count] = (Key){mixed, cells->names_size, row->campaign_size, row->channel_size,
                                          shard_of(campaign, row->campaign_size, channel, row->channel_size)};
    cells->names_size += size;
    cells->key_slots[slot] = (int32_t)cells->key_count;
    return cells->key_count++;
}

static uint64_t cell_hash(int64_t window, int64_t key)
{
    /* Fibonacci hashing (Knuth). */
    uint64_t mixed = ((uint64_t)window ^ (uint64_t)key << 40 ^ (uint64_t)key) * 0x9E3779B97F4A7C15u;
    return mixed ^ mixed >> 32;
}

static bool grow_cells(Cells *cells)
{
    if (!grow((void **)&cells->cells, &cells->cell_room, cells->cell_count + 1, sizeof(Cell)) ||
        !slots_make(&cells->cell_slots, cells->cell_room))
        return false;
    uint64_t mask = slots_mask(cells->cell_room);
    for (int64_t at = 0; at < cells->cell_count; at++) {
        uint64_t hash = cell_hash(cells->cells[at].window, cells->cells[at].key);
        cells->cell_slots[slots_free(cells->cell_slots, mask, hash)] = (int32_t)at;
    }
    return true;
}

static Cell *cell_of(Cells *cells, int64_t window, int64_t key)
{
    uint64_t hash = cell_hash(window, key), mask = slots_mask(cells->cell_room), slot = hash & mask;
    for (; cells->cell_slots[slot] >= 0; slot = (slot + 1) & mask) {
        Cell *cell = cells->cells + cells->cell_slots[slot];
        if (cell->window == window && cell->key == key)
            return cell;
    }
    if (cells->cell_count == cells->cell_room) {
        if (!grow_cells(cells))
            return NULL;
        slot = slots_free(cells->cell_slots, slots_mask(cells->cell_room), hash);
    }
    cells->cell_slots[slot] = (int32_t)cells->cell_count;
    Cell *cell = cells->cells + cells->cell_count++;
    *cell = (Cell){.window = window, .key = key};
    return cell;
}

/* Add an event to its cell, as the contract says for its type. */
bool cells_add(Cells *cells, const Hash *hash, int64_t window, const Row *row)
{
    int64_t key = key_of(cells, hash, row);
    Cell *cell = key < 0 ? NULL : cell_of(cells, window, key);
    if (!cell)
        return false;
    Sums *sums = &cell->sums;
    sums->money[MONEY_SPEND] += row->cost;
    sums->money[REVENUE_SUM[row->type]] += row->revenue;
    for (int at = 0; at < COUNTS; at++)
        sums->counts[at] += ADDED_COUNTS[row->type][at];
    return true;
}

/* Forget the cells, and the names as well once they are many: those of yesterday's campaigns are needed no more. */
void cells_clear(Cells *cells)
{
    uint64_t mask = slots_mask(cells->cell_room);
    for (int64_t at = 0; at < cells->cell_count; at++) {
        /* All slots between a cell's own slot and its actual one belong to cells that are removed too. */
        uint64_t slot = cell_hash(cells->cells[at].window, cells->cells[at].key) & mask;
        for (; cells->cell_slots[slot] >= 0; slot = (slot + 1) & mask)
            cells->cell_slots[slot] = -1;
    }
    cells->cell_count = 0;
    if (cells->names_size > 8 << 20) {
        memset(cells->key_slots, -1, (size_t)cells->key_room * 2 * sizeof(int32_t));
        cells->key_count = cells->names_size = 0;
    }
}
