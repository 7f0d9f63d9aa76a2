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

/* A name as it is in a key. */
typedef struct {
    const char *text;
    size_t size;
} Quoted;

static char *put_quoted(char *to, Quoted name)
{
    memcpy(to, name.text, name.size);
    return to + name.size;
}

/* The names of a key, with a comma between two of them. `quoted`: where each of them is then, unless it is NULL. */
static char *put_names(char *to, const Table *table, const char *names, Quoted *quoted)
{
    int32_t count = name_count(table);
    const char *text = names + (size_t)count * sizeof(uint16_t);
    for (int32_t at = 0; at < count; at++) {
        uint16_t size;
        memcpy(&size, names + (size_t)at * sizeof size, sizeof size);
        if (at)
            *to++ = ',';
        const char *begin = to;
        if (size == NOT_SET)
            to = put(to, "null");
        else if (size == OTHER)
            to = put(to, "true");
        else {
            to = put_name(to, text, size);
            text += size;
        }
        if (quoted)
            quoted[at] = (Quoted){begin, (size_t)(to - begin)};
    }
    return to;
}

/* The counts of the declared types that are not 0. */
static char *put_declared(char *to, const Table *table, const int64_t *declared)
{
    to = put(to, ",\"counts\":{");
    const char *begin = to;
    for (int32_t at = 0; at < table->type_count; at++) {
        if (!declared[at])
            continue;
        if (to > begin)
            *to++ = ',';
        to = put_number(put(to, table->type_keys[at]), declared[at]);
    }
    *to++ = '}';
    return to;
}

static char *put_value(char *to, const Panes *panes, const Pane *pane, const PaneCell *cell, const Quoted *quoted)
{
    const Table *table = panes->table;
    const int64_t *counts = cell->sums.counts;
    const Money *money = cell->sums.money;
    to = put_moment(put(to, "{\"window_start\":"), pane->start);
    to = put_moment(put(to, ",\"window_end\":"), pane->end);
    to = put_quoted(put(to, ",\"campaign_id\":"), *quoted++);
    to = put_quoted(put(to, ",\"channel\":"), *quoted++);
    for (int32_t at = 0; at < table->field_count; at++)
        to = put_quoted(put(to, table->field_keys[at]), *quoted++);
    for (int at = 0; at < COUNT_EVENTS; at++)
        to = put_number(put(to, COUNT_KEYS[at]), counts[at]);
    for (int at = 0; at < MONEY; at++)
        to = put_number(put(to, MONEY_KEYS[at]), money[at]);
    to = put_declared(to, table, declared_of(table, pane, cell));
#define PUT_RATIO(key, over, under) to = put_ratio(to, key, over, under);
    RATIOS(PUT_RATIO, counts, money)
#undef PUT_RATIO
    to = put_quoted(put(to, ",\"currency\":"), *quoted);
    to = put_number(put(to, ",\"events\":"), counts[COUNT_EVENTS]);
    to = put_number(put(to, ",\"revision\":"), counts[COUNT_EVENTS]);
    return put(put(put(to, ",\"state\":\""), STATE_NAMES[cell->state]), "\"}");
}

/* The sums of a cell for Python to divide, with its window and its state. */
static char *put_undivided(char *to, const Panes *panes, const Pane *pane, const PaneCell *cell)
{
    int64_t of[2] = {pane->window, cell->state};
    size_t declared = (size_t)panes->table->type_count * sizeof(int64_t);
    memcpy(to, &cell->sums, SUMS_BYTES);
    to += SUMS_BYTES;
    if (declared)
        memcpy(to, declared_of(panes->table, pane, cell), declared);
    memcpy(to + declared, of, sizeof of);
    return to + declared + sizeof of;
}

int64_t records_longest(const Table *table)
{
    size_t longest = LONGEST_FIGURES + 512;
    for (int32_t at = 0; at < table->field_count; at++)
        longest += strlen(table->field_keys[at]);
    for (int32_t at = 0; at < table->type_count; at++)
        longest += strlen(table->type_keys[at]) + LONGEST_NUMBER + 1;
    return (int64_t)longest;
}

/* Add the record of a cell. False if memory runs out. */
bool panes_give_out(Panes *panes, Pane *pane, PaneCell *cell, double now)
{
    PanesFace *face = &panes->face;
    int64_t needed = face->size + panes->longest + 2 * LONGEST_ESCAPE * cell->names_size;
    if (!grow((void **)&face->records, &panes->records_room, needed, 1))
        return false;
    char *head = face->records + face->size, *key = head + 2 * sizeof(int32_t), *to = key;
    Quoted quoted[MOST_FIELDS + 3];
    *to++ = '[';
    to = put_moment(to, pane->start);
    *to++ = ',';
    to = put_names(to, panes->table, pane->names + cell->names, quoted);
    *to++ = ']';
    char *value = to;
    int32_t sizes[2] = {(int32_t)(value - key), 0};
    if (needs_python(&cell->sums)) {
        to = put_undivided(to, panes, pane, cell);
        sizes[1] = -(int32_t)(to - value);
        face->to_divide++;
    } else {
        to = put_value(to, panes, pane, cell, quoted);
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

static char *put_sums(char *to, const Table *table, const Pane *pane, const PaneCell *cell)
{
    const Sums *sums = &cell->sums;
    *to++ = '[';
    for (int kind = 0; kind < COUNT_EVENTS; kind++) {
        to = put_number(to, sums->counts[kind]);
        *to++ = ',';
    }
    for (int kind = 0; kind < MONEY; kind++) {
        to = put_number(to, sums->money[kind]);
        *to++ = ',';
    }
    to = put(put_number(to, sums->counts[COUNT_EVENTS]), ",[");
    for (int32_t at = 0; at < table->type_count; at++) {
        if (at)
            *to++ = ',';
        to = put_number(to, declared_of(table, pane, cell)[at]);
    }
    return put(to, "]]");
}

enum {
    LONGEST_CELL = (COUNTS + MONEY) * (LONGEST_NUMBER + 1) + 128 /* in an image, without names and declared types */
};

static char *room_for_cell(Panes *panes, char *to, const PaneCell *cell)
{
    PanesFace *face = &panes->face;
    int64_t size = to - face->image, declared = (int64_t)panes->table->type_count * (LONGEST_NUMBER + 1);
    int64_t needed = size + LONGEST_CELL + declared + LONGEST_ESCAPE * cell->names_size;
    return grow((void **)&face->image, &panes->image_room, needed, 1) ? face->image + size : NULL;
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
        if (!(to = room_for_cell(panes, to, cell)))
            return false;
        to = put_names(put(to, at ? ",[" : "["), panes->table, pane->names + cell->names, NULL);
        *to++ = ']';
    }
    to = put(to, "],[");
    for (int64_t at = 0; at < pane->count; at++) {
        const PaneCell *cell = pane->cells + at;
        if (!(to = room_for_cell(panes, to, cell)))
            return false;
        to = put_sums(put(to, at ? ",[" : "["), panes->table, pane, cell);
        to = put(put(put(to, ",\""), STATE_NAMES[cell->state]), "\"");
        to = put(put_flag(put_flag(to, cell->changed), cell->queued), ",0.0]");
    }
    to = put(to, "]]");
    face->image_size = to - face->image;
    pane->changed = false;
    return true;
}
