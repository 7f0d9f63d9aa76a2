/* The windows of one shard and their cells: what is merged into them. */
#include "panes.h"
#include "slots.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_CELLS = 64, FIRST_NAMES = 2048 };

static void pane_free(Pane *pane)
{
    if (!pane)
        return;
    free(pane->cells);
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

/* `random`: as many bytes as a Hash has; `length` of a window in microseconds. NULL if memory runs out. */
EXPORTED Panes *panes_new(const char *random, int64_t length, double pause, double rare_pause, const char *currency)
{
    Panes *panes = calloc(1, sizeof(Panes));
    if (!panes)
        return NULL;
    memcpy(&panes->hash, random, sizeof(Hash));
    strncpy(panes->currency, currency, sizeof panes->currency - 1);
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

/* The place of the cell of these names, which stand one behind the other; a new one has sums of 0. -1 if memory
 * runs out. */
static int64_t cell_of(const Hash *hash, Pane *pane, const char *names, uint16_t campaign_size, uint16_t channel_size)
{
    uint32_t mixed = (uint32_t)(hash_names(hash, names, campaign_size, names + campaign_size, channel_size) >> 16);
    uint64_t mask = slots_mask(pane->room), slot = mixed & mask;
    int64_t size = campaign_size + channel_size;
    for (; pane->slots[slot] >= 0; slot = (slot + 1) & mask) {
        const PaneCell *cell = pane->cells + pane->slots[slot];
        if (cell->hash == mixed && cell->campaign_size == campaign_size && cell->channel_size == channel_size &&
            memcmp(pane->names + cell->names, names, (size_t)size) == 0)
            return pane->slots[slot];
    }
    if (!grow((void **)&pane->names, &pane->names_room, pane->names_size + size, 1))
        return -1;
    if (pane->count == pane->room) {
        if (!double_room(pane))
            return -1;
        slot = slots_free(pane->slots, slots_mask(pane->room), mixed);
    }
    pane->slots[slot] = (int32_t)pane->count;
    pane->cells[pane->count] = (PaneCell){.waits_since = NOTHING,
                                          .names = pane->names_size,
                                          .hash = mixed,
                                          .campaign_size = campaign_size,
                                          .channel_size = channel_size,
                                          .changed = true};
    memcpy(pane->names + pane->names_size, names, (size_t)size);
    pane->names_size += size;
    return pane->count++;
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

/* Read the cell of a share that begins at `*text`, and put `*text` behind it: its place in the pane, -1 if memory
 * runs out. */
static int64_t read_share(const Hash *hash, Pane *pane, const char **text, Sums *sums)
{
    uint16_t sizes[2]; /* of campaign and channel */
    memcpy(sums, *text, SUMS_BYTES);
    memcpy(sizes, *text + SUMS_BYTES, sizeof sizes);
    const char *names = *text + CELL_HEAD;
    *text = names + sizes[0] + sizes[1];
    return cell_of(hash, pane, names, sizes[0], sizes[1]);
}

/* Add the cells of a share (CELL_HEAD and the names, each) of `size` bytes to a window that is open here. `moment`:
 * the time that stands for their events; `closed`: whether the watermark has passed the window. How many cells it
 * has then, -1 if memory runs out. */
EXPORTED int64_t panes_merge(Panes *panes, int64_t window, const char *text, int64_t size, int64_t moment, bool closed)
{
    Pane *pane = panes_find(panes, window);
    const char *end = text + size;
    Sums sums;
    pane->changed = true;
    while (text < end) {
        int64_t place = read_share(&panes->hash, pane, &text, &sums);
        if (place < 0)
            return -1;
        PaneCell *cell = pane->cells + place;
        sums_add(&cell->sums, &sums);
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
    Sums sums;
    while (text < end) {
        int64_t place = read_share(&panes->hash, pane, &text, &sums);
        if (place < 0)
            return -1;
        PaneCell *cell = pane->cells + place;
        cell->sums = sums;
        cell->state = (uint8_t)(*states & ~CHANGED);
        cell->changed = *states++ & CHANGED;
        if (cell->changed && !panes_queue(panes, pane, cell, 0))
            return -1;
    }
    return pane->count;
}
