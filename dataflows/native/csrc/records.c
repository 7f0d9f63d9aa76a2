#include "records.h"

#include <string.h>

static char *put(char *to, const char *text)
{
    size_t size = strlen(text);
    memcpy(to, text, size);
    return to + size;
}

static char *put_moment(char *to, const char *moment)
{
    *to++ = '"';
    memcpy(to, moment, MOMENT);
    to[MOMENT] = '"';
    return to + MOMENT + 1;
}

static bool is_whole(Money number)
{
    /* So far doubles are whole numbers, and a division of two is rounded once, as Python's. */
    const Money most = (Money)1 << 53;
    return -most <= number && number <= most;
}

static char *put_ratio(char *to, const char *name, Money over, Money under)
{
    to = put(to, name);
    if (!under)
        return put(to, "null");
    /* 0 divided by a negative number would be -0.0. */
    return put_double(to, over ? (double)over / (double)under : 0.0);
}

/* Whether a ratio of these sums can't be divided exactly with doubles. */
static bool needs_python(const Sums *sums)
{
#define IS_WHOLE(key, over, under) &&is_whole(over) && is_whole(under)
    return !(true RATIOS(IS_WHOLE, sums->counts, sums->money));
#undef IS_WHOLE
}

typedef struct {
    const char *text;
    size_t size;
} Quoted;

static char *put_quoted(char *to, Quoted name)
{
    memcpy(to, name.text, name.size);
    return to + name.size;
}

static char *put_value(char *to, const Panes *panes, const Pane *pane, const PaneCell *cell, Quoted campaign,
                       Quoted channel)
{
    const int64_t *counts = cell->sums.counts;
    const Money *money = cell->sums.money;
    to = put_moment(put(to, "{\"window_start\":"), pane->start);
    to = put_moment(put(to, ",\"window_end\":"), pane->end);
    to = put_quoted(put(to, ",\"campaign_id\":"), campaign);
    to = put_quoted(put(to, ",\"channel\":"), channel);
    for (int at = 0; at < COUNT_EVENTS; at++)
        to = put_number(put(to, COUNT_KEYS[at]), counts[at]);
    for (int at = 0; at < MONEY; at++)
        to = put_number(put(to, MONEY_KEYS[at]), money[at]);
#define PUT_RATIO(key, over, under) to = put_ratio(to, key, over, under);
    RATIOS(PUT_RATIO, counts, money)
#undef PUT_RATIO
    to = put_name(put(to, ",\"currency\":"), panes->currency, strlen(panes->currency));
    to = put_number(put(to, ",\"events\":"), counts[COUNT_EVENTS]);
    to = put_number(put(to, ",\"revision\":"), counts[COUNT_EVENTS]);
    return put(put(put(to, ",\"state\":\""), STATE_NAMES[cell->state]), "\"}");
}

enum { LONGEST_RECORD = LONGEST_FIGURES + 512 /* without the names */ };

