/* The native intake: what dataflows/intake/partition.py does in Python, message by message, for the messages that are plain.
 *
 * Plain C without Python's own headers, so that any C compiler builds it; dataflows/native/__init__.py calls it by
 * ctypes, which lets go of the interpreter's lock meanwhile. All times are microseconds since 1970 (UTC), all money
 * integer micros.
 */
#ifndef ADTALLY_TALLY_H
#define ADTALLY_TALLY_H

#include "export.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "adtally's C wants the lowest byte of a number first"
#endif

enum kind { IMPRESSION, CLICK, CONVERSION, PURCHASE, REFUND, COST };

/* What became of a message. ODD: not plain, Python looks at it and then gives it back (tally_put) or refuses it
 * (tally_refuse). */
enum status { ODD, READY, REFUSED, COUNTED, DUPLICATE, LATE, TOO_FAR_AHEAD };

typedef struct {
    int64_t time;
    int64_t cost;
    int64_t revenue;
    uint64_t first; /* the fingerprint of the id: 64 bits, never 0, and 32 more in `rest` */
    const char *campaign, *channel; /* in the text, or among what was unescaped */
    uint32_t rest;
    uint16_t campaign_size, channel_size; /* bytes */
    uint8_t kind, status;
    bool by_hand; /* read and folded by Python */
} Row;

/* ids.c: 96-bit fingerprints of texts, and the index of the ids that were seen. */

enum { LONGEST_NAME = 256, LONGEST_TEXT = LONGEST_NAME * 4, WORDS = LONGEST_TEXT / 4 };

typedef struct {
    uint64_t coefficients[WORDS + 1][3];
} Hash;

void fingerprint(const Hash *hash, const char *text, size_t size, uint64_t *first, uint32_t *rest);
uint64_t hash_names(const Hash *hash, const char *campaign, size_t campaign_size, const char *channel,
                    size_t channel_size);

enum { SLOTS = 5, KEPT = 3, SMALLEST = 8 /* bits: the table that an index begins with */ };

typedef struct { /* a line of the processor's cache */
    uint64_t first[SLOTS];
    uint32_t rest[SLOTS];
    uint32_t born; /* six bits a slot: the generation */
} Bucket;

typedef struct {
    Bucket *buckets;
    int bits; /* there are 2^bits buckets */
    int64_t count;
    int64_t generation;
    bool begun;
    uint64_t dice;
} Index;

bool index_make(Index *index, int bits);
void index_free(Index *index);
bool index_turn(Index *index, int64_t generation);
int index_add(Index *index, uint64_t first, uint32_t rest); /* 1: it is new, 0: it is known, -1: no memory */
void index_prefetch(const Index *index, uint64_t first);

/* plain.c: one message. Returns whether it is plain. */

enum { LONGEST_MESSAGE = 64 * 1024 /* bytes; as MAX_PAYLOAD_BYTES */ };

typedef struct {
    const char *currency;
    size_t currency_size;
    char date[10]; /* the last one that was read, and its days since 1970 */
    int64_t days;
    char *unescaped; /* names that were escaped, without that: as much room as the text has */
    int64_t unescaped_size, unescaped_room;
} Reading;

bool read_plain(Reading *reading, const Hash *hash, const char *begin, const char *end, Row *row);

/* cells.c: what the events add up to, by window and key; a key is a campaign and a channel. */

enum sum { IMPRESSIONS, CLICKS, CONVERSIONS, PURCHASES, REFUNDS, SPEND, REVENUE, REFUNDED, EVENTS, SUMS };

typedef struct {
    int64_t window, key;
    int64_t sums[SUMS]; /* in the order of dataflows.contract.metrics.Metrics */
} Cell;

typedef struct {
    uint64_t hash;
    int64_t at; /* in `names` */
    int32_t campaign_size, channel_size, shard;
} Key;

typedef struct {
    Key *keys;
    int32_t *key_slots; /* hash tables of places in the arrays above them, -1 where free */
    char *names;
    Cell *cells;
    int32_t *cell_slots;
    int64_t key_count, key_room, names_size, names_room, cell_count, cell_room;
    int64_t window_start, window_end; /* of the last event */
} Cells;

/* Room for `needed` items of `size` bytes in an array; twice as many each time, so powers of two. False if there is
 * no memory. */
bool grow(void **array, int64_t *room, int64_t needed, size_t size);

/* Give an array back that has room for more items than are kept for the next time: much at once is rare. */
void let_go(void **array, int64_t *room, int64_t kept);

enum { LARGE = 1 << 20 /* bytes; so much is kept */ };

bool cells_make(Cells *cells);
void cells_free(Cells *cells);
bool cells_add(Cells *cells, const Hash *hash, int64_t window, const Row *row);
void cells_clear(Cells *cells);

/* pack.c: the same, shard by shard and window by window, as panes.c takes it. */

enum { SHARDS = 8 /* as in dataflows/windows/panes.py */ };

__extension__ typedef __int128 Money; /* the sums of 64-bit micros do not fit in 64 bits */

enum count { N_IMPRESSIONS, N_CLICKS, N_CONVERSIONS, N_PURCHASES, N_REFUNDS, N_EVENTS, COUNTS };
enum money { M_SPEND, M_REVENUE, M_REFUNDED, MONEY };

/* What a cell has added up to. In a share this stands before the sizes of the names, two bytes each, and the names. */
typedef struct {
    Money money[MONEY];
    int64_t counts[COUNTS];
} Sums;

enum { SHARE_HEAD = sizeof(Sums) + 4 };

typedef struct {
    int64_t window, shard;
    int64_t at, size; /* in the text */
} Group;

typedef struct {
    char *text;
    Group *groups;
    int64_t text_room, group_room, group_count;
} Pack;

int32_t shard_of(const char *campaign, size_t campaign_size, const char *channel, size_t channel_size);
bool pack_cells(Pack *pack, const Cells *cells);
void pack_taken(Pack *pack);
void pack_free(Pack *pack);

/* tally.c: the messages of one partition, in their order. What Python sees comes first, word for word as in `Face`. */

typedef struct {
    int64_t clock;    /* the highest time so far, NEVER before the first */
    int64_t turns_at; /* the time with which the next generation of ids begins; NEVER before the first */
    int64_t newest;   /* of the rows that were read */
    int64_t counted, duplicate; /* of the last call of tally_judge */
    int64_t noted;    /* places in `places`: after tally_read odd rows; after tally_judge those for Python */
    int32_t *places;
    Row *rows;
    Cell *cells;
    int64_t cell_count;
    Key *keys;
    int64_t key_count;
    char *names;
    int64_t names_size;
    int64_t ids;       /* in the index */
    int64_t ids_bytes;
    char *packed; /* by tally_pack */
    Group *groups;
    int64_t group_count;
} Face;

#define NEVER (INT64_MIN / 2) /* so that a delay can be taken from it */

typedef struct {
    Face face;
    Reading reading;
    Hash hash;
    Index index;
    Cells cells;
    Pack pack;
    int32_t room;
    int64_t window, delay; /* delay: allowed lateness and out-of-orderness together */
    bool dedup;
    char currency[16];
} Tally;

#endif
