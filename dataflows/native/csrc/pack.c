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

static char *put_size(char *to, uint16_t size)
{
    memcpy(to, &size, sizeof size);
    return to + sizeof size;
}

static char *put(char *to, const void *bytes, int64_t size)
{
    memcpy(to, bytes, (size_t)size);
    return to + size;
}

enum { CURRENCY = 3 /* bytes */ };

/* The sums of a cell in the form of sums.h. */
static char *put_sums(char *to, const Cell *cell)
{
    Sums sums;
    for (int at = 0; at < MONEY; at++)
        sums.money[at] = cell->money[at];
    for (int at = 0; at < COUNTS; at++)
        sums.counts[at] = cell->counts[at];
    return put(to, &sums, SUMS_BYTES);
}

static char *put_cell(char *to, const Cells *cells, const Frame *frame, int32_t table, int32_t place)
{
    const Cell *cell = cells->cells + place;
    const Key *key = cells->keys + cell->key;
    const int64_t counts = cells->plan->type_count;
    to = put_sums(to, cell);
    if (counts)
        to = put(to, cells->declared + place * counts, counts * (int64_t)sizeof(int64_t));
    to = put_size(put_size(to, key->campaign_size), key->channel_size);
    const char *texts = NULL;
    int64_t texts_size = 0;
    if (cell->admitted >= 0) {
        const Admission *admission = frame->admissions + table - 1;
        const Admitted *admitted = admission->keys + cell->admitted;
        int64_t sizes = cells->plan->breakdowns[table - 1].count * (int64_t)sizeof(uint16_t);
        to = put(to, admission->values + admitted->at, sizes);
        texts = admission->values + admitted->at + sizes;
        texts_size = admitted->size - sizes;
    } else if (table)
        for (int64_t at = 0; at < cells->plan->breakdowns[table - 1].count; at++)
            to = put_size(to, OTHER);
    to = put_size(to, CURRENCY);
    to = put(to, cells->names + key->at, key->campaign_size + key->channel_size);
    if (texts_size)
        to = put(to, texts, texts_size);
    return put(to, key->currency, CURRENCY);
}

/* Bytes of a cell once it is packed. */
int64_t pack_room(const Cells *cells, const Frame *frame, int32_t table, const Cell *cell)
{
    const Key *key = cells->keys + cell->key;
    int64_t size = SUMS_BYTES + cells->plan->type_count * (int64_t)sizeof(int64_t) + 3 * (int64_t)sizeof(uint16_t) +
                   key->campaign_size + key->channel_size + CURRENCY;
    if (cell->admitted >= 0)
        size += frame->admissions[table - 1].keys[cell->admitted].size;
    else if (table)
        size += cells->plan->breakdowns[table - 1].count * (int64_t)sizeof(uint16_t);
    return size;
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

/* The cells of a chain are anywhere. */
static void prefetch_next(const Cells *cells, const Frame *frame, int32_t table, int32_t next)
{
    if (next < 0)
        return;
    const Cell *cell = cells->cells + next;
    if (cell->admitted >= 0)
        __builtin_prefetch(frame->admissions[table - 1].keys + cell->admitted);
    if (cell->next >= 0)
        __builtin_prefetch(cells->cells + cell->next);
}

static char *put_group(char *to, Pack *pack, const Cells *cells, const Frame *frame, int32_t table, int32_t shard)
{
    int32_t place = frame->chains[table * SHARDS + shard].first;
    if (place < 0)
        return to;
    const char *begin = to;
    for (; place >= 0; place = cells->cells[place].next) {
        prefetch_next(cells, frame, table, cells->cells[place].next);
        to = put_cell(to, cells, frame, table, place);
    }
    pack->groups[pack->group_count++] = (Group){frame->window, table, shard, begin - pack->text, to - begin};
    return to;
}

/* Write the cells into the groups. False if memory runs out. */
bool pack_cells(Pack *pack, const Cells *cells)
{
    pack->group_count = 0;
    if (!grow((void **)&pack->text, &pack->text_room, cells->packed_size, 1) ||
        !grow((void **)&pack->groups, &pack->group_room, cells->cell_count, sizeof(Group)))
        return false;
    char *to = pack->text;
    for (int64_t at = 0; at < cells->frame_count; at++) {
        const Frame *frame = cells->frames[at];
        for (int32_t table = 0; frame->waits && table <= cells->plan->breakdown_count; table++)
            for (int32_t shard = 0; shard < SHARDS; shard++)
                to = put_group(to, pack, cells, frame, table, shard);
    }
    return true;
}
