/* The names stay from poll to poll, for the same campaigns come again. */
#include "cells.h"
#include "memory.h"
#include "pack.h"
#include "slots.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 1024, FIRST_NAMES = 65536, MANY_NAMES = 8 << 20 };

bool cells_make(Cells *cells, const Plan *plan)
{
    cells->plan = plan;
    cells->keys = malloc(FIRST_ROOM * sizeof(Key));
    cells->cells = aligned_alloc(CACHE_LINE, FIRST_ROOM * sizeof(Cell));
    cells->pack = 1;
    cells->names = malloc(FIRST_NAMES);
    cells->admission_counts = calloc((size_t)plan->breakdown_count + 1, sizeof(AdmissionCounts));
    cells->key_room = cells->cell_room = FIRST_ROOM;
    cells->names_room = FIRST_NAMES;
    cells->most_names = MANY_NAMES;
    return cells->keys && cells->cells && cells->names && cells->admission_counts &&
           slots_make(&cells->key_slots, FIRST_ROOM) && slots_make(&cells->cell_slots, FIRST_ROOM);
}

static void frame_free(const Cells *cells, Frame *frame)
{
    if (!frame)
        return;
    for (int32_t at = 0; frame->admissions && at < cells->plan->breakdown_count; at++)
        admission_free(frame->admissions + at);
    free(frame->admissions);
    free(frame->chains);
    free(frame);
}

void cells_free(Cells *cells)
{
    for (int64_t at = 0; at < cells->frame_count; at++)
        frame_free(cells, cells->frames[at]);
    free(cells->frames);
    free(cells->keys);
    free(cells->key_slots);
    free(cells->names);
    free(cells->cells);
    free(cells->admission_counts);
    free(cells->declared);
    free(cells->cell_slots);
}

static int32_t chain_count(const Cells *cells)
{
    return (cells->plan->breakdown_count + 1) * SHARDS;
}

static Frame *frame_make(Cells *cells, int64_t window)
{
    Frame *frame = calloc(1, sizeof(Frame));
    if (!frame)
        return NULL;
    size_t chains = (size_t)chain_count(cells) * sizeof(Chain);
    frame->window = window;
    frame->number = cells->next_number++;
    frame->chains = malloc(chains);
    frame->admissions = calloc((size_t)cells->plan->breakdown_count + 1, sizeof(Admission));
    if (!frame->chains || !frame->admissions) {
        frame_free(cells, frame);
        return NULL;
    }
    memset(frame->chains, -1, chains);
    return frame;
}

static void drop_frames(Cells *cells, int64_t before)
{
    int64_t dropped = 0;
    while (dropped < cells->frame_count && cells->frames[dropped]->window < before)
        frame_free(cells, cells->frames[dropped++]);
    if (!dropped)
        return;
    cells->frame_count -= dropped;
    memmove(cells->frames, cells->frames + dropped, (size_t)cells->frame_count * sizeof(Frame *));
    cells->frame = NULL;
}

/* The frame of `window`, a new one if need be; NULL if memory runs out. Those of windows that begin before
 * `forget_before`, of which no event can come any more, may be dropped. */
Frame *cells_frame(Cells *cells, int64_t window, int64_t forget_before)
{
    int64_t low = 0, high = cells->frame_count;
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (cells->frames[middle]->window < window)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < cells->frame_count && cells->frames[low]->window == window)
        return cells->frames[low];
    if (!cells->cell_count) { /* while a refill is read, nothing is packed */
        int64_t before = cells->frame_count;
        drop_frames(cells, forget_before);
        low -= before - cells->frame_count;
        low = low < 0 ? 0 : low;
    }
    if (!grow((void **)&cells->frames, &cells->frame_room, cells->frame_count + 1, sizeof(Frame *)))
        return NULL;
    Frame *frame = frame_make(cells, window);
    if (!frame)
        return NULL;
    memmove(cells->frames + low + 1, cells->frames + low, (size_t)(cells->frame_count - low) * sizeof(Frame *));
    cells->frames[low] = frame;
    cells->frame_count++;
    return frame;
}