/* Add the record of a cell. False if memory runs out. */
bool panes_give_out(Panes *panes, Pane *pane, PaneCell *cell, double now)
{
    PanesFace *face = &panes->face;
    int64_t names_size = cell->campaign_size + cell->channel_size;
    int64_t needed = face->size + LONGEST_RECORD + 2 * LONGEST_ESCAPE * names_size;
    if (!grow((void **)&face->records, &panes->records_room, needed, 1))
        return false;
    char *head = face->records + face->size, *key = head + 2 * sizeof(int32_t), *to = key;
    const char *names = pane->names + cell->names;
    *to++ = '[';
    to = put_moment(to, pane->start);
    *to++ = ',';
    Quoted campaign = {to, 0}, channel;
    to = put_name(to, names, cell->campaign_size);
    campaign.size = (size_t)(to - campaign.text);
    *to++ = ',';
    channel.text = to;
    to = put_name(to, names + cell->campaign_size, cell->channel_size);
    channel.size = (size_t)(to - channel.text);
    *to++ = ']';
    char *value = to;
    int32_t sizes[2] = {(int32_t)(value - key), 0};
    if (needs_python(&cell->sums)) {
        int64_t of[2] = {pane->window, cell->state};
        memcpy(to, &cell->sums, SUMS_BYTES);
        memcpy(to + SUMS_BYTES, of, sizeof of);
        to += SUMS_BYTES + sizeof of;
        sizes[1] = -(int32_t)(to - value);
        face->to_divide++;
    } else {
        to = put_value(to, panes, pane, cell, campaign, channel);
        sizes[1] = (int32_t)(to - value);
    }
    memcpy(head, sizes, sizeof sizes);
    if (cell->waits_since != NOTHING && (face->oldest < 0 || cell->waits_since < face->oldest_time)) {
        face->oldest = face->size;
        face->oldest_time = cell->waits_since;
    }
    face->size = to - face->records;
    face->count++;
    cell->waits_since = NOTHING;
    cell->changed = cell->queued = false;
    cell->emitted_at = now;
    pane->changed = true;
    return true;
}

EXPORTED bool panes_changed(const Panes *panes, int64_t window)
{
    return panes_find(panes, window)->changed;
}

static char *put_flag(char *to, bool flag)
{
    return put(to, flag ? ",true" : ",false");
}

static char *put_sums(char *to, const Sums *sums)
{
    *to++ = '[';
    for (int kind = 0; kind < COUNT_EVENTS; kind++) {
        to = put_number(to, sums->counts[kind]);
        *to++ = ',';
    }
    for (int kind = 0; kind < MONEY; kind++) {
        to = put_number(to, sums->money[kind]);
        *to++ = ',';
    }
    to = put_number(to, sums->counts[COUNT_EVENTS]);
    *to++ = ']';
    return to;
}

enum { LONGEST_CELL = (COUNTS + MONEY) * (LONGEST_NUMBER + 1) + 128 /* in an image, without the names */ };

static char *room_for_cell(Panes *panes, char *to, const PaneCell *cell)
{
    PanesFace *face = &panes->face;
    int64_t size = to - face->image, names_size = cell->campaign_size + cell->channel_size;
    bool fine = grow((void **)&face->image, &panes->image_room, size + LONGEST_CELL + LONGEST_ESCAPE * names_size, 1);
    return fine ? face->image + size : NULL;
}

/* Write a window into the image of the face, as dataflows/windows/reference.py encodes it. False if memory
 * runs out. */
EXPORTED bool panes_encode(Panes *panes, int64_t window)
{
    Pane *pane = panes_find(panes, window);
    PanesFace *face = &panes->face;
    if (!grow((void **)&face->image, &panes->image_room, LONGEST_CELL, 1))
        return false;
    char *to = put(face->image, "[[");
    for (int64_t at = 0; at < pane->count; at++) {
        const PaneCell *cell = pane->cells + at;
        const char *names = pane->names + cell->names;
        if (!(to = room_for_cell(panes, to, cell)))
            return false;
        to = put_name(put(to, at ? ",[" : "["), names, cell->campaign_size);
        *to++ = ',';
        to = put_name(to, names + cell->campaign_size, cell->channel_size);
        *to++ = ']';
    }
    to = put(to, "],[");
    for (int64_t at = 0; at < pane->count; at++) {
        const PaneCell *cell = pane->cells + at;
        if (!(to = room_for_cell(panes, to, cell)))
            return false;
        to = put_sums(put(to, at ? ",[" : "["), &cell->sums);
        to = put(put(put(to, ",\""), STATE_NAMES[cell->state]), "\"");
        to = put(put_flag(put_flag(to, cell->changed), cell->queued), ",0.0]");
    }
    to = put(to, "]]");
    face->image_size = to - face->image;
    pane->changed = false;
    return true;
}
