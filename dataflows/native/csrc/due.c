/* Which cells are due, by the watermark and by the machine's clock. */
#include "records.h"

#include <math.h>

enum { MANY = 1 << 8 /* places of a spoke */ };

static void empty(Places *places, int64_t kept)
{
    places->count = 0;
    shrink((void **)&places->places, &places->room, kept);
}

/* Forget the records, which Python has taken, and their memory where it is much: most of the time little is given
 * out. */
EXPORTED void panes_taken(Panes *panes)
{
    PanesFace *face = &panes->face;
    face->size = face->count = face->to_divide = 0;
    face->oldest = -1;
    shrink((void **)&face->records, &panes->records_room, LARGE);
}

/* The same for the image. */
EXPORTED void panes_image_taken(Panes *panes)
{
    panes->face.image_size = 0;
    shrink((void **)&panes->face.image, &panes->image_room, LARGE);
}

static void look_ahead(Panes *panes)
{
    panes->face.next_due = INT64_MAX;
    for (int spoke = 0; spoke < SPOKES; spoke++) {
        const Places *places = panes->wheel + spoke;
        if (places->count && places->least < panes->face.next_due)
            panes->face.next_due = places->least;
    }
}

static PaneCell *cell_at(Pane *pane, const Place *place)
{
    return pane && place->cell < pane->count ? pane->cells + place->cell : NULL;
}

static bool is_closed(const Panes *panes, int64_t window, int64_t watermark)
{
    return window + panes->length <= watermark;
}

/* Whether an open cell is to be given out at `now`; if not, it waits in a queue. False in `*fine` if memory
 * runs out. */
static bool is_due(Panes *panes, const Pane *pane, PaneCell *cell, double now, bool behind, bool *fine)
{
    if (behind && cell->emitted_at == 0)
        cell->emitted_at = now;
    double due = cell->emitted_at + (behind ? panes->rare_pause : panes->pause);
    if (!(cell->emitted_at <= now && now < due))
        return true;
    if (!cell->queued) /* rounded up, so that the queues are few however many cells wait */
        *fine = panes_queue(panes, pane, cell, (int64_t)ceil(due * TICKS));
    return false;
}

/* Give out or queue what was merged. `behind`: while a backlog is read. False if memory runs out. */
EXPORTED bool panes_settle(Panes *panes, int64_t watermark, double now, bool behind)
{
    Pane *pane = NULL;
    bool fine = true;
    for (int64_t at = 0; at < panes->touched.count && fine; at++) {
        const Place *place = panes->touched.places + at;
        if (!pane || pane->window != place->window)
            pane = panes_find(panes, place->window);
        PaneCell *cell = cell_at(pane, place);
        if (!cell)
            continue;
        cell->touched = false;
        /* The others of a closed window get their last result when it is finished. */
        bool closed = is_closed(panes, place->window, watermark);
        bool due = closed ? cell->state == CORRECTED : is_due(panes, pane, cell, now, behind, &fine);
        if (due)
            fine = panes_give_out(panes, pane, cell, now);
    }
    empty(&panes->touched, LARGE / (int64_t)sizeof(Place));
    return fine;
}

/* Give out what has become due by waiting. False if memory runs out. */
EXPORTED bool panes_tick(Panes *panes, int64_t watermark, double now)
{
    for (int spoke = 0; spoke < SPOKES; spoke++) {
        Places *places = panes->wheel + spoke;
        if (!places->count || (double)places->least / TICKS > now)
            continue;
        int64_t count = places->count;
        places->count = 0;
        for (int64_t at = 0; at < count; at++) {
            Place place = places->places[at];
            if ((double)place.tick / TICKS > now) { /* of a later turn of the wheel; the room is there */
                panes_add_place(places, place.window, place.cell, place.tick);
                continue;
            }
            Pane *pane = panes_find(panes, place.window);
            PaneCell *cell = cell_at(pane, &place);
            if (!cell)
                continue;
            cell->queued = false;
            if (cell->changed && !is_closed(panes, place.window, watermark) && !panes_give_out(panes, pane, cell, now))
                return false;
        }
        if (!places->count)
            empty(places, MANY);
    }
    look_ahead(panes);
    return true;
}

/* Give out the last result of the cells of a window that the watermark has passed. False if memory runs out. */
EXPORTED bool panes_finish(Panes *panes, int64_t window, double now)
{
    Pane *pane = panes_find(panes, window);
    for (int64_t at = 0; at < pane->count; at++) {
        PaneCell *cell = pane->cells + at;
        if (cell->state != PROVISIONAL)
            continue;
        cell->state = FINAL;
        if (!panes_give_out(panes, pane, cell, now))
            return false;
    }
    return true;
}

/* Give out whatever changed in a window. False if memory runs out. */
EXPORTED bool panes_flush(Panes *panes, int64_t window, double now)
{
    Pane *pane = panes_find(panes, window);
    for (int64_t at = 0; at < pane->count; at++)
        if (pane->cells[at].changed && !panes_give_out(panes, pane, pane->cells + at, now))
            return false;
    return true;
}

/* Let no cell wait any longer. */
EXPORTED void panes_empty_queues(Panes *panes)
{
    for (int spoke = 0; spoke < SPOKES; spoke++)
        empty(panes->wheel + spoke, MANY);
    panes->face.next_due = INT64_MAX;
}
