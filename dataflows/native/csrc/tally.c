/* The messages of one partition, in their order: read, judged by the rules of dataflows/intake/rules.py, deduplicated,
 * added up. */
#include "tally.h"
#include "memory.h"

#include <stdlib.h>
#include <string.h>

enum { AHEAD = 8 /* rows; a line of the index is prefetched this many rows before it is needed */ };

EXPORTED void tally_free(Tally *tally)
{
    if (!tally)
        return;
    index_free(&tally->index);
    cells_free(&tally->cells);
    pack_free(&tally->pack);
    free(tally->face.rows);
    free(tally->face.places);
    free(tally->reading.unescaped);
    free(tally);
}

static void show(Tally *tally)
{
    Face *face = &tally->face;
    face->cell_count = tally->cells.cell_count;
    face->ids = tally->index.count;
    face->ids_bytes = (int64_t)(sizeof(Bucket) << tally->index.bits);
}

/* `random`: as many bytes as a Hash has. NULL if memory runs out. */
EXPORTED Tally *tally_new(const char *random, int64_t window, int64_t delay, bool dedup, const char *currency)
{
    Tally *tally = calloc(1, sizeof(Tally));
    if (!tally)
        return NULL;
    memcpy(&tally->hash, random, sizeof(Hash));
    strncpy(tally->currency, currency, sizeof tally->currency - 1);
    tally->reading.currency = tally->currency;
    tally->reading.currency_size = strlen(tally->currency);
    tally->window = window;
    tally->delay = delay;
    tally->dedup = dedup;
    tally->face.clock = tally->face.turns_at = NEVER;
    if (!index_make(&tally->index, SMALLEST) || !cells_make(&tally->cells)) {
        tally_free(tally);
        return NULL;
    }
    show(tally);
    return tally;
}

/* Room for whatever may be escaped in the messages. */
static bool make_room(Reading *reading, const char *const *values, const int32_t *sizes, int32_t count)
{
    int64_t size = 0;
    bool escaped = false;
    for (int32_t place = 0; place < count; place++) {
        int32_t own = sizes[place];
        if (own > LONGEST_MESSAGE || own <= 0)
            continue;
        size += own;
        escaped = escaped || memchr(values[place], '\\', (size_t)own);
    }
    reading->unescaped_size = 0;
    if (escaped)
        return grow((void **)&reading->unescaped, &reading->unescaped_room, size, 1);
    shrink((void **)&reading->unescaped, &reading->unescaped_room, LARGE);
    return true;
}

/* Read `count` messages, each of `sizes` bytes at `values`; false if memory runs out. They must stay as they are
 * until they are judged. */
EXPORTED bool tally_read(Tally *tally, const char *const *values, const int32_t *sizes, int32_t count)
{
    Face *face = &tally->face;
    if (count > tally->room) {
        Row *rows = realloc(face->rows, (size_t)count * sizeof(Row));
        if (rows)
            face->rows = rows;
        int32_t *places = realloc(face->places, (size_t)count * sizeof(int32_t));
        if (places)
            face->places = places;
        if (!rows || !places)
            return false;
        tally->room = count;
    }
    if (!make_room(&tally->reading, values, sizes, count))
        return false;
    face->noted = 0;
    face->newest = NEVER;
    for (int32_t place = 0; place < count; place++) {
        Row *row = face->rows + place;
        const char *begin = values[place];
        int32_t size = sizes[place];
        row->by_hand = false;
        row->first = 1;
        if (size && size <= LONGEST_MESSAGE && read_fast(&tally->reading, &tally->hash, begin, begin + size, row)) {
            row->status = READY;
            if (row->time > face->newest)
                face->newest = row->time;
        } else {
            row->status = SLOW_PATH;
            face->places[face->noted++] = place;
        }
    }
    return true;
}

/* Give back a message that Python has read: an event of this time and id, which Python adds up if it is noted as
 * counted. */
EXPORTED void tally_put(Tally *tally, int32_t place, int64_t time, const char *id, size_t size)
{
    Row *row = tally->face.rows + place;
    row->time = time;
    row->status = READY;
    row->by_hand = true;
    fingerprint(&tally->hash, id, size, &row->first, &row->rest);
    if (time > tally->face.newest)
        tally->face.newest = time;
}

