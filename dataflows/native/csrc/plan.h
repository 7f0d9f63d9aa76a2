/* What a deployment has declared beyond the contract: its currency, event types and breakdowns. Python keeps it in
 * memory as long as a tally uses it. */
#ifndef ADTALLY_PLAN_H
#define ADTALLY_PLAN_H

#include <stdint.h>

typedef struct { /* a field of events that a breakdown names, or a declared event type */
    const char *name; /* UTF-8 */
    int32_t size; /* bytes */
    int32_t role; /* of an event type: the enum role of the contract */
} Named;

typedef struct {
    const int32_t *slots; /* of its fields, in their order */
    int64_t count;
} Breakdown;

typedef struct {
    const Named *fields; /* by slot: each field that some breakdown names */
    const Named *types;
    const Breakdown *breakdowns;
    int64_t bound; /* of the keys that a breakdown admits in a window */
    int32_t field_count, type_count, breakdown_count;
    char currency[4]; /* of events without one: three letters */
} Plan;

/* The value of a field. */
typedef struct {
    const char *text; /* NULL where the event has none */
    uint16_t size; /* bytes */
} Value;

/* What Python reads in a message of the slow path, but for the texts. */
typedef struct {
    int64_t cost, revenue;
    int32_t role, declared; /* as of a Row */
    char currency[4];
} Put;

/* In the place of the size of a name in cell bytes, with no bytes for it: the event has none; the sum of what was not
 * admitted. */
enum { NOT_SET = 0xFFFF, OTHER = 0xFFFE };

#endif
