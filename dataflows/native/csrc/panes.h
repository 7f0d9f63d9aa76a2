/* The windows of one shard and their cells: dataflows/windows/reference.py in C, where nearly every event may be a
 * cell, and each cell a record.
 *
 * Windows are named by their starts, microseconds since 1970; `now` is in seconds.
 */
#ifndef ADTALLY_PANES_H
#define ADTALLY_PANES_H

#include "export.h"
#include "ids.h"
#include "memory.h"
#include "plan.h"
#include "text.h"

/* What Python sees of the panes comes first. */

typedef struct {
    char *records;       /* {int32 size of the key, int32 size of the value, both of them}, one behind the other */
    int64_t size;        /* bytes of that */
    int64_t count;       /* of the records */
    int64_t to_divide;        /* number of those with sums for Python to divide: the size of the value is then that of
                          * SUMS_BYTES and 16 for window and state, negative */
    int64_t oldest;      /* where the record begins whose event has waited longest, -1 where there is none, */
    int64_t oldest_time; /* and the time of that event */
    int64_t next_due;    /* the tick of the earliest cell that waits for its next update; INT64_MAX where none does */
    char *image;         /* the last window that was encoded */
    int64_t image_size;
} PanesFace;

/* The table that these are the panes of, as far as its records have more than those of others. Python keeps it in
 * memory as long as the panes use it. */
typedef struct {
    const char *const *field_keys; /* of the values of a cell's key, as in ,"device": */
    const char *const *type_keys;  /* of the declared event types, as in "add_to_cart": */
    int32_t field_count, type_count;
} Table;

/* One key in a window. */
typedef struct {
    Sums sums;
    int64_t waits_since; /* the time of the first event that was not given out yet */
    double emitted_at;   /* seconds; 0 before that */
    int64_t names;       /* where they stand: the size of each, as in cell bytes, and the texts */
    uint32_t hash;
    uint16_t names_size;
    uint8_t state;
    bool changed, queued, touched;
} PaneCell;

#define NOTHING INT64_MAX /* waits */

enum { CHANGED = 4 /* added to a state that is restored */ };

enum { MOMENT = 20 /* the length of 2026-11-23T08:00:00Z */ };

typedef struct {
    int64_t window;
    PaneCell *cells;
    int64_t *declared; /* the counts of the declared types of each cell */
    int32_t *slots; /* a hash table of places in `cells`, twice as many as there is room, -1 where free */
    char *names;
    int64_t count, room, declared_room, names_size, names_room;
    char start[MOMENT], end[MOMENT];
    bool changed; /* since it was encoded */
} Pane;

typedef struct {
    int64_t window, tick;
    int32_t cell;
} Place;

typedef struct {
    Place *places;
    int64_t count, room, least; /* the least tick of them */
} Places;

enum { SPOKES = 512 };

typedef struct {
    PanesFace face;
    int64_t records_room, image_room;
    Pane **panes; /* in the order of their windows */
    int64_t pane_count, pane_room;
    Places touched;
    Places wheel[SPOKES]; /* by tick: Varghese and Lauck, "Hashed and hierarchical timing wheels" (1987) */
    Hash hash;
    int64_t length;
    double pause, rare_pause; /* seconds between two updates of an open cell; while a backlog is read */
    const Table *table;
    int64_t longest; /* record of a cell without names */
} Panes;

/* Number of the names of a key: campaign, channel, values and currency. */
static inline int32_t name_count(const Table *table)
{
    return table->field_count + 3;
}

/* The counts of the declared types of a cell. */
static inline int64_t *declared_of(const Table *table, const Pane *pane, const PaneCell *cell)
{
    return pane->declared + (cell - pane->cells) * table->type_count;
}

/* Everything that tells a bool here tells false if memory runs out. */
Pane *panes_find(const Panes *panes, int64_t window);
bool panes_queue(Panes *panes, const Pane *pane, PaneCell *cell, int64_t tick);
bool panes_add_place(Places *places, int64_t window, int64_t cell, int64_t tick);

#endif
