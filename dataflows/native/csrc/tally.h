/* The native intake: the rules of dataflows/intake/rules.py for the messages of one partition on the fast path.
 *
 * Plain C without Python's own headers, so that any C compiler builds it; Python calls it by ctypes, which releases
 * the interpreter's lock meanwhile. All times are microseconds since 1970 (UTC), all money integer micros.
 */
#ifndef ADTALLY_TALLY_H
#define ADTALLY_TALLY_H

#include "export.h"
#include "pack.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "adtally's C needs little-endian numbers"
#endif

/* What Python sees of a tally comes first. */
typedef struct {
    int64_t clock;    /* the highest time so far, NEVER before the first */
    int64_t turns_at; /* the time with which the next generation of ids begins; NEVER before the first */
    int64_t newest;   /* of the rows that were read */
    int64_t counted, duplicate; /* of the last call of tally_judge */
    int64_t noted;    /* places in `places`: after tally_read slow-path rows; after tally_judge those to reject */
    int32_t *places;
    Row *rows;
    int64_t cell_count;
    int64_t ids;       /* in the index */
    int64_t ids_bytes;
    char *packed; /* by tally_pack */
    Group *groups;
    int64_t group_count;
    const AdmissionCounts *admission_counts; /* of each breakdown */
} Face;

#define NEVER (INT64_MIN / 2) /* so that a delay can be taken from it */

typedef struct {
    Face face;
    Reading reading;
    Hash hash;
    Index index;
    Cells cells;
    Pack pack;
    Value *values;    /* of each row, by slot */
    uint64_t *hashes; /* of each row, by table */
    int32_t room;
    int64_t window, delay; /* delay: allowed lateness and out-of-orderness together */
    bool dedup;
} Tally;

#endif
