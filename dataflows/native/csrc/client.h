/* One client of librdkafka: its handle, and what became of the records that it sent.
 *
 * librdkafka passes the handle to a plug-in (`plugin.library.paths`) while it makes the client, in the thread that asks
 * for it. This library is that plug-in, so nothing is read out of an object of confluent-kafka's.
 */
#ifndef ADTALLY_CLIENT_H
#define ADTALLY_CLIENT_H

#include "export.h"

#include <stdatomic.h>
#include <stdint.h>

typedef struct {
    _Atomic(void *) handle; /* an rd_kafka_t; NULL before it is made and once it is gone */
    atomic_int code;        /* of the first record that was refused, 0 while there is none */
    atomic_int_fast64_t refused, sent;
    atomic_int owners; /* Python and librdkafka: the last of them frees it */
} Client;

#endif
