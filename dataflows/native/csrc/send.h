/* Records that leave by librdkafka. */
#ifndef ADTALLY_SEND_H
#define ADTALLY_SEND_H

#include "client.h"

/* A header of a record that is sent. */
typedef struct {
    const char *name, *value;
    int64_t size; /* of the value */
} Header;

enum { MOST_HEADERS = 4 /* of a record */ };

#endif
