/* The windows of one shard and their cells: what is merged into them. */
#include "records.h"
#include "slots.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_CELLS = 64, FIRST_NAMES = 2048 };

static void pane_free(Pane *pane)
{
    if (!pane)
        return;
    free(pane->cells);
    free(pane->declared);
    free(pane->slots);
    free(pane->names);
    free(pane);
}

EXPORTED void panes_free(Panes *panes)
{
    if (!panes)
        return;
    for (int64_t at = 0; at < panes->pane_count; at++)
        pane_free(panes->panes[at]);
    for (int spoke = 0; spoke < SPOKES; spoke++)
        free(panes->wheel[spoke].places);
    free(panes->panes);
    free(panes->touched.places);
    free(panes->face.records);
    free(panes->face.image);
    free(panes);
}

/* `random`: as many bytes as a Hash has; `length` of a window in microseconds; `table` must outlive the panes. NULL if
 * memory runs out. */
EXPORTED Panes *panes_new(const char *random, int64_t length, double pause, double rare_pause, const Table *table)
{
    Panes *panes = calloc(1, sizeof(Panes));
    if (!panes)
        return NULL;
    memcpy(&panes->hash, random, sizeof(Hash));
    panes->table = table;
    panes->longest = records_longest(table);
    panes->length = length;
    panes->pause = pause;
    panes->rare_pause = rare_pause;
    panes->face.next_due = INT64_MAX;
    panes->face.oldest = -1;
    return panes;
}

