/* Arrays that grow, and are released where they were large for a while. */
#ifndef ADTALLY_MEMORY_H
#define ADTALLY_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room for `needed` items of `size` bytes in an array; twice as many each time, so powers of two. False if memory
 * runs out. */
bool grow(void **array, int64_t *room, int64_t needed, size_t size);

/* Free an array that has room for more items than are kept for the next time: many at once are rare. */
void shrink(void **array, int64_t *room, int64_t kept);

enum { LARGE = 1 << 20 /* bytes that are kept */, CACHE_LINE = 64 /* bytes */ };

#endif