static void place_keys(Cells *cells)
{
    uint64_t mask = slots_mask(cells->key_room);
    for (int64_t key = 0; key < cells->key_count; key++)
        cells->key_slots[slots_free(cells->key_slots, mask, cells->keys[key].hash)] = (int32_t)key;
}

static bool grow_keys(Cells *cells)
{
    if (!grow((void **)&cells->keys, &cells->key_room, cells->key_count + 1, sizeof(Key)) ||
        !slots_make(&cells->key_slots, cells->key_room))
        return false;
    place_keys(cells);
    return true;
}

static uint64_t hash_key(const Hash *hash, const Row *row)
{
    uint32_t currency;
    memcpy(&currency, row->currency, sizeof currency);
    /* Neither the other way round nor cut elsewhere the same. */
    uint64_t campaign = hash_text(hash, row->campaign, row->campaign_size);
    uint64_t channel = hash_text(hash, row->channel, row->channel_size);
    return hash_mix(campaign ^ (channel << 1 | channel >> 63) ^ currency);
}

/* The hashes of the keys of an event: of its campaign, channel and currency, then of its key in each breakdown. They
 * are worked out while its message is read, for that is in the cache then. */
void cells_hash(const Cells *cells, const Hash *hash, const Row *row, const Value *values, uint64_t *hashes)
{
    const Plan *plan = cells->plan;
    uint64_t of_values[MOST_SLOTS];
    for (int32_t slot = 0; slot < plan->field_count; slot++)
        of_values[slot] = values[slot].text ? hash_text(hash, values[slot].text, values[slot].size) : 0;
    hashes[0] = hash_key(hash, row);
    for (int32_t number = 0; number < plan->breakdown_count; number++) {
        const Breakdown *breakdown = plan->breakdowns + number;
        uint64_t mixed = hashes[0];
        for (int64_t at = 0; at < breakdown->count; at++)
            mixed = hash_mix(mixed ^ of_values[breakdown->slots[at]]);
        hashes[number + 1] = mixed;
    }
}

/* Have the processor fetch what `cells_add` looks at for an event, as if it were in the window of the last one. Each of
 * three steps needs what the one before has fetched. */
void cells_prefetch(const Cells *cells, const uint64_t *hashes, int step)
{
    for (int32_t number = 0; cells->frame && number < cells->plan->breakdown_count; number++) {
        const Admission *admission = cells->frame->admissions + number;
        if (!admission->room)
            continue;
        const int32_t *slot = admission->slots + (hashes[number + 1] & slots_mask(admission->room));
        if (step == 0) {
            __builtin_prefetch(slot);
            continue;
        }
        if (*slot < 0)
            continue;
        const Admitted *own = admission->keys + *slot;
        if (step == 1)
            __builtin_prefetch(own);
        else {
            __builtin_prefetch(admission->values + own->at);
            if (own->pack == cells->pack)
                __builtin_prefetch(cells->cells + own->cell, 1);
        }
    }
}

static bool is_key_of(const Cells *cells, const Key *key, const Row *row)
{
    const char *campaign = cells->names + key->at, *channel = campaign + key->campaign_size;
    return key->campaign_size == row->campaign_size && key->channel_size == row->channel_size &&
           memcmp(key->currency, row->currency, sizeof key->currency) == 0 &&
           memcmp(campaign, row->campaign, row->campaign_size) == 0 &&
           memcmp(channel, row->channel, row->channel_size) == 0;
}