/* Leave out a message that is not an event. */
EXPORTED void tally_refuse(Tally *tally, int32_t place)
{
    tally->face.rows[place].status = REFUSED;
}

static int64_t start_of(const Tally *tally, int64_t time)
{
    int64_t over = time % tally->window;
    return time - over - (over < 0 ? tally->window : 0);
}

/* The same for the events of one window after the other, without a division. */
static int64_t window_of(Tally *tally, int64_t time)
{
    Cells *cells = &tally->cells;
    if (time < cells->window_start || time >= cells->window_end) {
        cells->window_start = start_of(tally, time);
        cells->window_end = cells->window_start + tally->window;
    }
    return cells->window_start;
}

static bool is_late(const Tally *tally, int64_t time)
{
    return start_of(tally, time) + tally->window + tally->delay <= tally->face.clock;
}

/* What becomes of one row that is ready; false if memory runs out. */
static bool judge(Tally *tally, Row *row, bool refill)
{
    Face *face = &tally->face;
    if (row->time > face->clock)
        face->clock = row->time;
    if (tally->dedup) {
        int added = index_add(&tally->index, row->first, row->rest);
        if (added < 0)
            return false;
        if (!added) {
            row->status = DUPLICATE;
            face->duplicate++;
            return true;
        }
    }
    row->status = COUNTED;
    face->counted++;
    return refill || row->by_hand || cells_add(&tally->cells, &tally->hash, window_of(tally, row->time), row);
}

/* Judge the rows from `from` to `count`, in their order. `limit`: the greatest time that is not too far ahead, for
 * all of them, or, if it is not NULL, one each in `limits`. Returns the place of the first row with which a
 * generation of ids begins: Python then marks it, calls tally_turn and continues from there; `count` where there is
 * none; -1 if memory runs out. */
EXPORTED int32_t tally_judge(Tally *tally, int32_t from, int32_t count, int64_t limit, const int64_t *limits,
                             bool refill)
{
    Face *face = &tally->face;
    int32_t stop = count;
    face->noted = face->counted = face->duplicate = 0;
    for (int32_t place = from; place < count; place++) {
        Row *row = face->rows + place;
        if (tally->dedup && place + AHEAD < count)
            index_prefetch(&tally->index, row[AHEAD].first);
        if (row->status != READY)
            continue;
        if (row->time > (limits ? limits[place] : limit)) {
            row->status = TOO_FAR_AHEAD;
            face->places[face->noted++] = place;
            continue;
        }
        /* The first is the cheaper one, and follows from the other. */
        if (row->time < face->clock - tally->delay && is_late(tally, row->time)) {
            row->status = LATE;
            row->cost = face->clock; /* for the words of the refusal */
            face->places[face->noted++] = place;
            continue;
        }
        if (face->turns_at == NEVER || row->time >= face->turns_at) {
            stop = place;
            break;
        }
        if (!judge(tally, row, refill))
            return -1;
        if (row->by_hand && row->status == COUNTED)
            face->places[face->noted++] = place;
    }
    show(tally);
    return stop;
}

/* Begin a generation of ids; the time with which the next one begins. False if memory runs out. */
EXPORTED bool tally_turn(Tally *tally, int64_t generation, int64_t turns_at)
{
    tally->face.turns_at = turns_at;
    bool turned = index_turn(&tally->index, generation);
    show(tally);
    return turned;
}

/* Write the cells into the groups of the face, and forget them. False if memory runs out. */
EXPORTED bool tally_pack(Tally *tally)
{
    if (!pack_cells(&tally->pack, &tally->cells))
        return false;
    tally->face.packed = tally->pack.text;
    tally->face.groups = tally->pack.groups;
    tally->face.group_count = tally->pack.group_count;
    cells_clear(&tally->cells);
    show(tally);
    return true;
}

/* Forget the groups, which Python has taken, and their memory where it is much. */
EXPORTED void tally_taken(Tally *tally)
{
    pack_taken(&tally->pack);
    tally->face.packed = NULL;
    tally->face.groups = NULL;
    tally->face.group_count = 0;
}
