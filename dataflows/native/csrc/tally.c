/* The messages of one partition, in their order: read, judged by the rules of dataflows/intake/rules.py, deduplicated,
 * added up. */
#include "tally.h"
#include "memory.h"

#include <stdlib.h>
#include <string.h>

enum {
    AHEAD = 8 /* rows; a line of the index is prefetched this many rows before it is needed */,
    STEPS = 3,
    STEP = 3
};

EXPORTED void tally_free(Tally *tally)
{
    if (!tally)
        return;
    index_free(&tally->index);
    cells_free(&tally->cells);
    pack_free(&tally->pack);
    free(tally->face.rows);
    free(tally->face.places);
    free(tally->values);
    free(tally->hashes);
    free(tally->reading.unescaped);
    free(tally);
}

static void show(Tally *tally)
{
    Face *face = &tally->face;
    face->cell_count = tally->cells.cell_count;
    face->admission_counts = tally->cells.admission_counts;
    face->ids = tally->index.count;
    face->ids_bytes = (int64_t)(sizeof(Bucket) << tally->index.bits);
}

/* `random`: as many bytes as a Hash has; `plan` must outlive the tally. NULL if memory runs out. */
EXPORTED Tally *tally_new(const char *random, int64_t window, int64_t delay, bool dedup, const Plan *plan)
{
    Tally *tally = calloc(1, sizeof(Tally));
    if (!tally)
        return NULL;
    memcpy(&tally->hash, random, sizeof(Hash));
    reading_make(&tally->reading, plan);
    tally->window = window;
    tally->delay = delay;
    tally->dedup = dedup;
    tally->face.clock = tally->face.turns_at = NEVER;
    if (!index_make(&tally->index, SMALLEST) || !cells_make(&tally->cells, plan)) {
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

static bool room_for_rows(Tally *tally, int32_t count)
{
    if (count <= tally->room)
        return true;
    const Plan *plan = tally->reading.plan;
    size_t rows = (size_t)count, slots = (size_t)plan->field_count, tables = (size_t)plan->breakdown_count + 1;
    Row *more_rows = realloc(tally->face.rows, rows * sizeof(Row));
    if (more_rows)
        tally->face.rows = more_rows;
    int32_t *more_places = realloc(tally->face.places, rows * sizeof(int32_t));
    if (more_places)
        tally->face.places = more_places;
    Value *more_values = realloc(tally->values, (rows * slots + 1) * sizeof(Value));
    if (more_values)
        tally->values = more_values;
    uint64_t *more_hashes = realloc(tally->hashes, rows * tables * sizeof(uint64_t));
    if (more_hashes)
        tally->hashes = more_hashes;
    if (!more_rows || !more_places || !more_values || !more_hashes)
        return false;
    tally->room = count;
    return true;
}

/* Where the values of a row are. */
static Value *values_of(const Tally *tally, int32_t place)
{
    return tally->values + (int64_t)place * tally->reading.plan->field_count;
}

/* Where the hashes of its keys are. */
static uint64_t *hashes_of(const Tally *tally, int32_t place)
{
    return tally->hashes + (int64_t)place * (tally->reading.plan->breakdown_count + 1);
}

/* Read `count` messages, each of `sizes` bytes at `values`; false if memory runs out. They must stay as they are
 * until they are judged. */
EXPORTED bool tally_read(Tally *tally, const char *const *values, const int32_t *sizes, int32_t count)
{
    Face *face = &tally->face;
    if (!room_for_rows(tally, count))
        return false;
    if (!make_room(&tally->reading, values, sizes, count))
        return false;
    face->noted = 0;
    face->newest = NEVER;
    for (int32_t place = 0; place < count; place++) {
        Row *row = face->rows + place;
        const char *begin = values[place];
        int32_t size = sizes[place];
        row->first = 1;
        if (size && size <= LONGEST_MESSAGE &&
            read_fast(&tally->reading, &tally->hash, begin, begin + size, row, values_of(tally, place))) {
            row->status = READY;
            cells_hash(&tally->cells, &tally->hash, row, values_of(tally, place), hashes_of(tally, place));
            if (row->time > face->newest)
                face->newest = row->time;
        } else {
            row->status = SLOW_PATH;
            face->places[face->noted++] = place;
        }
    }
    return true;
}

/* Give back a message that Python has read: an event, with all of its row but the fingerprint. `texts`: id, campaign,
 * channel and the values of the slots, NULL where there is none, each with its size in `sizes`; they must stay until
 * the row is judged. */
EXPORTED void tally_put(Tally *tally, int32_t place, int64_t time, const Put *put, const char *const *texts,
                        const int32_t *sizes)
{
    Row *row = tally->face.rows + place;
    *row = (Row){.time = time,
                 .cost = put->cost,
                 .revenue = put->revenue,
                 .campaign = texts[1],
                 .channel = texts[2],
                 .campaign_size = (uint16_t)sizes[1],
                 .channel_size = (uint16_t)sizes[2],
                 .role = (uint8_t)put->role,
                 .declared = (int8_t)put->declared,
                 .status = READY};
    memcpy(row->currency, put->currency, sizeof row->currency);
    fingerprint(&tally->hash, texts[0], (size_t)sizes[0], &row->first, &row->rest);
    Value *values = values_of(tally, place);
    for (int32_t slot = 0; slot < tally->reading.plan->field_count; slot++)
        values[slot] = (Value){texts[3 + slot], (uint16_t)sizes[3 + slot]};
    cells_hash(&tally->cells, &tally->hash, row, values, hashes_of(tally, place));
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

/* No event of a window that begins before this time can be accepted any more. */
static int64_t forget_before(const Tally *tally)
{
    return tally->face.clock - tally->delay - tally->window + 1;
}

/* The frame of the window of `time`, without a division for the events of one window after the other; NULL if memory
 * runs out. */
static Frame *frame_of(Tally *tally, int64_t time)
{
    Cells *cells = &tally->cells;
    if (!cells->frame || time < cells->frame->window || time >= cells->window_end) {
        int64_t window = start_of(tally, time);
        cells->frame = cells_frame(cells, window, forget_before(tally));
        cells->window_end = window + tally->window;
    }
    return cells->frame;
}

static bool is_late(const Tally *tally, int64_t time)
{
    return start_of(tally, time) + tally->window + tally->delay <= tally->face.clock;
}

/* What becomes of one row that is ready; false if memory runs out. */
static bool judge(Tally *tally, int32_t place, bool refill)
{
    Face *face = &tally->face;
    Row *row = face->rows + place;
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
    if (refill && !tally->reading.plan->breakdown_count)
        return true;
    Frame *frame = frame_of(tally, row->time);
    return frame && cells_add(&tally->cells, frame, row, values_of(tally, place), hashes_of(tally, place), refill);
}

/* What the row at `place` and those that follow it will need, step by step. */
static void prefetch(const Tally *tally, int32_t place, int32_t count)
{
    if (tally->dedup && place + AHEAD < count)
        index_prefetch(&tally->index, tally->face.rows[place + AHEAD].first);
    if (!tally->reading.plan->breakdown_count)
        return;
    for (int step = 0; step < STEPS; step++) {
        int32_t ahead = place + (STEPS - step) * STEP;
        if (ahead < count && tally->face.rows[ahead].status == READY)
            cells_prefetch(&tally->cells, hashes_of(tally, ahead), step);
    }
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
        prefetch(tally, place, count);
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
        if (!judge(tally, place, refill))
            return -1;
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
    cells_clear(&tally->cells, forget_before(tally));
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
