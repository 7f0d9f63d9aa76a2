/* The keys of one breakdown in one window that its bound admits, in the order in which they came. */
#ifndef ADTALLY_ADMISSION_H
#define ADTALLY_ADMISSION_H

#include "ids.h"
#include "plan.h"

/* A key: that of its campaign, channel and currency, and its values. */
typedef struct {
    uint64_t hash;
    int64_t at; /* in `values` */
    int32_t key;
    int32_t cell;  /* the last one that it had, */
    uint32_t pack; /* and the pack that this was for */
    uint16_t size; /* of the values, their sizes included */
} Admitted;

typedef struct {
    Admitted *keys;
    int32_t *slots;
    char *values; /* of each key: the sizes, two bytes each, NOT_SET for none, and the texts */
    int64_t count, room, values_size, values_room;
    bool is_full; /* a key was refused */
} Admission;

/* What a breakdown admitted and refused since the tally was made, but for what a refill restored. */
typedef struct {
    int64_t admitted_cells, full_windows, other_events;
} AdmissionCounts;

enum { REFUSED_KEY = -1, NO_MEMORY = -2 };

int64_t admission_admit(Admission *admission, uint64_t hash, int32_t key, const Breakdown *breakdown,
                        const Value *values, int64_t bound);
void admission_free(Admission *admission);

#endif