/* The number of a campaign, channel and currency; -1 if memory runs out. */
static int64_t key_of(Cells *cells, uint64_t mixed, const Row *row)
{
    uint64_t mask = slots_mask(cells->key_room), slot = mixed & mask;
    for (; cells->key_slots[slot] >= 0; slot = (slot + 1) & mask) {
        const Key *key = cells->keys + cells->key_slots[slot];
        if (key->hash == mixed && is_key_of(cells, key, row))
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
    memcpy(cells->names + cells->names_size, row->campaign, row->campaign_size);
    memcpy(cells->names + cells->names_size + row->campaign_size, row->channel, row->channel_size);
    Key *key = cells->keys + cells->key_count;
    *key = (Key){.hash = mixed,
                 .at = cells->names_size,
                 .shard = shard_of(row->campaign, row->campaign_size, row->channel, row->channel_size),
                 .campaign_size = row->campaign_size,
                 .channel_size = row->channel_size};
    memcpy(key->currency, row->currency, sizeof key->currency);
    cells->names_size += size;
    cells->key_slots[slot] = (int32_t)cells->key_count;
    return cells->key_count++;
}

static uint64_t cell_hash(int32_t frame, int32_t admitted, int32_t key)
{
    return hash_mix((uint64_t)(uint32_t)frame << 40 ^ (uint64_t)(uint32_t)admitted << 32 ^ (uint64_t)(uint32_t)key);
}

static bool grow_cells(Cells *cells)
{
    int64_t room = cells->cell_room * 2;
    Cell *more = aligned_alloc(CACHE_LINE, (size_t)room * sizeof(Cell));
    if (!more || !slots_make(&cells->cell_slots, room)) {
        free(more);
        return false;
    }
    memcpy(more, cells->cells, (size_t)cells->cell_count * sizeof(Cell));
    free(cells->cells);
    cells->cells = more;
    cells->cell_room = room;
    uint64_t mask = slots_mask(room);
    for (int64_t at = 0; at < cells->cell_count; at++) {
        const Cell *cell = cells->cells + at;
        if (cell->admitted < 0)
            cells->cell_slots[slots_free(cells->cell_slots, mask, cell_hash(cell->frame, cell->admitted, cell->key))] =
                (int32_t)at;
    }
    return true;
}

/* A new cell without a slot; negative if memory runs out. */
static int32_t new_cell(Cells *cells, Frame *frame, int32_t table, int32_t key, int32_t admitted)
{
    int64_t counts = cells->plan->type_count;
    if (cells->cell_count == cells->cell_room && !grow_cells(cells))
        return -1;
    if (counts) {
        int64_t size = (cells->cell_count + 1) * counts;
        if (!grow((void **)&cells->declared, &cells->declared_room, size, sizeof(int64_t)))
            return -1;
        memset(cells->declared + size - counts, 0, (size_t)counts * sizeof(int64_t));
    }
    int32_t place = (int32_t)cells->cell_count++;
    cells->cells[place] = (Cell){.frame = frame->number, .key = key, .admitted = admitted, .next = -1};
    cells->packed_size += pack_room(cells, frame, table, cells->cells + place);
    Chain *chain = frame->chains + table * SHARDS + cells->keys[key].shard;
    if (chain->last < 0)
        chain->first = place;
    else
        cells->cells[chain->last].next = place;
    chain->last = place;
    frame->waits = true;
    return place;
}

/* The cell of a key in table 0, or of its OTHER in the table of a breakdown; negative if memory runs out. */
static int32_t cell_of(Cells *cells, Frame *frame, int32_t table, int32_t key)
{
    uint64_t hash = cell_hash(frame->number, OUTSIDE(table), key), mask = slots_mask(cells->cell_room);
    uint64_t slot = hash & mask;
    for (; cells->cell_slots[slot] >= 0; slot = (slot + 1) & mask) {
        const Cell *cell = cells->cells + cells->cell_slots[slot];
        if (cell->frame == frame->number && cell->key == key && cell->admitted == OUTSIDE(table))
            return cells->cell_slots[slot];
    }
    int64_t room = cells->cell_room;
    int32_t place = new_cell(cells, frame, table, key, OUTSIDE(table));
    if (place >= 0 && room == cells->cell_room) /* the slots that were made for more have it already */
        cells->cell_slots[slot] = place;
    else if (place >= 0)
        cells->cell_slots[slots_free(cells->cell_slots, slots_mask(cells->cell_room), hash)] = place;
    return place;
}

static int32_t main_cell(Cells *cells, Frame *frame, int32_t key)
{
    Key *own = cells->keys + key;
    if (own->frame != frame || own->pack != cells->pack) {
        own->cell = cell_of(cells, frame, 0, key);
        own->frame = frame;
        own->pack = cells->pack;
    }
    return own->cell;
}

/* The cell of an event in the table of a breakdown; negative if memory runs out. With `admit_only` its key is admitted,
 * and no cell made; then 0. */
static int32_t breakdown_cell(Cells *cells, Frame *frame, int32_t number, int32_t key, const Value *values,
                              uint64_t hash, bool admit_only)
{
    const Breakdown *breakdown = cells->plan->breakdowns + number;
    Admission *admission = frame->admissions + number;
    AdmissionCounts *counts = cells->admission_counts + number;
    int64_t known = admission->count;
    int64_t place = admission_admit(admission, hash, key, breakdown, values, cells->plan->bound);
    if (place == NO_MEMORY)
        return -1;
    bool was_full = admission->is_full;
    if (place == REFUSED_KEY)
        admission->is_full = true;
    if (admit_only)
        return 0;
    if (place == REFUSED_KEY) {
        counts->full_windows += !was_full;
        counts->other_events++;
        return cell_of(cells, frame, number + 1, key);
    }
    Admitted *own = admission->keys + place;
    if (own->pack != cells->pack) {
        counts->admitted_cells += admission->count - known;
        own->cell = new_cell(cells, frame, number + 1, key, (int32_t)place);
        own->pack = cells->pack;
    }
    return own->cell;
}

/* Whether the sums of a cell have room for one more event. */
static bool has_room(const Cell *cell, const Row *row)
{
    int64_t ignored;
    return !__builtin_add_overflow(cell->money[MONEY_SPEND], row->cost, &ignored) &&
           !__builtin_add_overflow(cell->money[REVENUE_SUM[row->role]], row->revenue, &ignored) &&
           cell->counts[COUNT_EVENTS] < INT32_MAX;
}

/* Move the sums of a cell to another one of its key, and begin it again. False if memory runs out. */
static bool empty_cell(Cells *cells, Frame *frame, int32_t table, int32_t place)
{
    const Cell full = cells->cells[place];
    const int64_t counts = cells->plan->type_count;
    int32_t other = new_cell(cells, frame, table, full.key, full.admitted);
    if (other < 0)
        return false;
    Cell *from = cells->cells + place, *to = cells->cells + other;
    memcpy(to->money, full.money, sizeof full.money);
    memcpy(to->counts, full.counts, sizeof full.counts);
    memset(from->money, 0, sizeof full.money);
    memset(from->counts, 0, sizeof full.counts);
    if (counts) {
        size_t size = (size_t)counts * sizeof(int64_t);
        memcpy(cells->declared + other * counts, cells->declared + place * counts, size);
        memset(cells->declared + place * counts, 0, size);
    }
    return true;
}

/* Add an event to a cell, as the contract says for its type. False if memory runs out. */
static bool add(Cells *cells, Frame *frame, int32_t table, int32_t place, const Row *row)
{
    if (!has_room(cells->cells + place, row) && !empty_cell(cells, frame, table, place))
        return false;
    Cell *cell = cells->cells + place;
    cell->money[MONEY_SPEND] += row->cost;
    cell->money[REVENUE_SUM[row->role]] += row->revenue;
    for (int at = 0; at < COUNTS; at++)
        cell->counts[at] += ADDED_COUNTS[row->role][at];
    if (row->declared >= 0)
        cells->declared[(int64_t)place * cells->plan->type_count + row->declared]++;
    return true;
}

/* Add an event to its cell in each table. With `admit_only` it was added before a restart, and takes its place among
 * the keys that its breakdowns admit. False if memory runs out. */
bool cells_add(Cells *cells, Frame *frame, const Row *row, const Value *values, const uint64_t *hashes, bool admit_only)
{
    const Plan *plan = cells->plan;
    if (admit_only && !plan->breakdown_count)
        return true;
    int32_t key = (int32_t)key_of(cells, hashes[0], row), place = 0;
    if (key < 0 || (!admit_only && (place = main_cell(cells, frame, key)) < 0))
        return false;
    if (!admit_only && !add(cells, frame, 0, place, row))
        return false;
    for (int32_t number = 0; number < plan->breakdown_count; number++) {
        place = breakdown_cell(cells, frame, number, key, values, hashes[number + 1], admit_only);
        if (place < 0 || (!admit_only && !add(cells, frame, number + 1, place, row)))
            return false;
    }
    return true;
}

/* Number the keys that are admitted somewhere in `kept`, from 0 on in their order; the others get -1. */
static void number_kept(const Cells *cells, int32_t *kept)
{
    memset(kept, -1, (size_t)cells->key_count * sizeof(int32_t));
    for (int64_t at = 0; at < cells->frame_count; at++)
        for (int32_t number = 0; number < cells->plan->breakdown_count; number++) {
            const Admission *admission = cells->frames[at]->admissions + number;
            for (int64_t place = 0; place < admission->count; place++)
                kept[admission->keys[place].key] = 0;
        }
    int32_t count = 0;
    for (int64_t key = 0; key < cells->key_count; key++)
        if (kept[key] >= 0)
            kept[key] = count++;
}

/* Drop the keys that were admitted nowhere: those of yesterday's campaigns are needed no more. They stay where memory
 * runs out. */
static void drop_keys(Cells *cells)
{
    int32_t *kept = malloc((size_t)cells->key_count * sizeof(int32_t) + 1);
    if (!kept)
        return;
    number_kept(cells, kept);
    int64_t count = 0, size = 0;
    for (int64_t at = 0; at < cells->key_count; at++) {
        if (kept[at] < 0)
            continue;
        Key key = cells->keys[at];
        int64_t own = key.campaign_size + key.channel_size;
        memmove(cells->names + size, cells->names + key.at, (size_t)own);
        key.at = size;
        size += own;
        cells->keys[count++] = key;
    }
    for (int64_t at = 0; at < cells->frame_count; at++)
        for (int32_t number = 0; number < cells->plan->breakdown_count; number++) {
            Admission *admission = cells->frames[at]->admissions + number;
            for (int64_t place = 0; place < admission->count; place++)
                admission->keys[place].key = kept[admission->keys[place].key];
        }
    free(kept);
    cells->key_count = count;
    cells->names_size = size;
    cells->most_names = 2 * size > MANY_NAMES ? 2 * size : MANY_NAMES;
    memset(cells->key_slots, -1, (size_t)cells->key_room * 2 * sizeof(int32_t));
    place_keys(cells);
}

/* Forget the cells, the frames of windows that begin before `forget_before`, and names once they are many. */
void cells_clear(Cells *cells, int64_t forget_before)
{
    uint64_t mask = slots_mask(cells->cell_room);
    for (int64_t at = 0; at < cells->cell_count; at++) {
        const Cell *cell = cells->cells + at;
        if (cell->admitted >= 0)
            continue;
        /* All slots between a cell's own slot and its actual one belong to cells that are removed too. */
        uint64_t slot = cell_hash(cell->frame, cell->admitted, cell->key) & mask;
        for (; cells->cell_slots[slot] >= 0; slot = (slot + 1) & mask)
            cells->cell_slots[slot] = -1;
    }
    for (int64_t at = 0; at < cells->frame_count; at++) {
        Frame *frame = cells->frames[at];
        if (frame->waits)
            memset(frame->chains, -1, (size_t)chain_count(cells) * sizeof(Chain));
        frame->waits = false;
    }
    cells->cell_count = cells->packed_size = 0;
    cells->pack++;
    drop_frames(cells, forget_before);
    if (cells->names_size > cells->most_names)
        drop_keys(cells);
}
