#include "pack.h"
#include "memory.h"

#include <stdlib.h>
#include <string.h>

/* CRC-32, as zlib has it (ISO 3309), for it says where a cell is kept over a restart; bit by bit, for it is asked
 * once a name. */
static uint32_t crc32(uint32_t crc, const char *text, size_t size)
{
    for (size_t at = 0; at < size; at++) {
        crc ^= (unsigned char)text[at];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320 : 0);
    }
    return crc;
}

/* As `shard_of` of dataflows/wire/cell_bytes.py. */
int32_t shard_of(const char *campaign, size_t campaign_size, const char *channel, size_t channel_size)
{
    uint32_t crc = crc32(crc32(crc32(UINT32_MAX, campaign, campaign_size), "", 1), channel, channel_size);
    return (int32_t)(~crc % SHARDS);
}

typedef struct {
    int64_t window;
    int32_t shard, cell;
} Order;

static int compare(const void *left, const void *right)
{
    const Order *one = left, *two = right;
    if (one->shard != two->shard)
        return one->shard < two->shard ? -1 : 1;
    if (one->window != two->window)
        return one->window < two->window ? -1 : 1;
    return one->cell < two->cell ? -1 : one->cell > two->cell;
}

static char *put_cell(char *to, const Cell *cell, const Key *key, const char *names)
{
    uint16_t sizes[2] = {(uint16_t)key->campaign_size, (uint16_t)key->channel_size};
    memcpy(to, &cell->sums, SUMS_BYTES);
    memcpy(to + SUMS_BYTES, sizes, sizeof sizes);
    size_t size = (size_t)(key->campaign_size + key->channel_size);
    memcpy(to + CELL_HEAD, names + key->at, size);
    return to + CELL_HEAD + size;
}

void pack_free(Pack *pack)
{
    free(pack->text);
    free(pack->groups);
}

/* Forget the groups. */
void pack_taken(Pack *pack)
{
    pack->group_count = 0;
    shrink((void **)&pack->text, &pack->text_room, LARGE);
    shrink((void **)&pack->groups, &pack->group_room, LARGE / (int64_t)sizeof(Group));
}

/* Write the cells into the groups. False if memory runs out. */
bool pack_cells(Pack *pack, const Cells *cells)
{
    int64_t count = cells->cell_count, room = 0;
    for (int64_t at = 0; at < count; at++) {
        const Key *key = cells->keys + cells->cells[at].key;
        room += CELL_HEAD + key->campaign_size + key->channel_size;
    }
    pack->group_count = 0;
    Order *order = malloc((size_t)count * sizeof(Order) + 1);
    if (!order || !grow((void **)&pack->text, &pack->text_room, room, 1) ||
        !grow((void **)&pack->groups, &pack->group_room, count, sizeof(Group))) {
        free(order);
        return false;
    }
    for (int64_t at = 0; at < count; at++)
        order[at] = (Order){cells->cells[at].window, cells->keys[cells->cells[at].key].shard, (int32_t)at};
    qsort(order, (size_t)count, sizeof(Order), compare);
    char *to = pack->text;
    Group *group = NULL;
    for (int64_t at = 0; at < count; at++) {
        if (!group || group->shard != order[at].shard || group->window != order[at].window) {
            group = pack->groups + pack->group_count++;
            *group = (Group){order[at].window, order[at].shard, to - pack->text, 0};
        }
        const Cell *cell = cells->cells + order[at].cell;
        to = put_cell(to, cell, cells->keys + cell->key, cells->names);
        group->size = to - pack->text - group->at;
    }
    free(order);
    return true;
}
