#include "admission.h"
#include "memory.h"
#include "slots.h"

#include <stdlib.h>
#include <string.h>

void admission_free(Admission *admission)
{
    free(admission->keys);
    free(admission->slots);
    free(admission->values);
}

static uint16_t size_of(const Value *value)
{
    return value->text ? value->size : NOT_SET;
}

static bool has_values(const char *own, const Breakdown *breakdown, const Value *values)
{
    const char *text = own + breakdown->count * (int64_t)sizeof(uint16_t);
    for (int64_t at = 0; at < breakdown->count; at++) {
        const Value *value = values + breakdown->slots[at];
        uint16_t size;
        memcpy(&size, own + at * (int64_t)sizeof size, sizeof size);
        if (size != size_of(value))
            return false;
        if (!value->text)
            continue;
        if (memcmp(text, value->text, size) != 0)
            return false;
        text += size;
    }
    return true;
}

static bool make_room(Admission *admission)
{
    if (!grow((void **)&admission->keys, &admission->room, admission->count + 1, sizeof(Admitted)) ||
        !slots_make(&admission->slots, admission->room))
        return false;
    uint64_t mask = slots_mask(admission->room);
    for (int64_t key = 0; key < admission->count; key++)
        admission->slots[slots_free(admission->slots, mask, admission->keys[key].hash)] = (int32_t)key;
    return true;
}

static bool put_values(Admission *admission, const Breakdown *breakdown, const Value *values)
{
    int64_t room = breakdown->count * (LONGEST_TEXT + (int64_t)sizeof(uint16_t));
    if (!grow((void **)&admission->values, &admission->values_room, admission->values_size + room, 1))
        return false;
    char *sizes = admission->values + admission->values_size,
         *to = sizes + breakdown->count * (int64_t)sizeof(uint16_t);
    for (int64_t at = 0; at < breakdown->count; at++, sizes += sizeof(uint16_t)) {
        const Value *value = values + breakdown->slots[at];
        uint16_t size = size_of(value);
        memcpy(sizes, &size, sizeof size);
        if (value->text) {
            memcpy(to, value->text, size);
            to += size;
        }
    }
    admission->values_size = to - admission->values;
    return true;
}

/* The place of a key, which is admitted if there are fewer than `bound`; REFUSED_KEY or NO_MEMORY without one. */
int64_t admission_admit(Admission *admission, uint64_t hash, int32_t key, const Breakdown *breakdown,
                        const Value *values, int64_t bound)
{
    uint64_t slot = 0;
    if (admission->room) {
        uint64_t mask = slots_mask(admission->room);
        for (slot = hash & mask; admission->slots[slot] >= 0; slot = (slot + 1) & mask) {
            const Admitted *own = admission->keys + admission->slots[slot];
            if (own->hash == hash && own->key == key && has_values(admission->values + own->at, breakdown, values))
                return admission->slots[slot];
        }
    }
    if (admission->count >= bound)
        return REFUSED_KEY;
    if (admission->count == admission->room) {
        if (!make_room(admission))
            return NO_MEMORY;
        slot = slots_free(admission->slots, slots_mask(admission->room), hash);
    }
    int64_t at = admission->values_size;
    if (!put_values(admission, breakdown, values))
        return NO_MEMORY;
    admission->slots[slot] = (int32_t)admission->count;
    admission->keys[admission->count] =
        (Admitted){.hash = hash, .at = at, .key = key, .cell = -1, .size = (uint16_t)(admission->values_size - at)};
    return admission->count++;
}
