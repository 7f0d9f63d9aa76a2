/* Sizes and offsets of the structs that Python mirrors, and the constants that it repeats: it compares them before it
 * uses the library. */
#include "fetch.h"
#include "panes.h"
#include "send.h"
#include "tally.h"

typedef struct {
    const char *name; /* NULL behind the last one */
    int64_t number;
} Layout;

#define SIZE(type) {#type, sizeof(type)}
#define AT(type, field) {#type "." #field, offsetof(type, field)}
#define VALUE(constant) {#constant, constant}

static const Layout LAYOUTS[] = {
    SIZE(Hash),
    SIZE(Row),
    AT(Row, time),
    AT(Row, cost),
    AT(Row, revenue),
    AT(Row, first),
    AT(Row, campaign),
    AT(Row, channel),
    AT(Row, rest),
    AT(Row, campaign_size),
    AT(Row, channel_size),
    AT(Row, type),
    AT(Row, status),
    AT(Row, by_hand),
    SIZE(Group),
    AT(Group, window),
    AT(Group, shard),
    AT(Group, at),
    AT(Group, size),
    SIZE(Face),
    AT(Face, clock),
    AT(Face, turns_at),
    AT(Face, newest),
    AT(Face, counted),
    AT(Face, duplicate),
    AT(Face, noted),
    AT(Face, places),
    AT(Face, rows),
    AT(Face, cell_count),
    AT(Face, ids),
    AT(Face, ids_bytes),
    AT(Face, packed),
    AT(Face, groups),
    AT(Face, group_count),
    SIZE(PanesFace),
    AT(PanesFace, records),
    AT(PanesFace, size),
    AT(PanesFace, count),
    AT(PanesFace, to_divide),
    AT(PanesFace, oldest),
    AT(PanesFace, oldest_time),
    AT(PanesFace, next_due),
    AT(PanesFace, image),
    AT(PanesFace, image_size),
    SIZE(Header),
    AT(Header, name),
    AT(Header, value),
    AT(Header, size),
    SIZE(Fault),
    AT(Fault, offset),
    AT(Fault, words),
    AT(Fault, place),
    AT(Fault, code),
    SIZE(Fetched),
    AT(Fetched, count),
    AT(Fetched, fault_count),
    AT(Fetched, values),
    AT(Fetched, sizes),
    AT(Fetched, offsets),
    AT(Fetched, times),
    AT(Fetched, kinds),
    AT(Fetched, faults),
    AT(Fetched, least_time),
    VALUE(COUNTED),
    VALUE(LATE),
    VALUE(NEVER),
    VALUE(CHANGED),
    VALUE(MOST_HEADERS),
    {NULL, 0},
};

EXPORTED const Layout *layouts(void)
{
    return LAYOUTS;
}