/* Index of `window`, or where to insert it. */
static int64_t place_of(const Panes *panes, int64_t window)
{
    int64_t low = 0, high = panes->pane_count;
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (panes->panes[middle]->window < window)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

Pane *panes_find(const Panes *panes, int64_t window)
{
    int64_t at = place_of(panes, window);
    return at < panes->pane_count && panes->panes[at]->window == window ? panes->panes[at] : NULL;
}

/* Begin a window; `start` and `end` are its bounds in RFC 3339. False if memory runs out. */
EXPORTED bool panes_open(Panes *panes, int64_t window, const char *start, const char *end)
{
    if (!grow((void **)&panes->panes, &panes->pane_room, panes->pane_count + 1, sizeof(Pane *)))
        return false;
    Pane *pane = calloc(1, sizeof(Pane));
    if (!pane)
        return false;
    pane->window = window;
    pane->room = FIRST_CELLS;
    pane->names_room = FIRST_NAMES;
    pane->cells = malloc(FIRST_CELLS * sizeof(PaneCell));
    pane->names = malloc(FIRST_NAMES);
    if (!pane->cells || !pane->names || !slots_make(&pane->slots, pane->room)) {
        pane_free(pane);
        return false;
    }
    memcpy(pane->start, start, MOMENT);
    memcpy(pane->end, end, MOMENT);
    int64_t at = place_of(panes, window);
    memmove(panes->panes + at + 1, panes->panes + at, (size_t)(panes->pane_count - at) * sizeof(Pane *));
    panes->panes[at] = pane;
    panes->pane_count++;
    return true;
}

EXPORTED void panes_forget(Panes *panes, int64_t window)
{
    int64_t at = place_of(panes, window);
    pane_free(panes->panes[at]);
    panes->pane_count--;
    memmove(panes->panes + at, panes->panes + at + 1, (size_t)(panes->pane_count - at) * sizeof(Pane *));
}

static bool double_room(Pane *pane)
{
    if (!grow((void **)&pane->cells, &pane->room, pane->room + 1, sizeof(PaneCell)) ||
        !slots_make(&pane->slots, pane->room))
        return false;
    uint64_t mask = slots_mask(pane->room);
    for (int64_t cell = 0; cell < pane->count; cell++)
        pane->slots[slots_free(pane->slots, mask, pane->cells[cell].hash)] = (int32_t)cell;
    return true;
}

bool panes_add_place(Places *places, int64_t window, int64_t cell, int64_t tick)
{
    if (!grow((void **)&places->places, &places->room, places->count + 1, sizeof(Place)))
        return false;
    if (!places->count || tick < places->least)
        places->least = tick;
    places->places[places->count++] = (Place){window, tick, (int32_t)cell};
    return true;
}

/* Bytes of the names of a key and of their sizes, which stand first. */
static uint16_t names_size(const Table *table, const char *names)
{
    int32_t count = name_count(table);
    size_t size = (size_t)count * sizeof(uint16_t);
    for (int32_t at = 0; at < count; at++) {
        uint16_t own;
        memcpy(&own, names + (size_t)at * sizeof own, sizeof own);
        size += own < OTHER ? own : 0;
    }
    return (uint16_t)size;
}

/* A cell of a share. */
typedef struct {
    const char *sums, *names;
    uint32_t hash;
    uint16_t names_size;
} Shared;

enum { AT_A_TIME = 16 /* cells of a share */ };

/* Read the cell of a share that begins at `text`; where it ends. */
static const char *read_cell(const Panes *panes, const char *text, Shared *shared)
{
    shared->sums = text;
    shared->names = text + SUMS_BYTES + panes->table->type_count * (int64_t)sizeof(int64_t);
    shared->names_size = names_size(panes->table, shared->names);
    shared->hash = (uint32_t)(hash_text(&panes->hash, shared->names, shared->names_size) >> 16);
    return shared->names + shared->names_size;
}

/* Read the cells of a share from `*text` on, AT_A_TIME or what there is, and put `*text` behind them; their number. The
 * processor fetches meanwhile what they are added to. */
static int read_share(const Panes *panes, const Pane *pane, const char **text, const char *end, Shared *shared)
{
    const uint64_t mask = slots_mask(pane->room);
    int count = 0;
    for (; count < AT_A_TIME && *text < end; count++) {
        *text = read_cell(panes, *text, shared + count);
        __builtin_prefetch(pane->slots + (shared[count].hash & mask));
    }
    for (int at = 0; at < count; at++) {
        int32_t place = pane->slots[shared[at].hash & mask];
        if (place < 0)
            continue;
        __builtin_prefetch(pane->cells + place, 1);
        __builtin_prefetch((const char *)(pane->cells + place) + 64, 1);
        __builtin_prefetch((const char *)(pane->cells + place) + 128, 1);
    }
    for (int at = 0; at < count; at++) {
        int32_t place = pane->slots[shared[at].hash & mask];
        if (place >= 0)
            __builtin_prefetch(pane->names + pane->cells[place].names);
    }
    return count;
}

/* The place of the cell of these names; a new one has sums of 0. -1 if memory runs out. */
static int64_t cell_of(const Panes *panes, Pane *pane, const Shared *shared)
{
    const char *names = shared->names;
    const uint32_t mixed = shared->hash;
    const uint16_t size = shared->names_size;
    uint64_t mask = slots_mask(pane->room), slot = mixed & mask;
    for (; pane->slots[slot] >= 0; slot = (slot + 1) & mask) {
        const PaneCell *cell = pane->cells + pane->slots[slot];
        if (cell->hash == mixed && cell->names_size == size && memcmp(pane->names + cell->names, names, size) == 0)
            return pane->slots[slot];
    }
    int64_t counts = panes->table->type_count;
    if (!grow((void **)&pane->names, &pane->names_room, pane->names_size + size, 1) ||
        (counts && !grow((void **)&pane->declared, &pane->declared_room, (pane->count + 1) * counts, sizeof(int64_t))))
        return -1;
    if (pane->count == pane->room) {
        if (!double_room(pane))
            return -1;
        slot = slots_free(pane->slots, slots_mask(pane->room), mixed);
    }
    pane->slots[slot] = (int32_t)pane->count;
    PaneCell *cell = pane->cells + pane->count;
    *cell = (PaneCell){
        .waits_since = NOTHING, .names = pane->names_size, .hash = mixed, .names_size = size, .changed = true};
    if (counts)
        memset(declared_of(panes->table, pane, cell), 0, (size_t)counts * sizeof(int64_t));
    memcpy(pane->names + pane->names_size, names, size);
    pane->names_size += size;
    return pane->count++;
}

/* Add a cell of a share: its place in the pane, -1 if memory runs out. */
static int64_t add_shared(const Panes *panes, Pane *pane, const Shared *shared)
{
    int64_t place = cell_of(panes, pane, shared);
    if (place < 0)
        return -1;
    PaneCell *cell = pane->cells + place;
    Sums sums;
    memcpy(&sums, shared->sums, SUMS_BYTES);
    sums_add(&cell->sums, &sums);
    for (int64_t at = 0; at < panes->table->type_count; at++) {
        int64_t count;
        memcpy(&count, shared->sums + SUMS_BYTES + at * (int64_t)sizeof count, sizeof count);
        declared_of(panes->table, pane, cell)[at] += count;
    }
    return place;
}

/* Add the cells of a share of `size` bytes to a window that is open here. `moment`:
 * the time that stands for their events; `closed`: whether the watermark has passed the window. How many cells it
 * has then, -1 if memory runs out. */
EXPORTED int64_t panes_merge(Panes *panes, int64_t window, const char *text, int64_t size, int64_t moment, bool closed)
{
    Pane *pane = panes_find(panes, window);
    const char *end = text + size;
    Shared shared[AT_A_TIME];
    int count = 0;
    pane->changed = true;
    for (int at = 0; at < count || text < end; at++) {
        if (at == count) {
            count = read_share(panes, pane, &text, end, shared);
            at = 0;
        }
        int64_t place = add_shared(panes, pane, shared + at);
        if (place < 0)
            return -1;
        PaneCell *cell = pane->cells + place;
        cell->changed = true;
        if (closed)
            cell->state = CORRECTED;
        if (cell->waits_since == NOTHING)
            cell->waits_since = moment;
        if (!cell->touched) {
            cell->touched = true;
            if (!panes_add_place(&panes->touched, window, place, 0))
                return -1;
        }
    }
    return pane->count;
}

bool panes_queue(Panes *panes, const Pane *pane, PaneCell *cell, int64_t tick)
{
    cell->queued = true;
    if (tick < panes->face.next_due)
        panes->face.next_due = tick;
    return panes_add_place(panes->wheel + (uint64_t)tick % SPOKES, pane->window, cell - pane->cells, tick);
}

/* What a snapshot kept: a share, and the `states` of its cells, a byte each, CHANGED added. How many cells the
 * window has then, -1 if memory runs out. */
EXPORTED int64_t panes_restore(Panes *panes, int64_t window, const char *text, int64_t size, const char *states)
{
    Pane *pane = panes_find(panes, window);
    const char *end = text + size;
    while (text < end) {
        Shared shared;
        text = read_cell(panes, text, &shared);
        int64_t place = add_shared(panes, pane, &shared);
        if (place < 0)
            return -1;
        PaneCell *cell = pane->cells + place;
        cell->state = (uint8_t)(*states & ~CHANGED);
        cell->changed = *states++ & CHANGED;
        if (cell->changed && !panes_queue(panes, pane, cell, 0))
            return -1;
    }
    return pane->count;
}
