#include "memory.h"

#include <stdlib.h>

bool grow(void **array, int64_t *room, int64_t needed, size_t size)
{
    if (needed <= *room)
        return true;
    int64_t wanted = *room ? *room : 16;
    while (wanted < needed)
        wanted *= 2;
    void *grown = realloc(*array, (size_t)wanted * size);
    if (!grown)
        return false;
    *array = grown;
    *room = wanted;
    return true;
}

void shrink(void **array, int64_t *room, int64_t kept)
{
    if (*room > kept) {
        free(*array);
        *array = NULL;
        *room = 0;
    }
}
